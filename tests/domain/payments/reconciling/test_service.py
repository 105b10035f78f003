"""Comparisons with the gateway on real Postgres: what is healed, what is left to a person, and what breaks off."""

import dataclasses
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from domain.adapters import clock
from domain.adapters.memory import MemoryGateway
from domain.adapters.stripe import StripeGateway
from domain.customers.customer import CollectionMethod
from domain.db import Database
from domain.journal.store import audit_entry, outbox_job
from domain.kernel.call import Call, Environment, Forbidden
from domain.payments import service as payments
from domain.payments.disputing import service as disputing
from domain.payments.listed import GatewayRefund
from domain.payments.port import (
    GatewayEnvironmentDiffers,
    GatewayInvoiceState,
    GatewayRefused,
    GatewayUnavailable,
    PaymentGateway,
)
from domain.payments.reconciling import service
from domain.payments.reconciling.finding import Finding, Outcome
from domain.payments.reconciling.run import Run, Stage
from tests import make
from tests.domain.payments.gateways import MemoryProbe, SandboxProbe
from tests.domain.payments.till import DEBIT, VISA, Till, open_till, system

_NIGHT, _NEXT_NIGHT = "2026-01-16T03:00", "2026-01-17T03:00"
_STEPS = 50


async def _begin(db: Database, gateway: PaymentGateway, when: str = _NIGHT) -> Run:
    async with db.transaction() as tx:
        return await service.start(tx, system(when), gateway, trigger="schedule")


async def _compare(db: Database, gateway: PaymentGateway, when: str = _NIGHT) -> list[tuple[str, str, str, str]]:
    """Carry a whole comparison out and return what it saw: kind, ours, theirs, outcome."""
    run = await _begin(db, gateway, when)
    ended = await service.go_on(db, gateway, system(when), run.id, steps=_STEPS)
    assert ended.ended_at is not None
    found = await _findings(db, run_id=run.id)
    return sorted((each.kind.value, each.ours, each.theirs, each.outcome.value) for each in found)


async def _findings(db: Database, run_id: UUID | None = None) -> list[Finding]:
    async with db.transaction() as tx:
        found = await service.list_findings(tx, system(), outcome=None, run_id=run_id, before=None, limit=100)
    return list(found)


async def _paid(db: Database, gateway: PaymentGateway) -> Till:
    """Make a till whose invoice was paid by card."""
    till = await open_till(db)
    await till.attach(gateway, VISA)
    await till.collect(gateway)
    assert await till.state() == "paid"
    return till


async def test_what_agrees_is_no_finding(db: Database, memory_gateway: MemoryGateway) -> None:
    await _paid(db, memory_gateway)
    assert await _compare(db, memory_gateway) == []
    async with db.transaction() as tx:
        [run] = await service.list_runs(tx, system(), before=None, limit=9)
    # A customer, twice (of the gateway, and its methods), an invoice, twice, and a payment.
    assert (run.compared, run.stage) == (5, Stage.REPORT)


async def test_a_payment_whose_news_was_lost_is_followed(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, DEBIT)
    await till.collect(memory_gateway)
    memory_gateway.settle(await till.gateway_invoice_id(), succeeds=True)
    assert await _compare(db, memory_gateway) == [("invoice_state", "open", "paid", "healed")]
    assert await till.state() == "paid"
    assert await till.posted("invoice_paid") == 1
    assert await _compare(db, memory_gateway, _NEXT_NIGHT) == []


