"""A model without a price: its calls count at once, its cost once there is a price, and the customer pays it once."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from api.pricing.changes import set_merchant_prices
from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlert, StaffAlertKind
from domain.customers.customer import Customer
from domain.invoices.conservation.service import Conservation, conserve
from domain.invoices.invoice import Invoice, LineKind, State
from domain.invoices.verification import Outcome
from domain.invoices.verifying.service import verify_invoice
from domain.kernel.call import Environment
from domain.kernel.money import exact_text
from domain.plans import service as plans
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usage
from domain.usage.event import UsageEvent
from domain.usage.redriving.service import Redriven, redrive
from domain.usage.verdict import COUNTED, DUPLICATE, Reason
from tests import make
from tests.world import World, llm_call

START = make.at("2026-01-31")
MODEL = "gemini-9-ultra"


def new_calls(ada: Customer, count: int) -> list[UsageEvent]:
    """Make calls of 400,000 input tokens each of the model that nobody has a price for."""
    return [llm_call(ada, START + timedelta(minutes=n), model=MODEL, input_tokens=400_000) for n in range(count)]


async def price(world: World) -> None:
    """Price the model from the start on: 2.50 USD a million tokens in, so 1.00 USD for each of the calls."""
    row = ("input", Decimal("2.5"), Decimal(1_000_000))
    async with world.runtime.db.transaction() as tx:
        await set_merchant_prices(tx, world.call, provider="gemini", model=MODEL, valid_from=START, prices=[row])


async def used(world: World, subscription: Subscription) -> dict[str, str]:
    """Return what the present period shows of calls, tokens and cost."""
    async with world.runtime.db.transaction() as tx:
        current = await world.subscription(subscription)
        found = await usage.current_usage(tx, subscription.customer_id, current)
        catalogue = await plans.load_catalogue(tx)
    shown = {catalogue.meter(each.meter_id).key: exact_text(each.amount) for each in found.meters.values()}
    return {key: shown.get(key, "0") for key in ("calls", "input_tokens", "cost")}


async def waiting(world: World) -> list[Reason]:
    """Return why events wait in quarantine."""
    async with world.runtime.db.transaction() as tx:
        return [each.reason for each in await usage.list_quarantined(tx, world.call)]


async def told(world: World) -> list[dict[str, Any]]:
    """Return what the operator was told of models without a price."""
    async with world.runtime.db.transaction() as tx:
        statement = sa.text("SELECT facts FROM audit_entry WHERE action = 'usage_unpriced' ORDER BY id")
        return [row.facts for row in await tx.rows(statement)]


async def staff_alerts(world: World) -> list[StaffAlert]:
    """Return what staff were alerted to of calls without a price."""
    async with world.runtime.db.transaction() as tx:
        found = await staffing.list_alerts(tx, world.call)
    return [each for each in found if each.kind is StaffAlertKind.USAGE_UNPRICED]


async def test_models_without_a_price_raise_one_alert_until_staff_have_read_it(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    for name in ("first", "second"):
        await world.use("llm", llm_call(ada, START, model=name, input_tokens=1))
        await world.drain()
    [seen] = await staff_alerts(world)
    assert seen.facts == {"provider": "gemini", "model": "first"}
    async with world.runtime.db.transaction() as tx:
        await staffing.mark_read(tx, world.call, seen.id)
    await world.use("llm", llm_call(ada, START, model="third", input_tokens=1))
    await world.drain()
    assert [each.facts["model"] for each in await staff_alerts(world)] == ["third", "first"]


async def billed(world: World, ada: Customer) -> list[tuple[int, list[int], State]]:
    """Return of each invoice its total, the amounts of its usage lines, and its state."""
    found = []
    for invoice in await world.invoices(ada):
        lines = await world.lines(invoice)
        amounts = [line.amount.minor for line in lines if line.identity.kind is LineKind.USAGE]
        found.append((invoice.total.minor, amounts, invoice.state))
    return found


async def prove(world: World, subscription: Subscription) -> Conservation:
    """Prove the first period."""
    async with world.runtime.db.transaction() as tx:
        return await conserve(
            tx,
            world.call,
            customer_id=subscription.customer_id,
            subscription_id=subscription.id,
            period_start=START,
        )


async def outcome(world: World, invoice: Invoice) -> Outcome:
    """Verify an invoice from its events."""
    async with world.runtime.db.transaction() as tx:
        return (await verify_invoice(tx, world.call, invoice.id)).outcome


async def test_unpriced_calls_count_at_once_and_cost_what_their_price_says_once_they_are_re_driven(
    world: World,
) -> None:
    ada = await world.customer(on="2026-01-31")
    pro = await world.subscribe(ada, "pro")
    calls = new_calls(ada, 3)
    assert await world.use("llm", *calls) == [COUNTED] * 3
    uncosted = {"calls": "3", "input_tokens": "1200000", "cost": "0"}
    assert await used(world, pro) == uncosted
    assert await waiting(world) == [Reason.UNPRICED] * 3
    [alert] = await told(world)
    assert (alert["provider"], alert["model"]) == ("gemini", MODEL)
    await world.drain()
    [seen] = await staff_alerts(world)
    assert (seen.about, seen.environment, seen.subject) == (
        "test:llm",
        Environment.TEST,
        f"Calls have no price: gemini/{MODEL}",
    )
    # Without a price nothing is resolved, and nobody is told again on the same day.
    assert [why for _, why in (await redrive(world.runtime.db, world.call)).kept] == [Reason.UNPRICED] * 3
    assert await told(world) == [alert]

    await price(world)
    # The price alone changes nothing: what was counted is priced by a re-drive.
    assert await used(world, pro) == uncosted
    assert len((await redrive(world.runtime.db, world.call, reason=Reason.UNPRICED)).resolved) == 3
    assert await used(world, pro) == {**uncosted, "cost": "3"}
    assert await waiting(world) == []
    assert await redrive(world.runtime.db, world.call) == Redriven((), (), None)
    assert await world.use("llm", *calls) == [DUPLICATE] * 3
    assert await used(world, pro) == {**uncosted, "cost": "3"}

    await world.advance(to="2026-04-01")
    # 79.00 in advance; 79.00 and 3 x 1.00; 79.00: the cost is charged once, and paid.
    assert await billed(world, ada) == [
        (7_900, [], State.PAID),
        (8_200, [300], State.PAID),
        (7_900, [], State.PAID),
    ]
    assert {await outcome(world, each) for each in await world.invoices(ada)} == {Outcome.EQUAL}
    assert (await prove(world, pro)).holds


async def test_a_price_that_comes_after_closing_is_billed_on_the_next_invoice_with_its_own_service_period(
    world: World,
) -> None:
    ada = await world.customer(on="2026-01-31")
    pro = await world.subscribe(ada, "pro")
    # 400,000 tokens of a model with a price of 1.25 a million, 0.50, beside two calls without one.
    known = llm_call(ada, START, input_tokens=400_000)
    assert await world.use("llm", known, *new_calls(ada, 2)) == [COUNTED] * 3
    await world.advance(to="2026-03-05")
    assert await billed(world, ada) == [(7_900, [], State.PAID), (7_950, [50], State.PAID)]
    assert (await prove(world, pro)).holds

    await price(world)
    assert len((await redrive(world.runtime.db, world.call)).resolved) == 2
    assert await redrive(world.runtime.db, world.call) == Redriven((), (), None)
    due = await prove(world, pro)
    [cost] = [each for each in due.accounts if each.meter == "cost"]
    assert due.holds
    # 0.50 is on an invoice, and 2 x 1.00 waits for the next one.
    assert (exact_text(cost.charged), exact_text(cost.not_yet_billed)) == ("0.5", "2")

    await world.advance(to="2026-06-01")
    assert await billed(world, ada) == [
        (7_900, [], State.PAID),
        (7_950, [50], State.PAID),
        (8_100, [200], State.PAID),
        (7_900, [], State.PAID),
        (7_900, [], State.PAID),
    ]
    adjusted = (await world.invoices(ada))[2]
    [line] = [each for each in await world.lines(adjusted) if each.identity.kind is LineKind.USAGE]
    assert (line.period.start, line.period.end) == (START, make.at("2026-02-28"))
    assert {await outcome(world, each) for each in await world.invoices(ada)} == {Outcome.EQUAL}
    assert (await prove(world, pro)).holds


async def test_an_unpriced_call_that_was_voided_is_never_charged_and_its_replacement_is(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    pro = await world.subscribe(ada, "pro")
    voided, replaced = new_calls(ada, 2)
    assert await world.use("llm", voided, replaced) == [COUNTED] * 2
    void = UsageEvent("v1", "void", voided.customer, corrects=voided.id)
    # 800,000 tokens instead of 400,000: 2.00.
    more = UsageEvent(
        "n1",
        replaced.type,
        replaced.customer,
        None,
        replaced.occurred_at,
        {**replaced.properties, "input_tokens": 800_000},
        replaced.id,
    )
    assert await world.use("llm", void, more) == [COUNTED] * 2
    # What was taken back needs no price any more; the replacement does.
    assert await waiting(world) == [Reason.UNPRICED]
    await price(world)
    assert len((await redrive(world.runtime.db, world.call)).resolved) == 1
    assert (await used(world, pro))["cost"] == "2"
    # The void is undone: the call counts again, and waits for its cost until the next re-drive.
    assert await world.use("llm", UsageEvent("v2", "void", voided.customer, corrects="v1")) == [COUNTED]
    assert await waiting(world) == [Reason.UNPRICED]
    assert len((await redrive(world.runtime.db, world.call)).resolved) == 1
    assert (await used(world, pro))["cost"] == "3"
    await world.advance(to="2026-03-01")
    assert [total for total, _, _ in await billed(world, ada)] == [7_900, 8_200]
    assert (await prove(world, pro)).holds
