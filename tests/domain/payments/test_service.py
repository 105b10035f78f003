"""Collection on real Postgres, against the gateway in memory and against the Stripe adapter with the sandbox."""

import asyncio
import contextlib

import pytest

from domain.adapters.memory import MemoryGateway
from domain.db import Database, Tx
from domain.kernel.call import Environment
from domain.payments import service, store
from domain.payments.attempt import Attempt
from domain.payments.port import (
    GatewayEnvironmentDiffers,
    GatewayUnavailable,
    PaymentGateway,
    PayOutcome,
    PayState,
)
from domain.payments.push import GatewayCopyDiffers
from domain.subscriptions import service as subscriptions
from tests.domain.payments.gateways import Probe
from tests.domain.payments.till import CONFIRMED, DEBIT, NO_FUNDS, PRICE_MINOR, VISA, open_till, system


async def test_an_invoice_is_pushed_charged_once_and_marked_paid(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    method = await till.attach(gateway)
    assert (method.kind, method.brand, method.last4, method.is_default) == ("card", "visa", "4242", True)
    attempt = await till.collect(gateway)
    assert attempt is not None
    assert attempt.state == "succeeded"
    assert attempt.amount == till.invoice.total
    assert attempt.gateway_payment_id is not None
    assert await till.state() == "paid"
    assert await probe.charges() == [PRICE_MINOR]
    assert await till.posted("invoice_paid") == 1
    assert await till.staged("payment_settled") == 1
    assert await till.told() == ["payment_method_attached", "payment_succeeded"]


async def test_collecting_a_paid_invoice_again_changes_nothing(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    await till.attach(gateway)
    await till.collect(gateway)
    for _ in range(3):
        await till.collect(gateway)
    assert await probe.charges() == [PRICE_MINOR]
    assert await till.attempts() == ["succeeded"]
    assert await till.staged("payment_settled") == 1


async def test_two_runs_at_once_make_one_copy_and_one_charge(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    await till.attach(gateway)
    both = await asyncio.gather(till.collect(gateway), till.collect(gateway), return_exceptions=True)
    assert any(isinstance(each, Attempt) and each.state == "succeeded" for each in both), both
    assert await probe.charges() == [PRICE_MINOR]
    assert await probe.invoices() == ["paid"]
    assert await till.attempts() == ["succeeded"]
    assert await till.posted("invoice_paid") == 1
    assert await till.staged("payment_settled") == 1


async def test_a_crash_between_the_attempt_and_the_charge_is_taken_up_by_the_next_run(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    await till.attach(gateway)
    await probe.lose("pay", "before")
    with pytest.raises(GatewayUnavailable):
        await till.collect(gateway)
    assert await till.attempts() == ["unknown"]
    assert await till.state() == "open"
    assert await probe.charges() == []
    assert await till.staged("payment_settled") == 0
    await till.collect(gateway)
    assert await till.attempts() == ["succeeded"]
    assert await probe.charges() == [PRICE_MINOR]


async def test_a_lost_reply_is_found_out_and_never_charged_again(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    await till.attach(gateway)
    await probe.lose("pay", "after")
    # Stripe's package sends the key again by itself and is then told the answer; the gateway in memory leaves it to us.
    with contextlib.suppress(GatewayUnavailable):
        await till.collect(gateway)
    assert await probe.charges() == [PRICE_MINOR]
    await till.collect(gateway)
    assert await till.attempts() == ["succeeded"]
    assert await till.state() == "paid"
    assert await probe.charges() == [PRICE_MINOR]


async def test_a_lost_reply_leaves_the_attempt_unknown(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway)
    memory_gateway.lose("pay", "after", times=2)
    with pytest.raises(GatewayUnavailable):
        await till.collect(memory_gateway)
    assert await till.attempts() == ["unknown"]
    assert await till.state() == "open"
    assert await till.staged("payment_settled") == 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", ["ensure_customer", "create_invoice", "add_lines", "finalise_invoice"])
async def test_a_push_that_breaks_off_is_finished_by_the_next_run(
    db: Database, memory_gateway: MemoryGateway, operation: str, when: str
) -> None:
    till = await open_till(db)
    if operation == "ensure_customer":
        memory_gateway.lose(operation, "after" if when == "after" else "before")
        with pytest.raises(GatewayUnavailable):
            await till.attach(memory_gateway)
        await till.attach(memory_gateway)
    else:
        await till.attach(memory_gateway)
        memory_gateway.lose(operation, "after" if when == "after" else "before")
        with pytest.raises(GatewayUnavailable):
            await till.collect(memory_gateway)
    await till.collect(memory_gateway)
    assert len(memory_gateway.customers) == 1
    assert [copy.state for copy in memory_gateway.copies.values()] == ["paid"]
    assert [amount for _, amount in memory_gateway.charges] == [PRICE_MINOR]


async def test_a_decline_leaves_the_invoice_open_and_is_not_repeated_by_itself(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    await till.attach(gateway, NO_FUNDS)
    attempt = await till.collect(gateway)
    assert attempt is not None
    assert attempt.state == "failed"
    assert attempt.decline is not None
    assert (attempt.decline.kind, attempt.decline.decline_code) == ("soft", "insufficient_funds")
    assert await till.state() == "open"
    assert await till.staged("payment_settled") == 1
    assert await till.told() == ["payment_method_attached", "payment_failed"]
    await till.collect(gateway)
    assert await till.attempts() == ["failed"]
    assert await probe.charges() == []
    assert await till.posted("invoice_paid") == 0


async def test_a_new_method_after_a_decline_is_charged_under_a_new_key(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    await till.attach(gateway, NO_FUNDS)
    await till.collect(gateway)
    await till.attach(gateway, VISA, when="2026-01-16T12:00")
    await till.collect(gateway, when="2026-01-16T12:01")
    assert await till.attempts() == ["failed", "succeeded"]
    newest, oldest = await till.attempt_rows()
    assert oldest.key.removesuffix("1") == newest.key.removesuffix("2")
    assert await probe.charges() == [PRICE_MINOR]
    assert await probe.invoices() == ["paid"]


async def test_a_payment_that_waits_for_the_customer_is_superseded_by_a_new_method(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    await till.attach(gateway, CONFIRMED)
    await till.collect(gateway)
    await till.collect(gateway)
    assert await till.attempts() == ["action_required"]
    # That it waits for the customer is news for dunning, once.
    assert await till.staged("payment_settled") == 1
    await till.attach(gateway, VISA, when="2026-01-16T12:00")
    await till.collect(gateway, when="2026-01-16T12:01")
    assert await till.attempts() == ["superseded", "succeeded"]
    assert await probe.charges() == [PRICE_MINOR]


@pytest.mark.parametrize(("succeeds", "attempt", "invoice"), [(True, "succeeded", "paid"), (False, "failed", "open")])
async def test_a_bank_debit_blocks_other_attempts_until_it_settles(
    db: Database, gateway: PaymentGateway, probe: Probe, *, succeeds: bool, attempt: str, invoice: str
) -> None:
    till = await open_till(db)
    await till.attach(gateway, DEBIT)
    await till.collect(gateway)
    await till.attach(gateway, VISA, when="2026-01-16T12:00")
    await till.collect(gateway, when="2026-01-16T12:01")
    assert await till.attempts() == ["processing"]
    assert await till.state() == "open"
    copy = await till.gateway_invoice_id()
    await probe.settle(copy, succeeds=succeeds)
    for _ in range(2):
        customer_id = await service.settle_from_gateway(db, gateway, system("2026-01-19T12:00"), copy)
        assert customer_id == till.customer.id
    assert await till.attempts() == [attempt]
    assert await till.state() == invoice
    assert await till.staged("payment_settled") == 1


async def test_news_before_the_reply_settle_once_and_the_reply_changes_nothing(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway)
    memory_gateway.lose("pay", "after")
    with pytest.raises(GatewayUnavailable):
        await till.collect(memory_gateway)
    copy = await till.gateway_invoice_id()
    await service.settle_from_gateway(db, memory_gateway, system(), copy)
    assert await till.attempts() == ["succeeded"]
    [attempt] = await till.attempt_rows()
    async with db.transaction() as tx:
        late = PayOutcome(PayState.PAID, gateway_payment_id="pi_late")
        assert await service.settle_attempt(tx, system(), system().at, attempt, late) == attempt
    assert await till.staged("payment_settled") == 1
    assert await till.posted("invoice_paid") == 1


async def test_old_news_of_a_decline_do_not_end_an_attempt_whose_answer_is_not_known(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, NO_FUNDS)
    await till.collect(memory_gateway)
    await till.attach(memory_gateway, VISA, when="2026-01-16T12:00")
    memory_gateway.lose("pay", "before")
    with pytest.raises(GatewayUnavailable):
        await till.collect(memory_gateway, when="2026-01-16T12:01")
    # The gateway still shows the decline of the first attempt.
    await service.settle_from_gateway(db, memory_gateway, system("2026-01-16T12:02"), await till.gateway_invoice_id())
    assert await till.attempts() == ["failed", "unknown"]
    await till.collect(memory_gateway, when="2026-01-16T12:03")
    assert await till.attempts() == ["failed", "succeeded"]


async def test_money_that_came_another_way_pays_the_invoice_with_an_attempt_of_its_own(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    await till.attach(gateway, NO_FUNDS)
    await till.collect(gateway)
    copy = await till.gateway_invoice_id()
    await probe.pay_outside(copy)
    for _ in range(2):
        await service.settle_from_gateway(db, gateway, system(), copy)
    assert await till.attempts() == ["failed", "succeeded"]
    [newest, _] = await till.attempt_rows()
    assert newest.method_id is None
    assert await till.state() == "paid"
    assert await till.posted("invoice_paid") == 1


async def test_an_old_key_is_never_sent_again(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway)
    memory_gateway.lose("pay", "before")
    with pytest.raises(GatewayUnavailable):
        await till.collect(memory_gateway, when="2026-01-15T12:00")
    # 23 hours later the gateway may have forgotten the key: the attempt is closed, and a new one has a new key.
    await till.collect(memory_gateway, when="2026-01-16T11:00")
    assert await till.attempts() == ["failed", "succeeded"]
    [_, lost] = await till.attempt_rows()
    assert lost.decline is not None
    assert lost.decline.code == "outcome_lost"
    assert len(memory_gateway.charges) == 1


async def test_a_reconciler_finds_out_what_is_older_than_two_minutes(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    await till.attach(gateway)
    await probe.lose("pay", "before")
    with pytest.raises(GatewayUnavailable):
        await till.collect(gateway, when="2026-01-15T12:00")
    assert await service.reconcile_stale(db, gateway, system("2026-01-15T12:02"), limit=10) == 0
    assert await till.attempts() == ["unknown"]
    assert await service.reconcile_stale(db, gateway, system("2026-01-15T12:03"), limit=10) == 1
    assert await till.attempts() == ["succeeded"]
    assert await probe.charges() == [PRICE_MINOR]


async def test_a_copy_with_another_total_is_deleted_and_never_paid(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway)
    memory_gateway.skew_minor = 1
    with pytest.raises(GatewayCopyDiffers, match="total"):
        await till.collect(memory_gateway)
    assert memory_gateway.copies == {}
    assert await till.attempts() == []
    assert await till.audited("gateway_copy_differs") == 1
    # Once the cause is gone the next run makes a new copy, under new keys.
    memory_gateway.skew_minor = 0
    await till.collect(memory_gateway)
    assert await till.state() == "paid"


async def test_a_copy_that_changes_after_it_was_opened_is_not_paid(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, NO_FUNDS)
    await till.collect(memory_gateway)
    memory_gateway.skew_minor = -100
    await till.attach(memory_gateway, VISA, when="2026-01-16T12:00")
    with pytest.raises(GatewayCopyDiffers, match="total, remaining"):
        await till.collect(memory_gateway, when="2026-01-16T12:01")
    assert await till.attempts() == ["failed"]
    assert memory_gateway.charges == []


async def test_a_half_made_copy_with_old_keys_is_deleted_and_made_anew(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway)
    for operation, when in (("add_lines", "2026-01-15T12:00"), ("create_invoice", "2026-01-16T12:00")):
        memory_gateway.lose(operation, "after")
        with pytest.raises(GatewayUnavailable):
            await till.collect(memory_gateway, when=when)
    # The second loss left a draft whose id we never learned; its key is a day old here.
    assert [copy.state for copy in memory_gateway.copies.values()] == ["draft"]
    await till.collect(memory_gateway, when="2026-01-17T12:00")
    assert [copy.state for copy in memory_gateway.copies.values()] == ["paid"]
    assert [amount for _, amount in memory_gateway.charges] == [PRICE_MINOR]


async def test_a_live_customer_is_not_collected_with_a_test_key(db: Database, gateway: PaymentGateway) -> None:
    till = await open_till(db, environment=Environment.LIVE)
    with pytest.raises(GatewayEnvironmentDiffers):
        await till.attach(gateway)
    with pytest.raises(GatewayEnvironmentDiffers):
        await till.collect(gateway)
    async with db.transaction() as tx:
        assert await store.find_gateway_customer(tx, till.customer.id) is None


async def test_a_failure_reaches_the_subscription_and_is_told_by_those_who_follow_it_up(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway, NO_FUNDS)
    attempt = await till.collect(memory_gateway)
    assert attempt is not None
    mails = await till.staged("send_notice")
    async with db.transaction() as tx:
        await service.follow_up(tx, system(), customer_id=till.customer.id, attempt_id=attempt.id)
        await service.follow_up(tx, system(), customer_id=till.customer.id, attempt_id=attempt.id)
        [subscription] = await subscriptions.list_subscriptions(tx, till.customer.id)
    assert subscription.status == "past_due"
    assert await till.staged("send_notice") == mails


async def test_a_job_ends_in_the_look_that_found_nothing_more_to_do(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    ends: list[str] = []

    async def end(tx: Tx) -> None:
        invoice = await store.lock_invoice(tx, till.customer.id, till.invoice.id)
        ends.append(str(invoice.state))

    async def collect() -> None:
        await service.collect(
            db, memory_gateway, system(), customer_id=till.customer.id, invoice_id=till.invoice.id, end=end
        )

    await collect()
    assert ends == ["open"]
    await till.attach(memory_gateway)
    memory_gateway.lose("pay", "after")
    with pytest.raises(GatewayUnavailable):
        await collect()
    assert ends == ["open"]
    await collect()
    assert ends == ["open", "paid"]
