"""Links that stop mails hold for one customer and one kind."""

from uuid import UUID

import pytest

from domain.alerts.notice import LEGAL, Notice
from domain.alerts.unsubscribing import UnsubscribeLinkRefused, Unsubscribing, check, signing_key
from domain.kernel.ids import CustomerId

_KEY = signing_key(b"\x01" * 32)
_ADA = CustomerId(UUID(int=1))


def _signature(link: str | None) -> str:
    assert link is not None
    return link.rpartition("=")[2]


def test_a_mail_that_may_be_done_without_carries_a_link() -> None:
    link = Unsubscribing("https://billing.example.com/", _KEY).link(_ADA, "weekly_digest")
    head = "https://billing.example.com/unsubscribe/cus_00000000000000000000000001?notice=weekly_digest&signature="
    assert link == head + _signature(link)
    assert check([_KEY], _ADA, "weekly_digest", _signature(link)) is Notice.WEEKLY_DIGEST


def test_what_must_be_told_carries_none_and_without_a_public_url_nothing_does() -> None:
    made = Unsubscribing("https://billing.example.com", _KEY)
    assert [notice for notice in LEGAL if made.link(_ADA, notice)] == []
    assert Unsubscribing().link(_ADA, "weekly_digest") is None
    assert "key" not in repr(made)


def test_a_link_of_another_customer_kind_or_key_is_refused() -> None:
    signature = _signature(Unsubscribing("https://x.example.com", _KEY).link(_ADA, "weekly_digest"))
    for key, customer, notice, given in (
        (signing_key(b"\x02" * 32), _ADA, "weekly_digest", signature),
        (_KEY, CustomerId(UUID(int=2)), "weekly_digest", signature),
        (_KEY, _ADA, "limit_threshold", signature),
        (_KEY, _ADA, "no_such_kind", signature),
        (_KEY, _ADA, "weekly_digest", ""),
        (_KEY, _ADA, "weekly_digest", "é" * 64),
    ):
        with pytest.raises(UnsubscribeLinkRefused):
            check([key], customer, notice, given)
