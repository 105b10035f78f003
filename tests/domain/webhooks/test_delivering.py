"""Events reach endpoints in each customer's order, whatever fails, and stay until they do."""

from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from domain.access.roles import Permission
from domain.alerts.staffing import service as staffing
from domain.db import Database
from domain.journal import service as journal
from domain.kernel.call import Environment, Forbidden
from domain.kernel.ids import CustomerId, EndpointId
from domain.webhooks.delivering import service
from domain.webhooks.delivering.store import Delivery
from domain.webhooks.endpoint import DisabledBy, EndpointNotFound, EndpointState
from domain.webhooks.endpoints import service as endpoints
from domain.webhooks.port import Outcome, Reply
from domain.webhooks.signature import verify
from tests import make
from tests.domain.webhooks.merchant import URL, Merchant

_BROKEN = Reply(Outcome.REFUSED, 0, 500, b"<p>Ada broke it</p>")
_HANGING = Reply(Outcome.TIMED_OUT, 15_000)


async def _log(merchant: Merchant, endpoint_id: EndpointId, *, failed_only: bool = False) -> list[Delivery]:
    async with merchant.db.transaction() as tx:
        found = await service.list_deliveries(tx, merchant.call, endpoint_id, failed_only=failed_only)
    return list(reversed(found))


