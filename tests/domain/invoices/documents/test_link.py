"""Signed links to documents."""

from datetime import timedelta

import pytest

from domain.invoices.documents.link import LIFETIME, LIFETIME_MAX, LinkRefused, check, sign, signing_key
from domain.kernel.ids import DocumentId
from tests import make

_NOW = make.at("2026-03-01T12:00")
_KEY = signing_key(b"\x01" * 32)
_ID = DocumentId(make.new_id())


def _expires(lifetime: timedelta = LIFETIME) -> str:
    return str(int((_NOW + lifetime).timestamp()))


def test_a_link_is_valid_until_it_expires() -> None:
    link = sign(_KEY, _ID, _NOW)
    assert link.path.startswith("/documents/doc_")
    assert link.path.endswith(f"?expires={_expires()}&signature={link.signature}")
    check([_KEY], _ID, _expires(), link.signature, _NOW)
    check([_KEY], _ID, _expires(), link.signature, link.expires_at - timedelta(seconds=1))
    with pytest.raises(LinkRefused):
        check([_KEY], _ID, _expires(), link.signature, link.expires_at)


def test_a_link_to_something_else_or_signed_by_someone_else_is_refused() -> None:
    link = sign(_KEY, _ID, _NOW)
    other, later = DocumentId(make.new_id()), str(int(_expires()) + 1)
    for key, document_id, expires, signature in (
        (_KEY, other, _expires(), link.signature),
        (_KEY, _ID, later, link.signature),
        (signing_key(b"\x02" * 32), _ID, _expires(), link.signature),
        (_KEY, _ID, _expires(), link.signature[:-1]),
        (_KEY, _ID, _expires(), "0" * 64),
        (_KEY, _ID, _expires(), "é" * 64),
        (_KEY, _ID, "", link.signature),
        (_KEY, _ID, "-1", link.signature),
        (_KEY, _ID, "9" * 40, link.signature),
        # Past the end of the calendar.
        (_KEY, _ID, "9" * 12, link.signature),
        (_KEY, _ID, "１７７２", link.signature),  # noqa: RUF001 - digits of another script
    ):
        with pytest.raises(LinkRefused):
            check([key], document_id, expires, signature, _NOW)


def test_no_link_lives_longer_than_the_longest_lifetime() -> None:
    long = sign(_KEY, _ID, _NOW, LIFETIME_MAX)
    check([_KEY], _ID, _expires(LIFETIME_MAX), long.signature, _NOW)
    with pytest.raises(LinkRefused):
        check([_KEY], _ID, _expires(LIFETIME_MAX), long.signature, _NOW - timedelta(seconds=1))
