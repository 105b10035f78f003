"""From a subscription to paid invoices, over months that pass in seconds."""

from datetime import timedelta
from decimal import Decimal

from domain.invoices.invoice import InvoiceKind, LineKind, State
from domain.kernel.money import Money
from domain.subscriptions.subscription import Status
from tests import make
from tests.world import World, llm_call


async def test_a_month_of_llm_calls_ends_in_a_paid_invoice_that_explains_itself(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    # 1,000,000 input tokens at 1.25 and 200,000 output tokens at 10.00 per million: 1.25 + 2.00 = 3.25 USD.
    noon = make.at("2026-01-31T00:01")
    events = [llm_call(ada, noon, input_tokens=100_000, output_tokens=20_000) for _ in range(10)]
    assert {verdict.status for verdict in await world.use("llm", *events)} == {"counted"}
    await world.advance(to="2026-02-28")
    first, second = await world.invoices(ada)
    assert [first.number, second.number] == ["TEST-2026-000001", "TEST-2026-000002"]
    assert [first.state, second.state] == [State.PAID, State.PAID]
    assert first.total == Money(7900, "USD")
    lines = await world.lines(second)
    assert sorted((line.identity.kind, line.amount.minor) for line in lines) == [
        (LineKind.FEE, 7900),
        (LineKind.USAGE, 325),
    ]
    assert second.total == Money(8225, "USD")


async def test_closing_again_adds_nothing(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "basic")
    await world.advance(to="2026-04-30")
    before = await world.invoices(ada)
    # 31 January, 28 February, 31 March, 30 April: a fee each.
    assert [invoice.total.minor for invoice in before] == [2900] * 4
    assert [invoice.issued_at for invoice in before] == [
        make.at(day) for day in ("2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30")
    ]
    await world.drain()
    assert await world.invoices(ada) == before
    assert [amount for _, amount in world.gateway.charges] == [2900] * 4


async def test_a_declined_card_leaves_the_invoice_open_and_the_subscription_past_due(world: World) -> None:
    ada = await world.customer(on="2026-01-31", card="pm_card_chargeDeclined")
    started = await world.subscribe(ada, "basic")
    [invoice] = await world.invoices(ada)
    assert invoice.state is State.OPEN
    assert (await world.subscription(started)).status is Status.PAST_DUE
    await world.attach(ada.id, "pm_card_visa")
    await world.drain()
    [invoice] = await world.invoices(ada)
    assert invoice.state is State.PAID
    assert (await world.subscription(started)).status is Status.ACTIVE


async def test_a_free_plan_ends_its_month_in_a_statement(world: World) -> None:
    ada = await world.customer(on="2026-01-31", card=None)
    await world.subscribe(ada, "free")
    at = make.at("2026-01-31T00:01")
    await world.use("llm", llm_call(ada, at, input_tokens=1_000, output_tokens=10))
    await world.advance(to="2026-02-28")
    kinds = [(invoice.kind, invoice.number, invoice.total.minor) for invoice in await world.invoices(ada)]
    assert set(kinds) == {(InvoiceKind.STATEMENT, None, 0)}


async def test_a_cancelled_subscription_ends_where_it_is_paid_to_and_bills_its_last_usage(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    started = await world.subscribe(ada, "pro")
    await world.cancel(started)
    await world.use("llm", llm_call(ada, make.at("2026-01-31T00:01"), input_tokens=800_000, output_tokens=0))
    await world.advance(to="2026-05-01")
    invoices = await world.invoices(ada)
    # The fee of 79.00, then 800,000 input tokens at 1.25 per million: 1.00 USD.
    assert [invoice.total.minor for invoice in invoices] == [7900, 100]
    ended = await world.subscription(started)
    assert (ended.status, ended.ended_at) == (Status.CANCELED, make.at("2026-02-28"))


async def test_late_events_inside_the_window_become_an_adjustment_on_the_next_invoice(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    await world.advance(to="2026-03-01")
    late = make.at("2026-02-28") - timedelta(hours=1)
    await world.use("llm", llm_call(ada, late, input_tokens=400_000, output_tokens=0))
    await world.advance(to="2026-03-31")
    *_, last = await world.invoices(ada)
    lines = await world.lines(last)
    # 400,000 input tokens at 1.25 per million: 0.50 USD, in the period that had been closed.
    [adjustment] = [line for line in lines if line.identity.kind is LineKind.USAGE]
    assert (adjustment.amount.minor, adjustment.period.end) == (50, make.at("2026-02-28"))
    assert adjustment.quantity == Decimal("0.5")