async def test_money_is_never_put_right_silently(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await _paid(db, memory_gateway)
    memory_gateway.skew_minor = 1
    [gateway_customer] = memory_gateway.customers
    memory_gateway.listing.balances[gateway_customer] = -500
    [attempt] = await till.attempt_rows()
    assert attempt.gateway_payment_id is not None
    at = make.at("2026-01-15T13:00")
    memory_gateway.listing.refunds.append(
        GatewayRefund("re_1", "succeeded", "USD", 250, attempt.gateway_payment_id, at)
    )
    before = await till.told()
    assert await _compare(db, memory_gateway) == [
        ("customer_balance", "0", "-5.00 USD", "open"),
        ("invoice_total", "29.00 USD", "29.01 USD", "open"),
        ("refund_unknown", "none", "succeeded 2.50 USD", "open"),
    ]
    assert (await till.state(), await till.attempts(), await till.told()) == ("paid", ["succeeded"], before)


async def test_a_finding_is_one_until_it_is_gone(db: Database, memory_gateway: MemoryGateway) -> None:
    await _paid(db, memory_gateway)
    memory_gateway.skew_minor = 1
    await _compare(db, memory_gateway)
    await _compare(db, memory_gateway, _NEXT_NIGHT)
    [found] = await _findings(db)
    assert (found.first_seen_at, found.last_seen_at) == (make.at(_NIGHT), make.at(_NEXT_NIGHT))
    # Weeks later the invoice is outside of what is compared, but is looked at once more for the report.
    memory_gateway.skew_minor = 0
    await _compare(db, memory_gateway, "2026-03-20T03:00")
    [gone] = await _findings(db)
    assert (gone.id, gone.outcome, gone.closed_at) == (found.id, "gone", make.at("2026-03-20T03:00"))


async def test_orphans_are_found_on_both_sides(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await _paid(db, memory_gateway)
    copy_id = await till.gateway_invoice_id()
    copy = memory_gateway.copies.pop(copy_id)
    memory_gateway.copies["in_stray"] = dataclasses.replace(copy, id="in_stray")
    memory_gateway.customers["cus_stray"] = till.customer.id
    [known, _] = memory_gateway.customers
    assert await _compare(db, memory_gateway) == [
        ("customer_unknown", known, "cus_stray", "open"),
        ("invoice_missing", "paid", "none", "open"),
        ("invoice_unknown", copy_id, "paid 29.00 USD", "open"),
    ]


async def test_methods_are_followed_both_ways(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await _paid(db, memory_gateway)
    [known] = memory_gateway.methods
    [gateway_customer] = memory_gateway.customers
    other = await memory_gateway.attach_method(gateway_customer, "pm_card_mastercard", key="in the browser")
    memory_gateway.detach(known)
    assert await _compare(db, memory_gateway) == [
        ("method_missing", "card", "none", "healed"),
        ("method_unknown", "none", "card", "healed"),
    ]
    memory_gateway.methods[other.id] = dataclasses.replace(other, exp_year=2035)
    assert await _compare(db, memory_gateway, _NEXT_NIGHT) == [
        ("method_details", "4242 12/2030", "4242 12/2035", "healed")
    ]
    del memory_gateway.methods[other.id]
    assert await _compare(db, memory_gateway, "2026-01-18T03:00") == [("method_missing", "card", "none", "open")]
    del till


async def test_transferred_money_whose_news_was_lost_is_booked(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db, collection=CollectionMethod.SEND)
    await till.collect(memory_gateway)
    memory_gateway.transfers.arrive(till.customer.id, 2_000)
    assert await _compare(db, memory_gateway) == [("cash_unknown", "none", "20.00 USD", "healed")]
    assert await till.posted("cash_moved") == 1
    assert await _compare(db, memory_gateway, _NEXT_NIGHT) == []


async def test_a_customer_whom_the_gateway_does_not_know_is_found(db: Database, memory_gateway: MemoryGateway) -> None:
    await _paid(db, memory_gateway)
    [gateway_customer] = memory_gateway.customers
    # The first page of customers, then that of the methods.
    memory_gateway.listing.failures = [None, GatewayRefused("resource_missing")]
    assert await _compare(db, memory_gateway) == [("customer_missing", gateway_customer, "none", "open")]


async def test_a_copy_that_is_to_be_closed_is_left_to_the_collection(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, "pm_card_chargeDeclined")
    await till.collect(memory_gateway)
    async with db.transaction() as tx:
        await tx.execute(sa.text("UPDATE invoice SET state = 'uncollectible', written_off_at = '2026-01-15'"))
        await tx.execute(outbox_job.update().values(state="done"))
    assert await _compare(db, memory_gateway) == [("invoice_state", "uncollectible", "open", "healed")]
    assert await till.staged("collect_invoice") == 1
    await till.collect(memory_gateway)
    assert await _compare(db, memory_gateway, _NEXT_NIGHT) == []


async def test_a_run_that_breaks_off_goes_on_from_its_last_page(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await _paid(db, memory_gateway)
    for number in range(4):
        memory_gateway.customers[f"cus_{number}"] = till.customer.id
    run = await _begin(db, memory_gateway)
    memory_gateway.listing.failures = [None, GatewayUnavailable("down")]
    with pytest.raises(GatewayUnavailable):
        await service.go_on(db, memory_gateway, system(_NIGHT), run.id, steps=_STEPS)
    # Five customers of the gateway on pages of two: the first page is done.
    [stands] = await _runs(db)
    assert (stands.stage, stands.compared, stands.after is not None) == (Stage.CUSTOMERS, 2, True)
    again = await _begin(db, memory_gateway)
    assert again.id == run.id
    ended = await service.go_on(db, memory_gateway, system(_NIGHT), run.id, steps=_STEPS)
    # Five customers of the gateway, one of ours, an invoice, twice, and a payment.
    assert (ended.compared, ended.ended_at) == (9, make.at(_NIGHT))
    assert len(await _findings(db)) == 4


async def test_a_place_that_the_gateway_has_forgotten_begins_the_stage_anew(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await _paid(db, memory_gateway)
    for number in range(2):
        memory_gateway.customers[f"cus_{number}"] = till.customer.id
    run = await _begin(db, memory_gateway)
    memory_gateway.listing.failures = [None, GatewayRefused("resource_missing")]
    await service.go_on(db, memory_gateway, system(_NIGHT), run.id, steps=2)
    [stands] = await _runs(db)
    assert (stands.stage, stands.after) == (Stage.CUSTOMERS, None)
    ended = await service.go_on(db, memory_gateway, system(_NIGHT), run.id, steps=_STEPS)
    assert ended.ended_at is not None
    assert len(await _findings(db)) == 2


async def test_a_refusal_of_a_first_page_is_told(db: Database, memory_gateway: MemoryGateway) -> None:
    run = await _begin(db, memory_gateway)
    memory_gateway.listing.failures = [GatewayRefused("invalid_request")]
    with pytest.raises(GatewayRefused):
        await service.go_on(db, memory_gateway, system(_NIGHT), run.id)


async def test_it_begins_once_a_night(db: Database, memory_gateway: MemoryGateway) -> None:
    async def nightly(when: str) -> Run | None:
        async with db.transaction() as tx:
            return await service.start_nightly(tx, system(when), memory_gateway)

    first = await nightly("2026-01-16T03:00")
    assert first is not None
    assert await nightly("2026-01-16T03:10") is None
    # The night after, the one of the night before is still under way: it goes on.
    later = await nightly(_NEXT_NIGHT)
    assert later is not None
    assert later.id == first.id
    async with db.transaction() as tx:
        jobs = await tx.rows(outbox_job.select().where(outbox_job.c.kind == "reconcile"))
    assert len(jobs) == 1


async def test_a_finding_is_closed_once_by_a_person_with_a_note(db: Database, memory_gateway: MemoryGateway) -> None:
    await _paid(db, memory_gateway)
    memory_gateway.skew_minor = 1
    await _compare(db, memory_gateway)
    [found] = await _findings(db)
    for note in ("", " ", "x" * 501):
        async with db.transaction() as tx:
            with pytest.raises(service.FindingNoteMalformed):
                await service.close_finding(tx, system(), found.id, note=note)
    async with db.transaction() as tx:
        closed = await service.close_finding(tx, system(), found.id, note=" agreed with them ")
    assert (closed.outcome, closed.note) == (Outcome.CLOSED, "agreed with them")
    for unknown in (found.id, make.new_id()):
        async with db.transaction() as tx:
            with pytest.raises(service.FindingNotFound):
                await service.close_finding(tx, system(), unknown, note="again")
    async with db.transaction() as tx:
        told = await tx.rows(audit_entry.select().where(audit_entry.c.action == "close_drift_finding"))
    assert [each.facts["theirs"] for each in told] == ["29.01 USD"]


@pytest.mark.parametrize(
    "by",
    [
        make.principal(),
        make.principal("job:read", "job:write", environment=Environment.TEST),
    ],
)
async def test_only_staff_of_both_environments_see_the_report(
    db: Database, memory_gateway: MemoryGateway, by: object
) -> None:
    call: Call = make.call(by=by)  # type: ignore[arg-type]
    async with db.transaction() as tx:
        with pytest.raises(Forbidden):
            await service.start(tx, call, memory_gateway, trigger="staff")
        with pytest.raises(Forbidden):
            await service.list_runs(tx, call, before=None, limit=1)
        with pytest.raises(Forbidden):
            await service.list_findings(tx, call, outcome=None, run_id=None, before=None, limit=1)
        with pytest.raises(Forbidden):
            await service.close_finding(tx, call, make.new_id(), note="no")
    assert await _runs(db) == []


async def test_a_run_belongs_to_the_environment_of_its_key(db: Database, memory_gateway: MemoryGateway) -> None:
    run = await _begin(db, memory_gateway)
    live = MemoryGateway(Environment.LIVE)
    with pytest.raises(GatewayEnvironmentDiffers):
        await service.go_on(db, live, system(_NIGHT), run.id)
    async with db.transaction() as tx:
        with pytest.raises(GatewayEnvironmentDiffers):
            await service.start(tx, system(_NIGHT), live, trigger="staff", environment=Environment.TEST)


async def test_the_sandbox_and_our_rows_agree_after_a_payment(
    db: Database, stripe_gateway: StripeGateway, sandbox: SandboxProbe
) -> None:
    till = await open_till(db)
    await till.attach(stripe_gateway, DEBIT)
    await till.collect(stripe_gateway)
    await sandbox.settle(await till.gateway_invoice_id(), succeeds=True)
    # What was made there is of the present: the window has to reach beyond it.
    tomorrow = f"{clock.now() + timedelta(days=1):%Y-%m-%dT%H:%M}"
    async with db.transaction() as tx:
        await tx.execute(sa.text("UPDATE gateway_invoice SET keyed_at = '2026-01-15T12:00Z'"))
    run = await _begin(db, stripe_gateway, tomorrow)
    async with db.transaction() as tx:
        await tx.execute(sa.text("UPDATE reconciliation_run SET window_start = '2026-01-01T00:00Z'"))
    ended = await service.go_on(db, stripe_gateway, system(tomorrow), run.id, steps=_STEPS)
    found = await _findings(db)
    assert [(each.kind.value, each.outcome.value) for each in found] == [("invoice_state", "healed")]
    assert ended.compared == 5
    assert await till.state() == "paid"


async def _runs(db: Database) -> list[Run]:
    async with db.transaction() as tx:
        return list(await service.list_runs(tx, system(), before=None, limit=9))


async def _dispute(till: Till, gateway: MemoryGateway, reason: str) -> str:
    """Have the till's payment disputed, without any news of it."""
    [attempt] = await till.attempt_rows()
    assert attempt.gateway_payment_id is not None
    return await MemoryProbe(gateway).dispute(attempt.gateway_payment_id, reason)


async def test_a_dispute_whose_news_were_lost_is_followed_and_so_is_its_end(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await _paid(db, memory_gateway)
    dispute_id = await _dispute(till, memory_gateway, "fraudulent")
    assert await _compare(db, memory_gateway) == [
        ("dispute_unknown", "none", "needs_response 29.00 USD", "healed"),
    ]
    assert await till.posted("dispute_withdrawn") == 1
    await MemoryProbe(memory_gateway).decide(dispute_id, "lost")
    # Months later it is in no window any more, and compared because it is open here.
    assert await _compare(db, memory_gateway, "2026-06-01T03:00") == [
        ("dispute_status", "needs_response 29.00 USD", "lost 29.00 USD", "healed"),
    ]
    assert await till.state() == "charged_back"
    assert await _compare(db, memory_gateway, "2026-06-02T03:00") == []


async def test_a_dispute_that_may_not_be_followed_stays_for_a_person(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await _paid(db, memory_gateway)
    dispute_id = await _dispute(till, memory_gateway, "fraudulent")
    await MemoryProbe(memory_gateway).decide(dispute_id, "won")
    assert [each[3] for each in await _compare(db, memory_gateway)] == ["healed"]
    # What was won is opened anew there.
    await MemoryProbe(memory_gateway).decide(dispute_id, "lost")
    assert await _compare(db, memory_gateway, _NEXT_NIGHT) == [
        ("dispute_status", "won 29.00 USD", "lost 29.00 USD", "open"),
    ]
    assert await till.state() == "paid"
    await MemoryProbe(memory_gateway).decide(dispute_id, "won")
    assert await _compare(db, memory_gateway, "2026-01-18T03:00") == []
    assert [each.outcome for each in await _findings(db)] == [Outcome.GONE, Outcome.HEALED]


async def test_both_copies_of_an_invoice_that_was_asked_for_again_are_known(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, DEBIT)
    await till.collect(memory_gateway)
    first = await till.gateway_invoice_id()
    memory_gateway.settle(first, succeeds=True)
    await payments.settle_from_gateway(db, memory_gateway, system(), first)
    await disputing.settle_from_gateway(
        db, memory_gateway, system(), await _dispute(till, memory_gateway, "insufficient_funds")
    )
    assert await _compare(db, memory_gateway) == []
    await till.attach(memory_gateway, VISA, "2026-01-15T13:00")
    await till.collect(memory_gateway, "2026-01-15T13:00")
    assert await till.state() == "paid"
    assert await _compare(db, memory_gateway, _NEXT_NIGHT) == []
    # The first one is paid there for ever; anything else is for a person.
    memory_gateway.copies[first].state = GatewayInvoiceState.VOID
    assert await _compare(db, memory_gateway, "2026-01-18T03:00") == [("invoice_state", "paid", "void", "open")]
