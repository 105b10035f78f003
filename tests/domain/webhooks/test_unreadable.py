"""An event that cannot be read holds back its own customer's later ones, tells staff, and stops nobody else."""

from typing import Any

import pytest
import sqlalchemy as sa

from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlert
from domain.db import Database
from domain.journal import store as journal
from domain.journal.store import billing_event
from domain.kernel.ids import CustomerId, EndpointId, encode
from domain.webhooks.delivering import service as delivering
from domain.webhooks.endpoints import service as endpoints
from domain.webhooks.feed import service as feed
from domain.webhooks.replaying import service as replaying
from domain.webhooks.replaying.service import ReplayRefused
from tests import make
from tests.domain.webhooks.merchant import URL, Merchant

# Neither is written by any code here: a currency that there is not, and facts that are no facts.
NO_CURRENCY: dict[str, Any] = {"type": "payment_succeeded", "amount_minor": 1, "currency": "ZZZ", "metadata": {}}
NO_FACTS: dict[str, Any] = {"type": "something_new", "amount_minor": None, "currency": None, "metadata": [1]}
OTHER_URL = "https://other.example.com/in"


async def _spoilt(merchant: Merchant, customer_id: CustomerId, values: dict[str, Any]) -> Any:
    """Write an event that cannot be read, and return its id."""
    event_id = make.new_id()
    row = {"customer_id": customer_id, "id": event_id, "at": merchant.now, "description": "?", **values}
    async with merchant.db.transaction() as tx:
        await journal.insert_billing_event(tx, row)
    return event_id


async def _alerts(merchant: Merchant) -> list[StaffAlert]:
    async with merchant.db.transaction() as tx:
        return list(await staffing.list_alerts(tx, merchant.call))


async def _held(merchant: Merchant, endpoint_id: EndpointId) -> int:
    async with merchant.db.transaction() as tx:
        return (await delivering.waiting_by_id(tx, merchant.call, [endpoint_id]))[endpoint_id].held


@pytest.mark.parametrize("values", [NO_CURRENCY, NO_FACTS])
async def test_it_is_held_with_what_follows_it_and_others_go_on(db: Database, values: dict[str, Any]) -> None:
    merchant = Merchant(db)
    ada, bob = await merchant.customer(), await merchant.customer()
    endpoint = await merchant.endpoint()
    await merchant.happens(ada, "invoice_opened")
    event_id = await _spoilt(merchant, ada, values)
    await merchant.happens(ada, "invoice_paid")
    await merchant.happens(bob, "subscription_started")
    for _ in range(2):
        await merchant.deliver()
    assert sorted(merchant.types()) == ["invoice.opened", "subscription.started"]
    assert await _held(merchant, endpoint.id) == 1
    [alert] = await _alerts(merchant)
    assert (alert.kind, alert.about) == ("webhook_unreadable", encode("billing_event", event_id))
    assert alert.facts == {"endpoint": "CRM", "customer_id": encode("customer", ada)}
    # What happens to that customer meanwhile waits too, and nothing is tried by itself.
    await merchant.happens(ada, "invoice_voided")
    await merchant.wait(days=4)
    assert len(merchant.types()) == 2

    async with db.transaction() as tx:
        await replaying.skip_event(tx, merchant.call, endpoint.id, event_id)
    await merchant.deliver()
    assert merchant.types()[2:] == ["invoice.paid", "invoice.voided"]


async def test_once_its_row_is_mended_it_is_sent_in_its_place(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    endpoint = await merchant.endpoint()
    event_id = await _spoilt(merchant, ada, NO_CURRENCY)
    await merchant.happens(ada, "invoice_paid")
    await merchant.deliver()
    assert merchant.types() == []
    async with db.transaction() as tx:
        mended = sa.update(billing_event).where(billing_event.c.id == event_id).values(currency="USD")
        await tx.execute(mended)
        await endpoints.enable_endpoint(tx, merchant.call, endpoint.id)
    await merchant.deliver()
    assert merchant.types() == ["payment.succeeded", "invoice.paid"]


async def test_staff_are_told_once_however_many_endpoints_hold_it_back(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    await merchant.endpoint()
    await merchant.endpoint("invoice.*", url=OTHER_URL)
    # Nobody can say of what type it is, so that it holds back also where little is listened to.
    await _spoilt(merchant, ada, NO_FACTS)
    await merchant.happens(ada, "invoice_paid")
    await merchant.deliver()
    assert (merchant.types(URL), merchant.types(OTHER_URL)) == ([], [])
    assert len(await _alerts(merchant)) == 1


async def test_an_event_behind_it_is_not_left_out_before_it(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    endpoint = await merchant.endpoint()
    await _spoilt(merchant, ada, NO_CURRENCY)
    await merchant.happens(ada, "invoice_paid")
    await merchant.deliver()
    async with db.transaction() as tx:
        last = await tx.value(sa.select(billing_event.c.id).order_by(billing_event.c.number.desc()).limit(1))
    with pytest.raises(ReplayRefused):
        async with db.transaction() as tx:
            await replaying.skip_event(tx, merchant.call, endpoint.id, last)
    assert await _held(merchant, endpoint.id) == 1


async def test_the_feed_goes_on_after_it(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    await merchant.happens(ada, "invoice_opened")
    await _spoilt(merchant, ada, NO_FACTS)
    await merchant.happens(ada, "invoice_paid")
    await merchant.publish()
    async with db.transaction() as tx:
        first = await feed.read_feed(tx, merchant.call)
        rest = await feed.read_feed(tx, merchant.call, after=first.after)
    # The second of three is left out; its number shows that there was one.
    assert ([each.number for each in first.events], first.after, first.has_more) == ([1], 2, True)
    assert ([each.number for each in rest.events], rest.after, rest.has_more) == ([3], 3, False)


async def test_a_replay_passes_it(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    await merchant.happens(ada, "invoice_opened")
    event_id = await _spoilt(merchant, ada, NO_CURRENCY)
    await merchant.happens(ada, "invoice_paid")
    await merchant.publish()
    endpoint = await merchant.endpoint()
    async with db.transaction() as tx:
        await replaying.replay_range(tx, merchant.call, endpoint.id, first_number=1, last_number=3)
        await replaying.replay_event(tx, merchant.call, endpoint.id, event_id)
    for _ in range(3):
        await merchant.deliver()
    assert merchant.types() == ["invoice.opened", "invoice.paid"]
    assert (await _held(merchant, endpoint.id), await _alerts(merchant)) == (0, [])
