"""What was sent can be sent once more, and what cannot be sent left out."""

from uuid import UUID

import pytest

from domain.db import Database
from domain.kernel.ids import CustomerId, EndpointId
from domain.webhooks.delivering import service as delivering
from domain.webhooks.feed import service as feed
from domain.webhooks.port import Outcome, Reply
from domain.webhooks.replaying import service
from domain.webhooks.replaying.service import ReplayRefused
from tests import make
from tests.domain.webhooks.merchant import URL, Merchant

_BROKEN = Reply(Outcome.REFUSED, 0, 500)


async def _three_events(db: Database) -> tuple[Merchant, EndpointId, CustomerId, CustomerId]:
    """Send two events of Ada (1, 2) and one of Bob (3)."""
    merchant = Merchant(db)
    ada, bob = await merchant.customer(), await merchant.customer()
    endpoint = await merchant.endpoint()
    await merchant.happens(ada, "invoice_opened", "invoice_paid")
    await merchant.happens(bob, "subscription_started")
    await merchant.deliver()
    merchant.sender.posted.clear()
    return merchant, endpoint.id, ada, bob


async def _ids(merchant: Merchant) -> list[UUID]:
    async with merchant.db.transaction() as tx:
        return [each.id for each in (await feed.read_feed(tx, merchant.call)).events]


async def test_a_range_is_sent_again_in_order_under_the_same_ids(db: Database) -> None:
    merchant, endpoint_id, *_ = await _three_events(db)
    async with db.transaction() as tx:
        _, customers = await service.replay_range(tx, merchant.call, endpoint_id, first_number=1, last_number=3)
    await merchant.deliver()
    await merchant.deliver()
    assert customers == 2
    assert sorted(merchant.types()) == ["invoice.opened", "invoice.paid", "subscription.started"]
    assert [each["number"] for each in merchant.heard() if each["number"] < 3] == [1, 2]


async def test_a_range_may_be_one_customers(db: Database) -> None:
    merchant, endpoint_id, ada, _ = await _three_events(db)
    async with db.transaction() as tx:
        await service.replay_range(tx, merchant.call, endpoint_id, first_number=2, last_number=9, customer_id=ada)
    await merchant.deliver()
    assert merchant.types() == ["invoice.paid"]


async def test_a_stretch_of_time_and_a_single_event_are_sent_again(db: Database) -> None:
    merchant, endpoint_id, _, _ = await _three_events(db)
    async with db.transaction() as tx:
        await service.replay_time(
            tx, merchant.call, endpoint_id, since=make.at("2026-03-01"), until=make.at("2026-03-02")
        )
        await service.replay_event(tx, merchant.call, endpoint_id, (await _ids(merchant))[1])
    await merchant.deliver()
    assert sorted(merchant.types()) == ["invoice.opened", "invoice.paid", "invoice.paid", "subscription.started"]


async def test_a_replay_that_fails_holds_back_nothing_that_happens(db: Database) -> None:
    merchant, endpoint_id, ada, _ = await _three_events(db)
    async with db.transaction() as tx:
        await service.replay_range(tx, merchant.call, endpoint_id, first_number=1, last_number=2)
    merchant.sender.answers = [_BROKEN]
    await merchant.deliver()
    await merchant.happens(ada, "invoice_voided")
    await merchant.deliver()
    assert merchant.types() == ["invoice.opened", "invoice.voided"]
    await merchant.wait(seconds=5)
    assert merchant.types()[2:] == ["invoice.opened", "invoice.paid"]


@pytest.mark.parametrize(("first", "last"), [(0, 1), (3, 2), (4, 9)])
async def test_a_range_without_events_is_refused(db: Database, first: int, last: int) -> None:
    merchant, endpoint_id, *_ = await _three_events(db)
    async with db.transaction() as tx:
        with pytest.raises(ReplayRefused):
            await service.replay_range(tx, merchant.call, endpoint_id, first_number=first, last_number=last)
        with pytest.raises(ReplayRefused):
            await service.replay_time(
                tx, merchant.call, endpoint_id, since=make.at("2026-03-02"), until=make.at("2026-03-03")
            )
        with pytest.raises(ReplayRefused):
            await service.replay_event(tx, merchant.call, endpoint_id, UUID(int=7))
    await merchant.deliver()
    assert merchant.sender.posted == []


async def test_the_event_that_waits_first_can_be_left_out_and_no_other(db: Database) -> None:
    merchant, endpoint_id, ada, _ = await _three_events(db)
    merchant.sender.refusing[URL] = _BROKEN
    await merchant.happens(ada, "invoice_opened", "invoice_paid")
    await merchant.deliver()
    *_, fourth, fifth = await _ids(merchant)
    async with db.transaction() as tx:
        with pytest.raises(ReplayRefused, match="before it"):
            await service.skip_event(tx, merchant.call, endpoint_id, fifth)
        await service.skip_event(tx, merchant.call, endpoint_id, fourth)
        assert (await service.skip_event(tx, merchant.call, endpoint_id, fourth)).done == 4
    merchant.sender.refusing.clear()
    merchant.sender.posted.clear()
    await merchant.deliver()
    assert merchant.types() == ["invoice.paid"]
    async with db.transaction() as tx:
        assert (await delivering.waiting_by_id(tx, merchant.call, [endpoint_id]))[endpoint_id].lanes == 0


async def test_nothing_can_be_left_out_of_what_an_endpoint_never_heard_of(db: Database) -> None:
    merchant, _, ada, _ = await _three_events(db)
    other = await merchant.endpoint(url="https://other.example.com/")
    async with db.transaction() as tx:
        with pytest.raises(ReplayRefused, match="waits"):
            await service.skip_event(tx, merchant.call, other.id, (await _ids(merchant))[0])
    assert ada
