"""Inbound events on real Postgres: stored once, and the same end state whatever the order."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from domain.adapters.memory import MemoryGateway
from domain.adapters.stripe import StripeGateway
from domain.alerts.staffing import service as staffing
from domain.customers import service as customers
from domain.db import Database
from domain.journal.store import audit_entry, outbox_job
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId
from domain.kernel.period import Period
from domain.payments import service as payments
from domain.payments.port import GatewayEvent, GatewayUnavailable, PaymentGateway
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Subscription
from domain.webhooks import service, store
from domain.webhooks.inbox import API_VERSION, InboxEvent, InboxState
from tests import make
from tests.domain.payments.gateways import SandboxProbe
from tests.domain.payments.till import DEBIT, NO_FUNDS, PRICE_MINOR, Till, open_till, system
from tests.domain.webhooks.examples import NOON, ended, event, subscription

_NEWS = ("invoice.paid", "invoice.payment_succeeded", "invoice.payment_failed")


async def _receive(db: Database, news: GatewayEvent, when: str = "2026-01-15T12:00") -> bool:
    async with db.transaction() as tx:
        return await service.receive(tx, system(when), news)


async def _process(db: Database, gateway: PaymentGateway, event_id: str = "evt_1") -> InboxEvent:
    await service.process(db, gateway, system(), "stripe", event_id)
    async with db.transaction() as tx:
        found = await store.find_event(tx, "stripe", event_id)
    assert found is not None
    return found


async def _take(db: Database, gateway: PaymentGateway, news: GatewayEvent) -> tuple[str, str | None]:
    """Receive and process one event; return what became of it."""
    await _receive(db, news)
    done = await _process(db, gateway, news.id)
    return done.state, done.note


async def _mirrors(db: Database, customer_id: CustomerId) -> Sequence[Subscription]:
    async with db.transaction() as tx:
        found = await subscriptions.list_subscriptions(tx, customer_id)
    return [each for each in found if each.gateway_id is not None]


async def _newcomer(db: Database) -> CustomerId:
    """Make a customer without a subscription of ours, in a database with the Edge catalogue."""
    await open_till(db)
    async with db.transaction() as tx:
        made = await customers.create_customer(
            tx, system(), environment=Environment.TEST, name="Bob", email="bob@example.com"
        )
    return made.id


async def _processing(db: Database, gateway: MemoryGateway) -> tuple[Till, str]:
    """Make a till whose bank debit is on its way."""
    till = await open_till(db)
    await till.attach(gateway, DEBIT)
    await till.collect(gateway)
    return till, await till.gateway_invoice_id()


async def test_an_event_is_stored_once_sealed_and_staged_once(db: Database) -> None:
    news = event("invoice.paid", "in_1")
    assert await _receive(db, news)
    assert not await _receive(db, news)
    async with db.transaction() as tx:
        [stored] = await tx.rows(store.inbox_event.select())
        [job] = await tx.rows(outbox_job.select())
        assert await store.find_payload(tx, "stripe", "evt_1") == news.payload
    assert b"sensitive" not in stored.payload
    assert (stored.state, stored.object_id, stored.attempts) == ("received", "in_1", 0)
    assert (job.kind, job.payload) == ("process_inbox_event", {"provider": "stripe", "event_id": "evt_1"})


async def test_a_paid_invoice_is_fetched_and_settled(db: Database, memory_gateway: MemoryGateway) -> None:
    till, copy = await _processing(db, memory_gateway)
    memory_gateway.settle(copy, succeeds=True)
    await _receive(db, event("invoice.payment_succeeded", copy))
    assert await service.process(db, memory_gateway, system(), "stripe", "evt_1") == till.customer.id
    assert await till.state() == "paid"
    assert await till.staged("payment_settled") == 1


async def test_a_failed_payment_is_fetched_and_settled(db: Database, memory_gateway: MemoryGateway) -> None:
    till, copy = await _processing(db, memory_gateway)
    memory_gateway.settle(copy, succeeds=False)
    assert await _take(db, memory_gateway, event("invoice.payment_failed", copy)) == ("processed", None)
    assert await till.attempts() == ["failed"]
    assert await till.state() == "open"
    assert await till.told() == ["payment_method_attached", "payment_failed"]


@pytest.mark.parametrize("order", list(itertools.permutations(_NEWS)))
async def test_in_any_order_and_repeated_the_end_is_the_same(
    db: Database, memory_gateway: MemoryGateway, order: tuple[str, ...]
) -> None:
    till, copy = await _processing(db, memory_gateway)
    memory_gateway.settle(copy, succeeds=True)
    for number, event_type in enumerate(order):
        news = event(event_type, copy, f"evt_{number}")
        assert await _take(db, memory_gateway, news) == ("processed", None)
        await _receive(db, news)
        await _process(db, memory_gateway, news.id)
    assert await till.attempts() == ["succeeded"]
    assert await till.state() == "paid"
    assert await till.posted("invoice_paid") == 1
    assert await till.staged("payment_settled") == 1


async def test_a_forged_snapshot_changes_nothing_because_the_object_is_fetched(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, copy = await _processing(db, memory_gateway)
    await _take(db, memory_gateway, event("invoice.paid", copy, payload=b'{"status": "paid"}'))
    assert await till.attempts() == ["processing"]
    assert await till.state() == "open"


async def test_an_event_of_another_api_version_is_processed_like_any_other(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, copy = await _processing(db, memory_gateway)
    memory_gateway.settle(copy, succeeds=True)
    assert await _take(db, memory_gateway, event("invoice.paid", copy, api_version="2019-01-01")) == ("processed", None)
    assert await till.state() == "paid"


async def test_another_api_version_is_an_alarm_once_a_day(db: Database, memory_gateway: MemoryGateway) -> None:
    for number, (when, version) in enumerate(
        (
            ("2026-01-15T00:00", "2019-01-01"),
            ("2026-01-15T23:59", "2019-01-01"),
            ("2026-01-16T00:00", "2019-01-01"),
            ("2026-01-16T00:00", None),
            ("2026-01-16T00:00", API_VERSION),
        )
    ):
        news = event("balance.available", "", f"evt_{number}", api_version=version)
        await _receive(db, news)
        await service.process(db, memory_gateway, system(when), "stripe", news.id)
    async with db.transaction() as tx:
        alarms = await store.list_alarms(tx, limit=9)
        told = await tx.rows(audit_entry.select().where(audit_entry.c.action == "inbox_version_differs"))
    assert [(str(each.on_day), each.api_version, each.event_id) for each in alarms] == [
        ("2026-01-16", "2019-01-01", "evt_2"),
        ("2026-01-16", "none", "evt_3"),
        ("2026-01-15", "2019-01-01", "evt_0"),
    ]
    assert [each.facts["expected"] for each in told] == [API_VERSION] * 3
    async with db.transaction() as tx:
        alerts = await staffing.list_alerts(tx, system())
    # One alert until somebody has read it.
    assert [each.subject for each in alerts] == ["Events of stripe come in another version: 2019-01-01"]


@pytest.mark.parametrize(
    ("news", "note"),
    [
        (event("invoice.paid", "in_of_another_system"), "not an invoice of ours"),
        (event("invoice.payment_failed", ""), "not an invoice of ours"),
        (event("payment_method.attached", "pm_1"), "not a payment method of a customer of ours"),
        (event("customer.subscription.deleted", "sub_1"), "the subscription does not exist"),
        (event("balance.available", ""), "a type of no interest"),
        (event("refund.failed", "re_1"), "not a refund that was ordered here"),
        (event("invoice.voided", "in_of_another_system"), "not an invoice of ours"),
        (event("invoice.paid", "in_1", environment=Environment.LIVE), "another environment"),
    ],
)
async def test_what_is_not_ours_is_ignored_with_a_note(
    db: Database, memory_gateway: MemoryGateway, news: GatewayEvent, note: str
) -> None:
    assert await _take(db, memory_gateway, news) == ("ignored", note)


async def test_an_unreachable_gateway_leaves_the_event_for_the_next_run(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till, copy = await _processing(db, memory_gateway)
    memory_gateway.settle(copy, succeeds=True)
    memory_gateway.lose("fetch_invoice", "before")
    await _receive(db, event("invoice.paid", copy))
    with pytest.raises(GatewayUnavailable):
        await service.process(db, memory_gateway, system(), "stripe", "evt_1")
    assert await till.state() == "open"
    done = await _process(db, memory_gateway)
    assert (done.state, done.attempts) == ("processed", 2)
    assert await till.state() == "paid"


async def test_a_method_attached_in_the_browser_is_recorded_once_and_collects_what_is_open(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    method = await till.attach(memory_gateway, NO_FUNDS)
    await till.collect(memory_gateway)
    [gateway_customer_id] = memory_gateway.customers
    other = await memory_gateway.attach_method(gateway_customer_id, "pm_card_visa", key="in the browser")
    for number in range(2):
        news = event("payment_method.attached", other.id, f"evt_{number}")
        assert await _take(db, memory_gateway, news) == ("processed", None)
    async with db.transaction() as tx:
        listed = await payments.list_methods(tx, system(), till.customer.id)
    assert [each.gateway_method_id for each in listed] == [method.gateway_method_id, other.id]
    assert await till.staged("collect_invoice") == 1


async def test_a_method_detached_in_stripe_is_no_longer_listed(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    method = await till.attach(memory_gateway)
    memory_gateway.detach(method.gateway_method_id)
    news = event("payment_method.detached", method.gateway_method_id)
    assert await _take(db, memory_gateway, news) == ("processed", None)
    async with db.transaction() as tx:
        assert await payments.list_methods(tx, system(), till.customer.id) == []


async def test_a_subscription_of_stripe_is_followed_by_the_customers_metadata(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    customer_id = await _newcomer(db)
    memory_gateway.subscriptions["sub_1"] = subscription(customer_id=customer_id)
    for number in range(2):
        news = event("customer.subscription.created", "sub_1", f"evt_{number}")
        assert await _take(db, memory_gateway, news) == ("processed", None)
    [mirror] = await _mirrors(db, customer_id)
    assert (mirror.gateway_id, mirror.status, mirror.source) == ("sub_1", "active", "stripe")
    async with db.transaction() as tx:
        # It is Stripe's to bill: nothing is staged for it here.
        assert await tx.rows(outbox_job.select().where(outbox_job.c.customer_id == customer_id)) == []


async def test_a_subscription_deleted_before_it_was_created_stays_ended(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    customer_id = await _newcomer(db)
    memory_gateway.subscriptions["sub_1"] = subscription(customer_id=customer_id, **ended(NOON))
    assert await _take(db, memory_gateway, event("customer.subscription.deleted", "sub_1")) == ("processed", None)
    late = event("customer.subscription.created", "sub_1", "evt_2")
    assert await _take(db, memory_gateway, late) == ("processed", None)
    [mirror] = await _mirrors(db, customer_id)
    assert (mirror.status, mirror.ended_at) == ("canceled", NOON)


async def test_a_subscription_that_ends_in_stripe_ends_here(db: Database, memory_gateway: MemoryGateway) -> None:
    customer_id = await _newcomer(db)
    memory_gateway.subscriptions["sub_1"] = subscription(customer_id=customer_id)
    await _take(db, memory_gateway, event("customer.subscription.created", "sub_1"))
    memory_gateway.subscriptions["sub_1"] = subscription(customer_id=customer_id, **ended(NOON))
    await _take(db, memory_gateway, event("customer.subscription.deleted", "sub_1", "evt_2"))
    [mirror] = await _mirrors(db, customer_id)
    assert mirror.status == "canceled"


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"plan": None}, "plan_unknown"),
        ({"plan": "edge:platinum:month"}, "plan_not_found"),
        ({"plan": "toys:starter:month"}, "product_not_found"),
        ({"period": None}, "period_missing"),
        ({"status": "a_status_of_next_year"}, "status_unknown"),
        ({"customer_id": CustomerId(make.new_id())}, "customer_not_found"),
        ({"customer_id": None}, "customer_unknown"),
    ],
)
async def test_a_subscription_that_cannot_be_placed_is_quarantined(
    db: Database, memory_gateway: MemoryGateway, changed: dict[str, Any], note: str
) -> None:
    customer_id = await _newcomer(db)
    memory_gateway.subscriptions["sub_1"] = subscription(**({"customer_id": customer_id} | changed))
    assert await _take(db, memory_gateway, event("customer.subscription.created", "sub_1")) == ("quarantined", note)
    assert await _mirrors(db, customer_id) == []
    async with db.transaction() as tx:
        [waits] = await store.list_events(tx, state=InboxState.QUARANTINED, event_type=None, before=None, limit=9)
        [alert] = await staffing.list_alerts(tx, system())
    assert waits.id == "evt_1"
    assert (alert.kind, alert.about) == ("inbox_quarantined", "stripe")
    assert alert.facts == {"event_id": "evt_1", "type": "customer.subscription.created", "reason": note}


async def test_a_second_subscription_of_one_product_is_quarantined(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    memory_gateway.subscriptions["sub_1"] = subscription(customer_id=till.customer.id)
    news = event("customer.subscription.created", "sub_1")
    assert await _take(db, memory_gateway, news) == ("quarantined", "already_subscribed")


async def test_the_sandboxs_own_events_lead_to_the_same_end(
    db: Database, stripe_gateway: StripeGateway, sandbox: SandboxProbe
) -> None:
    till = await open_till(db)
    await till.attach(stripe_gateway, DEBIT)
    await till.collect(stripe_gateway)
    await sandbox.settle(await till.gateway_invoice_id(), succeeds=True)
    ever = Period(make.at("2020-01-01"), make.at("2100-01-01"))
    events = await stripe_gateway.listing.list_events(ever, ["invoice.paid", "payment_method.attached"], after=None)
    assert len(events.items) == 2
    for news in events.items:
        assert await _take(db, stripe_gateway, news) == ("processed", None)
    assert await till.state() == "paid"
    assert await sandbox.charges() == [PRICE_MINOR]
