"""News of a period that is over: adjustments with their own service period, each billed once, up or down."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from domain.customers.customer import Customer
from domain.invoices.invoice import Line, LineKind, State
from domain.invoices.verification import Outcome
from domain.invoices.verifying.service import verify_invoice
from domain.kernel.period import Period
from domain.usage.event import UsageEvent
from tests import make
from tests.world import World, key_of, llm_call

FEBRUARY = Period(make.at("2026-01-31"), make.at("2026-02-28"))
LATE = make.at("2026-02-27T23:00")


async def usage_by_invoice(world: World, customer: Customer) -> list[list[Line]]:
    """Return the usage lines of each invoice, oldest first."""
    return [
        [line for line in await world.lines(each) if line.identity.kind is LineKind.USAGE]
        for each in await world.invoices(customer)
    ]


async def verdicts(world: World, *events: UsageEvent) -> list[str]:
    """Record events and return what became of each."""
    return [verdict.status for verdict in await world.use("llm", *events)]


async def outcomes(world: World, customer: Customer) -> list[Outcome]:
    """Verify every invoice of a customer from the stored events."""
    found = []
    for invoice in await world.invoices(customer):
        async with world.runtime.db.transaction() as tx:
            found.append((await verify_invoice(tx, world.call, invoice.id)).outcome)
    return found


async def correct(world: World, event: UsageEvent, *, tokens: int | None) -> str:
    """Void an event, or replace it by one of other input tokens, with a key that may; return what became of that."""
    replacement = {**event.properties, "input_tokens": tokens} if tokens is not None else {}
    correction = UsageEvent(
        id=f"{event.id} corrected",
        type="void" if tokens is None else event.type,
        customer=event.customer,
        occurred_at=event.occurred_at,
        properties=replacement,
        corrects=event.id,
    )
    key = key_of("llm")
    may = replace(key, permissions=key.permissions | {"usage:correct"})
    [verdict] = await world.recorders["llm"].record(world.runtime.call(may), [correction])
    return verdict.status


async def test_what_comes_after_closing_is_billed_once_beside_what_was_billed(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    # 800,000 input tokens of Gemini 2.5 Pro at 1.25 USD per million: 1.00.
    first = llm_call(ada, make.at("2026-01-31T00:01"), input_tokens=800_000, output_tokens=0)
    assert await verdicts(world, first) == ["counted"]
    await world.advance(to="2026-03-01")
    # 400,000 more of the same model: 0.50. 2,000,000 of Gemini 2.5 Flash at 0.125 per million: 0.25.
    late = llm_call(ada, LATE, input_tokens=400_000, output_tokens=0)
    flash = llm_call(ada, LATE, model="gemini-2.5-flash", input_tokens=2_000_000, output_tokens=0)
    assert await verdicts(world, late, flash) == ["counted", "counted"]
    assert await verdicts(world, first, late) == ["duplicate", "duplicate"]
    await world.advance(to="2026-06-01")
    lines = await usage_by_invoice(world, ada)
    # 31 January: the fee; 28 February; 31 March with the adjustments; 30 April and 31 May: nothing more.
    assert [[line.amount.minor for line in each] for each in lines] == [[], [100], [25, 50], [], []]
    adjustments = {line.revision: line for line in lines[2]}
    assert {line.period for line in adjustments.values()} == {FEBRUARY}
    assert adjustments[1].description == "Adjustment: LLM usage: gemini / gemini-2.5-pro, 31 Jan 2026 – 28 Feb 2026"  # noqa: RUF001 - as on the invoice
    assert adjustments[0].description == "LLM usage: gemini / gemini-2.5-flash, 31 Jan 2026 – 28 Feb 2026"  # noqa: RUF001 - the same
    assert await outcomes(world, ada) == [Outcome.EQUAL] * 5


async def test_an_event_for_the_open_period_of_a_late_hour_is_no_adjustment(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    await world.advance(to="2026-03-10")
    # Nine days late, but its period runs to 31 March: 1.00 USD on that invoice's own line.
    assert await verdicts(world, llm_call(ada, make.at("2026-03-01"), input_tokens=800_000)) == ["counted"]
    await world.advance(to="2026-04-01")
    *_, [line] = await usage_by_invoice(world, ada)
    assert (line.amount.minor, line.revision) == (100, 0)
    assert line.period == Period(make.at("2026-02-28"), make.at("2026-03-31"))


async def test_after_a_cancel_what_comes_late_is_billed_once_when_nothing_more_can_come(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    started = await world.subscribe(ada, "pro")
    await world.cancel(started)
    assert await verdicts(world, llm_call(ada, make.at("2026-01-31T00:01"), input_tokens=800_000)) == ["counted"]
    await world.advance(to="2026-03-10")
    # Ended on 28 February, the last usage billed at once: 1.00. Then 1,600,000 tokens come late: 2.00.
    assert await verdicts(world, llm_call(ada, LATE, input_tokens=1_600_000)) == ["counted"]
    after_end = llm_call(ada, make.at("2026-02-28"), input_tokens=800_000)
    assert await verdicts(world, after_end) == ["quarantined"]
    assert [invoice.total.minor for invoice in await world.invoices(ada)] == [7900, 100]
    # 36 days after the end, on 5 April, is the last look.
    await world.advance(to="2026-04-05")
    invoices = await world.invoices(ada)
    assert [(invoice.total.minor, invoice.state) for invoice in invoices] == [
        (7900, State.PAID),
        (100, State.PAID),
        (200, State.PAID),
    ]
    assert invoices[2].issued_at == make.at("2026-02-28") + timedelta(days=36)
    [[adjustment]] = (await usage_by_invoice(world, ada))[2:]
    assert (adjustment.revision, adjustment.period) == (1, FEBRUARY)
    await world.advance(to="2026-09-01")
    assert await world.invoices(ada) == invoices
    assert await outcomes(world, ada) == [Outcome.EQUAL] * 3


async def test_what_is_taken_back_after_closing_is_credited_on_the_next_invoice(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    # 1.00 and 0.50 USD.
    first = llm_call(ada, make.at("2026-02-20"), input_tokens=800_000)
    second = llm_call(ada, make.at("2026-02-21"), input_tokens=400_000)
    await world.advance(to="2026-02-22")
    assert await verdicts(world, first, second) == ["counted", "counted"]
    await world.advance(to="2026-03-01")
    # The second never happened, and the first had only 480,000 tokens: 0.60 instead of 1.50.
    assert await correct(world, second, tokens=None) == "counted"
    assert await correct(world, first, tokens=480_000) == "counted"
    assert await outcomes(world, ada) == [Outcome.EQUAL] * 2
    await world.advance(to="2026-06-01")
    # 79.00; 79.00 + 1.50; 79.00 - 0.90; then 79.00 each: the credit is given once.
    assert [invoice.total.minor for invoice in await world.invoices(ada)] == [7900, 8050, 7810, 7900, 7900]
    [credit] = (await usage_by_invoice(world, ada))[2]
    assert (credit.amount.minor, credit.quantity, credit.revision) == (-90, Decimal("-0.9"), 1)
    assert credit.period == FEBRUARY
    assert (credit.derivation["billed_before_minor"], credit.derivation["events"]) == (150, 1)
    assert await outcomes(world, ada) == [Outcome.EQUAL] * 5


async def test_everything_taken_back_is_credited_to_zero(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    only = llm_call(ada, make.at("2026-02-20"), input_tokens=800_000)
    await world.advance(to="2026-02-22")
    await world.use("llm", only)
    await world.advance(to="2026-03-01")
    assert await correct(world, only, tokens=None) == "counted"
    await world.advance(to="2026-04-01")
    assert [invoice.total.minor for invoice in await world.invoices(ada)] == [7900, 8000, 7800]
    assert await outcomes(world, ada) == [Outcome.EQUAL] * 3


async def test_a_credit_without_a_next_invoice_becomes_customer_credit_that_pays_one_that_comes(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    started = await world.subscribe(ada, "pro")
    await world.cancel(started)
    used = llm_call(ada, make.at("2026-02-27"), input_tokens=800_000)
    await world.advance(to="2026-02-27T12:00")
    await world.use("llm", used)
    await world.advance(to="2026-03-10")
    # 480,000 tokens, not 800,000: 0.60 instead of the 1.00 that was billed at the end on 28 February.
    assert await correct(world, used, tokens=480_000) == "counted"
    await world.advance(to="2026-04-10")
    # Nothing else can bill after the last look: the 0.40 becomes customer credit.
    *_, last = await world.invoices(ada)
    assert (last.state, last.total.minor, last.amount_paid.minor) == (State.PAID, -40, 0)
    await world.subscribe(ada, "basic")
    *_, joined = await world.invoices(ada)
    # Basic is 29.00 a month, of which the credit pays 0.40.
    assert (joined.state, joined.total.minor, joined.amount_paid.minor) == (State.PAID, 2900, 2860)
    await world.advance(to="2026-07-01")
    assert [invoice.total.minor for invoice in await world.invoices(ada)] == [7900, 100, -40, 2900, 2900, 2900]
    assert await outcomes(world, ada) == [Outcome.EQUAL] * 6