async def test_an_event_is_sent_once_signed_and_logged(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    endpoint, secret = await merchant.secret_endpoint("invoice.*")
    await merchant.happens(ada, "invoice_opened", "payment_succeeded", "invoice_paid")
    for _ in range(3):
        await merchant.deliver()
    assert merchant.types() == ["invoice.opened", "invoice.paid"]
    # The payment was second; the endpoint did not ask for it, and its place in the sequence stays free.
    assert [each["sequence"] for each in merchant.heard()] == [1, 3]
    first = merchant.sender.posted[0]
    assert verify([secret], first.headers, first.body, merchant.now).id == merchant.heard()[0]["id"]
    [one, two] = await _log(merchant, endpoint.id)
    assert (one.type, one.outcome, one.status, one.attempt, one.excerpt) == (
        "invoice.opened",
        "delivered",
        200,
        1,
        b"ok",
    )
    assert (two.number, two.latency_ms) == (3, 5)


async def _begin_and_fail(merchant: Merchant, customer_id: CustomerId) -> None:
    async with merchant.db.transaction() as tx:
        await journal.tell(tx, merchant.call, merchant.now, customer_id, "invoice_paid", description="It is paid")
        raise ZeroDivisionError


async def test_what_was_rolled_back_is_never_sent(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    await merchant.endpoint()
    with pytest.raises(ZeroDivisionError):
        await _begin_and_fail(merchant, ada)
    assert await merchant.publish() == 0
    await merchant.deliver()
    assert merchant.sender.posted == []


async def test_a_failure_holds_back_that_customers_later_events_and_nobody_elses(db: Database) -> None:
    merchant = Merchant(db)
    ada, bob = await merchant.customer(), await merchant.customer()
    await merchant.endpoint()
    merchant.sender.answers = [_BROKEN]
    await merchant.happens(ada, "invoice_opened", "invoice_paid")
    await merchant.deliver()
    await merchant.happens(bob, "subscription_started")
    await merchant.happens(ada, "subscription_ended")
    await merchant.deliver()
    assert merchant.types() == ["invoice.opened", "subscription.started"]
    await merchant.wait(seconds=5)
    assert merchant.types()[2:] == ["invoice.opened", "invoice.paid", "subscription.ended"]
    # A repeated event is the same message: same id, same body; only the time of sending differs.
    once, again = merchant.sender.posted[0], merchant.sender.posted[2]
    assert (once.body, once.headers["webhook-id"]) == (again.body, again.headers["webhook-id"])


async def test_an_endpoint_that_hangs_does_not_hold_up_another_one(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    await merchant.endpoint(url="https://slow.example.com/")
    await merchant.endpoint()
    merchant.sender.refusing["https://slow.example.com/"] = _HANGING
    await merchant.happens(ada, "invoice_opened", "invoice_paid")
    await merchant.deliver()
    assert merchant.types() == ["invoice.opened", "invoice.paid"]
    assert merchant.types("https://slow.example.com/") == ["invoice.opened"]


async def test_after_three_days_without_success_it_is_disabled_and_staff_are_told_and_nothing_is_lost(
    db: Database,
) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    endpoint = await merchant.endpoint()
    merchant.sender.refusing[URL] = _BROKEN
    await merchant.happens(ada, "invoice_opened")
    await merchant.deliver()
    for _ in range(20):
        await merchant.wait(hours=8)
    async with db.transaction() as tx:
        found = await endpoints.get_endpoint(tx, merchant.call, endpoint.id)
        [alert] = await staffing.list_alerts(tx, merchant.call)
        mails = sa.text("SELECT count(*) FROM outbox_job WHERE kind = 'mail_staff'")
        assert await tx.value(mails) == 1
    assert (found.state, found.disabled_by) == (EndpointState.DISABLED, DisabledBy.FAILING)
    assert (alert.subject, alert.severity) == ("Webhook endpoint disabled: CRM", "critical")
    # Tries at 0 h and then every 8 h up to the 72nd: 10 in all.
    assert len(merchant.sender.posted) == 10

    # What happens meanwhile waits behind it, and nothing is sent.
    await merchant.happens(ada, "invoice_paid")
    await merchant.wait(hours=8)
    assert len(merchant.sender.posted) == 10
    merchant.sender.refusing.clear()
    async with db.transaction() as tx:
        await endpoints.enable_endpoint(tx, merchant.call, endpoint.id)
    await merchant.deliver()
    assert merchant.types()[10:] == ["invoice.opened", "invoice.paid"]


async def test_one_customers_poisoned_event_is_held_and_the_others_go_on(db: Database) -> None:
    merchant = Merchant(db)
    ada, bob = await merchant.customer(), await merchant.customer()
    endpoint = await merchant.endpoint()
    await merchant.happens(ada, "invoice_opened")
    for _ in range(12):
        merchant.sender.answers = [_BROKEN]
        await merchant.wait(hours=8)
        merchant.sender.answers = []
        await merchant.happens(bob, "invoice_paid")
        await merchant.deliver()
    async with db.transaction() as tx:
        found = await endpoints.get_endpoint(tx, merchant.call, endpoint.id)
        [alert] = await staffing.list_alerts(tx, merchant.call)
        waiting = await service.waiting_by_id(tx, merchant.call, [endpoint.id])
    assert found.state is EndpointState.ENABLED
    assert alert.kind == "webhook_held"
    assert (waiting[endpoint.id].lanes, waiting[endpoint.id].held) == (1, 1)


async def test_an_endpoint_that_says_it_is_gone_is_disabled_at_once(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    endpoint = await merchant.endpoint()
    merchant.sender.answers = [Reply(Outcome.REFUSED, 3, 410)]
    await merchant.happens(ada, "invoice_opened")
    await merchant.deliver()
    async with db.transaction() as tx:
        assert (await endpoints.get_endpoint(tx, merchant.call, endpoint.id)).disabled_by is DisabledBy.GONE


async def test_a_worker_that_died_is_followed_by_another_one_and_its_late_note_changes_nothing(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    endpoint = await merchant.endpoint()
    await merchant.happens(ada, "invoice_opened")
    await merchant.publish()
    dead, [lane] = await merchant.claim(endpoint.id)
    assert await merchant.claim(endpoint.id) != (dead, [lane])
    assert (await merchant.claim(endpoint.id))[1] == [], "nobody else has it while its lease runs"
    await merchant.wait(seconds=60)
    assert merchant.types() == ["invoice.opened"]
    await merchant.follow(lane, dead)
    assert merchant.types() == ["invoice.opened"]


async def test_numbers_have_no_gaps_and_follow_the_order_of_writing(db: Database) -> None:
    merchant = Merchant(db)
    ada, bob = await merchant.customer(), await merchant.customer()
    await merchant.happens(ada, "invoice_opened", "invoice_paid")
    assert await merchant.publish() == 2
    await merchant.happens(bob, "invoice_opened")
    await merchant.happens(ada, "invoice_voided")
    assert (await merchant.publish(), await merchant.publish()) == (2, 0)
    async with db.transaction() as tx:
        rows = await tx.rows(sa.text("SELECT customer_id, type, number, sequence FROM billing_event ORDER BY number"))
    assert [tuple(row) for row in rows] == [
        (ada, "invoice_opened", 1, 1),
        (ada, "invoice_paid", 2, 2),
        (bob, "invoice_opened", 3, 1),
        (ada, "invoice_voided", 4, 3),
    ]


async def test_a_test_endpoint_hears_nothing_of_live_customers(db: Database) -> None:
    merchant = Merchant(db)
    liv = await merchant.customer(environment=Environment.LIVE)
    await merchant.endpoint()
    await merchant.happens(liv, "invoice_opened")
    await merchant.deliver()
    assert merchant.sender.posted == []


async def test_an_endpoint_is_tried_with_an_event_about_nothing(db: Database) -> None:
    merchant = Merchant(db)
    endpoint = await merchant.endpoint()
    merchant.sender.answers = [_BROKEN]
    made = await service.probe_endpoint(db, merchant.sender, merchant.call, endpoint.id)
    assert (made.outcome, made.status, made.number) == (Outcome.REFUSED, 500, None)
    assert merchant.types() == ["endpoint.test"]
    assert [each.type for each in await _log(merchant, endpoint.id, failed_only=True)] == ["endpoint.test"]


async def test_the_answer_of_an_endpoint_is_kept_sealed_and_the_log_for_thirty_days(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    endpoint = await merchant.endpoint()
    merchant.sender.answers = [_BROKEN]
    await merchant.happens(ada, "invoice_opened")
    await merchant.deliver()
    async with db.transaction() as tx:
        kept = await tx.value(sa.text("SELECT excerpt FROM webhook_delivery"))
    assert b"Ada" not in kept
    assert [each.excerpt for each in await _log(merchant, endpoint.id)] == [_BROKEN.excerpt]
    merchant.now += timedelta(days=30)
    async with db.transaction() as tx:
        assert await service.forget(tx, merchant.call) == 0
    merchant.now += timedelta(seconds=1)
    async with db.transaction() as tx:
        assert await service.forget(tx, merchant.call) == 1


async def test_a_lane_of_many_uninteresting_events_is_passed_in_steps(db: Database) -> None:
    merchant = Merchant(db)
    ada = await merchant.customer()
    endpoint = await merchant.endpoint("invoice.paid")
    merchant.sender.answers = [_BROKEN]
    await merchant.happens(ada, "invoice_paid")
    await merchant.deliver()
    await merchant.happens(ada, *["payment_failed"] * (service.LOOKED_MAX + 1), "invoice_paid")
    await merchant.wait(seconds=5)
    await merchant.wait(seconds=1)
    assert merchant.types() == ["invoice.paid"] * 3
    async with db.transaction() as tx:
        assert (await service.waiting_by_id(tx, merchant.call, [endpoint.id]))[endpoint.id].lanes == 0


async def test_whoever_sees_one_customer_only_sees_no_endpoint_and_none_of_another_environment_is_found(
    db: Database,
) -> None:
    merchant = Merchant(db)
    endpoint = await merchant.endpoint()
    one = make.call(by=make.principal(Permission.WEBHOOK_READ, customer_id=await merchant.customer()))
    live = make.call(by=make.principal(Permission.WEBHOOK_READ, environment=Environment.LIVE))
    async with db.transaction() as tx:
        with pytest.raises(Forbidden):
            await service.list_deliveries(tx, one, endpoint.id)
        with pytest.raises(EndpointNotFound):
            await service.list_deliveries(tx, live, endpoint.id)
        assert await endpoints.list_endpoints(tx, live) == []
        assert await endpoints.list_endpoints(tx, live, environment=Environment.TEST) == []
        with pytest.raises(EndpointNotFound):
            await endpoints.get_endpoint(tx, merchant.call, EndpointId(UUID(int=5)))
