"""Links to exports: signed, for 15 minutes."""

from datetime import timedelta

import pytest

from domain.privacy import link as links
from domain.privacy.link import ExportLinkRefused
from tests import make

KEY = links.signing_key(b"\x01" * 32)
AT = make.at("2026-03-01")
EXPORT = make.new_id()


def test_a_link_is_good_for_fifteen_minutes() -> None:
    link = links.sign(KEY, EXPORT, AT)
    assert link.expires_at == AT + timedelta(minutes=15)
    seconds = str(int(link.expires_at.timestamp()))
    assert link.path.endswith(f"?expires={seconds}&signature={link.signature}")
    assert link.path.startswith("/exports/exp_")
    links.check([KEY], EXPORT, seconds, link.signature, AT)
    links.check([KEY], EXPORT, seconds, link.signature, link.expires_at - timedelta(seconds=1))
    with pytest.raises(ExportLinkRefused):
        links.check([KEY], EXPORT, seconds, link.signature, link.expires_at)


def test_nothing_else_opens_an_export() -> None:
    link = links.sign(KEY, EXPORT, AT)
    seconds = str(int(link.expires_at.timestamp()))
    later = links.sign(KEY, EXPORT, AT + timedelta(days=1))
    for export_id, expires, signature in (
        (make.new_id(), seconds, link.signature),
        (EXPORT, str(int(seconds) + 1), link.signature),
        (EXPORT, seconds, "0" * 64),
        (EXPORT, seconds, link.signature[:-1]),
        (EXPORT, seconds, "\u00e9" * 64),
        (EXPORT, "", link.signature),
        (EXPORT, "-1", link.signature),
        (EXPORT, "9" * 13, link.signature),
        # Past the end of the calendar.
        (EXPORT, "9" * 12, link.signature),
        # Signed, but for longer than links live.
        (EXPORT, str(int(later.expires_at.timestamp())), later.signature),
    ):
        with pytest.raises(ExportLinkRefused):
            links.check([KEY], export_id, expires, signature, AT)
    with pytest.raises(ExportLinkRefused):
        links.check([links.signing_key(b"\x02" * 32)], EXPORT, seconds, link.signature, AT)
