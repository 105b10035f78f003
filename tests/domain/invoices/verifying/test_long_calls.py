"""Calls above a threshold of the price list: from the event to a line, and verified."""

from datetime import timedelta
from decimal import Decimal

import sqlalchemy as sa

from domain.invoices import service as invoices
from domain.invoices.invoice import LineKind
from domain.invoices.verification import Outcome
from domain.plans import service as plans
from domain.plans.provider_price import PriceSet
from tests import make
from tests.domain.invoices.verifying.test_service import START, verify
from tests.world import World, llm_call


async def test_a_long_call_is_billed_at_its_own_price_and_verified(world: World) -> None:
    million = Decimal(1_000_000)
    prices = (("input", Decimal("1.25"), million), ("output", Decimal(10), million))
    tiers = (("input", 200_000, Decimal("2.5"), million), ("output", 200_000, Decimal(15), million))
    added = PriceSet("gemini", "gemini-long", make.at("2026-01-01"), None, "list", prices, tiers)
    async with world.runtime.db.transaction() as tx:
        await plans.import_provider_prices(tx, world.call, [added])
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    calls = [
        llm_call(ada, START + timedelta(minutes=n), model="gemini-long", input_tokens=tokens, output_tokens=1_000)
        for n, tokens in enumerate((200_000, 250_000))
    ]
    await world.use("llm", *calls)
    await world.advance(to="2026-03-01")
    *_, invoice = await world.invoices(ada)
    # 200,000 x 1.25 + 1,000 x 10 = 0.26; 250,000 x 2.5 + 1,000 x 15 = 0.64; by the base prices that would be 0.3225.
    assert invoice.total.minor == 7900 + 26 + 64
    assert (await verify(world, invoice)).outcome is Outcome.EQUAL
    async with world.runtime.db.transaction() as tx:
        lines = (await invoices.lines_by_invoice_ids(tx, [invoice.id], scope=None))[invoice.id]
        named = await tx.rows(
            sa.text(
                "SELECT e.cost, p.pool, p.above FROM usage_event e, unnest(e.price_ids) u"
                " JOIN provider_price p ON p.id = u ORDER BY 1, 2"
            )
        )
    # Each event names the rows that priced it, and the line shows them all.
    assert [tuple(row) for row in named] == [
        (Decimal("0.26"), "input", 0),
        (Decimal("0.26"), "output", 0),
        (Decimal("0.64"), "input", 200_000),
        (Decimal("0.64"), "output", 200_000),
    ]
    [usage] = [line for line in lines if line.identity.kind is LineKind.USAGE]
    assert [(row["pool"], row["amount"], row.get("above")) for row in usage.derivation["rates"]] == [
        ("input", "1.25", None),
        ("input", "2.5", "200000"),
        ("output", "10", None),
        ("output", "15", "200000"),
    ]
