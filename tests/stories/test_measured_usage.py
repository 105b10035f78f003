"""Meters that are not sums of their events, from the first event to an invoice that is verified."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from domain.customers.customer import Customer
from domain.invoices.conservation.service import conserve
from domain.invoices.invoice import Invoice, Line, LineKind
from domain.invoices.verification import Outcome
from domain.invoices.verifying.service import verify_invoice
from domain.kernel.ids import encode
from domain.plans import service as plans
from domain.plans.definition import ProductDefinition
from domain.subscriptions.subscription import Subscription
from domain.usage.event import UsageEvent
from domain.usage.verdict import COUNTED
from tests.domain.usage.yard import BADGE, METERS, PRODUCT, SAMPLE, STOCK, product
from tests.world import World

# What one unit of each meter costs, in USD.
_PRICES = {
    "largest": "1",
    "mean": "3",
    "visitors": "2",
    "members": "10",
    "member_days": "31",
    "stock": "1",
    "stock_days": "31",
    "stock_seconds": "31",
}


def _sold() -> ProductDefinition:
    """Sell the yard's meters by the unit."""
    given: dict[str, Any] = msgspec.to_builtins(product(METERS))
    price = {"kind": "usage", "currency": "USD", "model": "per_unit"}
    [plan] = given["plans"]
    plan["prices"] = [
        *plan["prices"],
        *(
            {**price, "key": key, "description": key, "meter": key, "definition": {"unit_amount": amount}}
            for key, amount in _PRICES.items()
        ),
    ]
    return msgspec.convert(given, ProductDefinition)


def _sent(ada: Customer) -> Sequence[UsageEvent]:
    """Make January's events: samples, badges of two people, and a stock that is set and lowered."""

    def event(event_id: str, kind: str, day: int, **values: Any) -> UsageEvent:
        at = f"2026-01-{day:02}T12:00:00Z"
        return UsageEvent(event_id, kind, encode("customer", ada.id), None, at, {"place": "quay", **values})

    return [
        *(event(f"s{n}", SAMPLE, 2 + n, v=value) for n, value in enumerate((3, 4, 3))),
        event("b1", BADGE, 10, who="ada"),
        event("b2", BADGE, 12, who="bob", place="shed"),
        event("b3", BADGE, 13, who="ada", op="remove"),
        event("k1", STOCK, 11, amount=10, op="set"),
        event("k2", STOCK, 21, amount=4, op="remove"),
    ]


async def _usage_lines(world: World, invoice: Invoice) -> dict[str, Line]:
    """Return an invoice's usage lines by their meters."""
    lines = await world.lines(invoice)
    return {line.derivation["meter"]: line for line in lines if line.identity.kind is LineKind.USAGE}


async def _assert_verified(world: World, only: Subscription, *invoices: Invoice) -> None:
    """Recompute invoices from their events, and prove the subscription's first two periods."""
    async with world.runtime.db.transaction() as tx:
        for invoice in invoices:
            assert (await verify_invoice(tx, world.call, invoice.id)).outcome is Outcome.EQUAL
        for start in (only.period.start, only.period.end):
            proof = await conserve(
                tx, world.call, customer_id=only.customer_id, subscription_id=only.id, period_start=start
            )
            assert proof.holds


async def test_every_kind_of_meter_is_billed_by_what_it_measured(world: World) -> None:
    async with world.runtime.db.transaction() as tx:
        await plans.publish(tx, world.call, _sold())
    ada = await world.customer(on="2026-01-01")
    only = await world.subscribe(ada, "only", product=PRODUCT)
    await world.advance(to="2026-01-25")
    sent = _sent(ada)
    assert await world.use(PRODUCT, *sent) == [COUNTED] * len(sent)
    await world.advance(to="2026-02-02")
    january = (await world.invoices(ada))[-1]
    lines = await _usage_lines(world, january)
    assert {key: line.amount.minor for key, line in lines.items()} == {
        "largest": 400,
        # A mean of 10/3, three times.
        "mean": 1000,
        # Bob: Ada left.
        "visitors": 200,
        "members": 1000,
        # Ada from the 10th to the 13th: 4 days; Bob from the 12th: 20 days.
        "member_days": 2400,
        "stock": 600,
        # 10 for the 21 days from the 11th, less 4 for the 10 days after the 21st: 170.
        "stock_days": 17_000,
        # 10 for 20.5 days, less 4 for 10.5 days: 163.
        "stock_seconds": 16_300,
    }
    assert lines["mean"].quantity == Decimal("3.333333333333333333")
    assert lines["mean"].derivation["quantity"] == "10/3"
    await world.advance(to="2026-03-02")
    february = (await world.invoices(ada))[-1]
    carried = await _usage_lines(world, february)
    # What stood at the end of January stands on: Bob, and 6 in stock for all of February.
    assert {key: line.amount.minor for key, line in carried.items()} == {
        "members": 1000,
        "member_days": 3100,
        "stock": 600,
        "stock_days": 18_600,
        "stock_seconds": 18_600,
    }
    await _assert_verified(world, only, january, february)
