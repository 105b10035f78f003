"""Verification on a real database: what is right is equal, and each kind of tampering is found where it is."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from api.local.throwaway import TemporaryServers
from domain.customers.customer import Customer
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices.invoice import Invoice, InvoiceNotFound, LineKind
from domain.invoices.verification import Difference, Outcome, Verification
from domain.invoices.verifying.service import LineHour, find_by_number, hours_of_line, verify_invoice
from domain.kernel.call import Environment, Forbidden
from domain.kernel.ids import CustomerId, InvoiceId, encode
from domain.plans import service as plans
from domain.plans.definition import read_product
from domain.usage.event import UsageEvent
from tests import make
from tests.databases import fresh_database
from tests.world import World, llm_call, runtime_of

START = make.at("2026-01-31")


async def month_of_calls(world: World) -> tuple[Customer, Invoice]:
    """Bill a month of three calls of 400,000 input tokens at 1.25 per million: 1.50 USD, beside the fee of 79.00."""
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    hours = (0, 0, 30)
    calls = [llm_call(ada, START + timedelta(minutes=n, hours=h), input_tokens=400_000) for n, h in enumerate(hours)]
    await world.use("llm", calls[0], calls[1])
    await world.advance(to="2026-02-02")
    await world.use("llm", calls[2])
    await world.advance(to="2026-03-01")
    return ada, (await world.invoices(ada))[-1]


@pytest.fixture(scope="module")
async def month(servers: TemporaryServers, seeded: str) -> AsyncIterator[tuple[World, Customer, Invoice]]:
    """Bill such a month once for all tests that write nothing or undo it."""
    async with fresh_database(servers, "month", seeded) as database:
        world = World(runtime_of(database))
        yield world, *await month_of_calls(world)
        await world.close()


async def verify(world: World, invoice: Invoice) -> Verification:
    """Verify an invoice as the system."""
    async with world.runtime.db.transaction() as tx:
        return await verify_invoice(tx, world.call, invoice.id)


async def tamper(tx: Tx, *statements: str) -> None:
    """Write what nobody may, with the database's own guards out of the way."""
    await tx.execute(sa.text("SET LOCAL session_replication_role = replica"))
    for statement in statements:
        assert (await tx.execute(sa.text(statement))).rowcount, "something was tampered with"


async def run(world: World, *statements: str) -> None:
    """Tamper for good."""
    async with world.runtime.db.transaction() as tx:
        await tamper(tx, *statements)


# Drops the tables of events that were received in this month or earlier.
_DROP_PAST = """DO $$ DECLARE month regclass; BEGIN
    FOR month IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relname BETWEEN 'usage_event_0000_00' AND '{}' LOOP
        EXECUTE format('DROP TABLE %s', month);
    END LOOP; END $$"""


class _UndoError(Exception):
    """Rolls a transaction back."""


async def verify_tampered(world: World, invoice: Invoice, *statements: str) -> Verification:
    """Verify an invoice as it would be after tampering, and undo that."""
    found = None
    with suppress(_UndoError):
        async with world.runtime.db.transaction() as tx:
            await tamper(tx, *statements)
            found = await verify_invoice(tx, world.call, invoice.id)
            raise _UndoError
    assert found is not None
    assert found.outcome is Outcome.DIFFERENT
    return found


def fields(differences: tuple[Difference, ...]) -> list[str]:
    """Return the names of what differs."""
    return [difference.field for difference in differences]


async def test_an_invoice_is_equal_to_what_its_events_come_to(month: tuple[World, Customer, Invoice]) -> None:
    world, ada, invoice = month
    found = await verify(world, invoice)
    assert (found.outcome, found.events) == (Outcome.EQUAL, 3)
    assert [(check.line.identity.kind, check.outcome) for check in found.lines] == [
        (LineKind.USAGE, Outcome.EQUAL),
        (LineKind.FEE, Outcome.EQUAL),
    ]
    assert (found.totals, found.sums) == ((), ())
    first = (await world.invoices(ada))[0]
    assert (await verify(world, first)).outcome is Outcome.EQUAL


async def test_events_that_were_changed_or_are_gone_are_found(month: tuple[World, Customer, Invoice]) -> None:
    world, _, invoice = month
    one = "WHERE id = (SELECT min(id::text)::uuid FROM usage_event)"
    found = await verify_tampered(world, invoice, f"UPDATE usage_event SET cost = 0.7 {one}")  # noqa: S608 -- of the test
    usage, fee = found.lines
    # 0.7 + 0.5 + 0.5 = 1.7 USD where 1.5 were billed.
    assert usage.differences[:2] == (Difference("amount_minor", "150", "170"), Difference("quantity", "1.5", "1.7"))
    assert "derivation.digest" in fields(usage.differences)
    assert "derivation.events" not in fields(usage.differences)
    assert fee.outcome is Outcome.EQUAL
    assert {check.meter for check in found.totals} >= {"cost", "calls"}

    found = await verify_tampered(world, invoice, f"DELETE FROM usage_event {one}")  # noqa: S608 -- of the test
    assert Difference("derivation.events", "3", "2") in found.lines[0].differences
    assert Difference("amount_minor", "150", "100") in found.lines[0].differences

    later = f"UPDATE usage_event SET occurred_at = occurred_at + interval '1 microsecond' {one}"  # noqa: S608 -- the same
    found = await verify_tampered(world, invoice, later)
    assert fields(found.lines[0].differences) == ["derivation.digest"]


# Table, what is changed in it for the counter in a slot, the field that differs in cost and its stored value: 1.00 USD
# in the first hour, 0.50 in the newest, 1.50 in all. Counters of the same events share their count and their digest.
TOTALS = [
    ("counter_hour", "q{0} = q{0} + 1", "hours.quantity", "2.5"),
    ("counter_hour", "digest = digest + 1", "hours.digest", None),
    ("counter_total", "h{0} = h{0} + 1", "hours.quantity", "2.5"),
    ("counter_total", "q{0} = q{0} + 1", "total.quantity", "2.5"),
    ("counter_total", "events = events + 1", "total.events", "4"),
]


async def test_a_total_that_is_not_the_sum_of_its_events_is_found(month: tuple[World, Customer, Invoice]) -> None:
    world, _, invoice = month
    slot = await world.slot_of("cost")
    for table, change, field, stored in TOTALS:
        found = await verify_tampered(world, invoice, f"UPDATE {table} SET {change.format(slot)}")  # noqa: S608 -- the same
        assert all(check.outcome is Outcome.EQUAL for check in found.lines)
        own = [check for check in found.totals if check.meter == "cost"]
        assert "{0}" not in change or len(own) == len(found.totals)
        for check in own:
            assert fields(check.differences) == [field]
            assert stored is None or check.differences[0].stored == stored
        assert own


LINES = [
    ("amount_minor = 149", LineKind.USAGE, {"amount_minor"}),
    ("quantity = 1.4", LineKind.USAGE, {"quantity"}),
    ("unit = 'EUR'", LineKind.USAGE, {"unit"}),
    ("derivation = derivation || jsonb_build_object('multiplier', '2.00')", LineKind.USAGE, {"derivation.multiplier"}),
    ("derivation = derivation - 'digest'", LineKind.USAGE, {"derivation.digest"}),
    ("amount_minor = 7800", LineKind.FEE, {"amount_minor"}),
    ("derivation = derivation || jsonb_build_object('amount', '78.00')", LineKind.FEE, {"derivation.amount"}),
]


async def test_a_line_that_was_changed_or_taken_off_is_found(month: tuple[World, Customer, Invoice]) -> None:
    world, _, invoice = month
    for change, kind, expected in LINES:
        statement = f"UPDATE invoice_line SET {change} WHERE kind = '{kind}' AND invoice_id = '{invoice.id}'"  # noqa: S608 -- the same
        found = await verify_tampered(world, invoice, statement)
        differing = {each.line.identity.kind: set(fields(each.differences)) for each in found.lines if each.differences}
        assert differing == {kind: expected}
        assert bool(found.sums) == ("amount_minor" in expected)
    gone = f"DELETE FROM invoice_line WHERE kind = 'usage' AND invoice_id = '{invoice.id}'"  # noqa: S608 -- the same
    # 79.00 + 1.50 are on the invoice, 79.00 on its lines.
    assert (await verify_tampered(world, invoice, gone)).sums == (Difference("subtotal_minor", "8050", "7900"),)


async def test_adjustments_are_verified_as_the_sum_up_to_their_invoice(world: World) -> None:
    ada, invoice = await month_of_calls(world)
    late = START + timedelta(days=27)
    await world.use("llm", llm_call(ada, late, input_tokens=800_000))
    # Counted and not billed yet: no part of the invoice that is out.
    assert (await verify(world, invoice)).outcome is Outcome.EQUAL
    await world.advance(to="2026-03-31")
    *_, last = await world.invoices(ada)
    found = await verify(world, last)
    [adjustment] = [check for check in found.lines if check.line.identity.kind is LineKind.USAGE]
    assert (adjustment.line.revision, adjustment.line.amount.minor, adjustment.outcome) == (1, 100, Outcome.EQUAL)
    assert (await verify(world, invoice)).outcome is Outcome.EQUAL
    await run(world, "UPDATE invoice_line SET amount_minor = 90 WHERE revision = 1")
    [adjustment] = [check for check in (await verify(world, last)).lines if check.line.revision == 1]
    # 1.50 + 0.90 instead of 1.50 + 1.00.
    assert adjustment.differences == (Difference("amount_minor", "240", "250"),)
    # What is out before it is not touched by that.
    assert (await verify(world, invoice)).outcome is Outcome.EQUAL


async def test_events_that_were_dropped_by_retention_make_a_line_archived(world: World) -> None:
    _, invoice = await month_of_calls(world)
    async with world.runtime.db.transaction() as tx:
        await tx.execute(sa.text(_DROP_PAST.format(f"usage_event_{world.runtime.now():%Y_%m}")))
    found = await verify(world, invoice)
    usage, fee = found.lines
    assert (found.outcome, usage.outcome, fee.outcome) == (Outcome.ARCHIVED, Outcome.ARCHIVED, Outcome.EQUAL)
    assert found.totals == ()


async def test_the_capped_month_is_equal_and_a_changed_cap_is_found(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    # 200,000,000 input tokens are 250.00; Pro's cap is 150.00, so 100.00 are taken off.
    calls = [llm_call(ada, START + timedelta(minutes=n), input_tokens=100_000_000) for n in range(2)]
    await world.use("llm", *calls)
    await world.advance(to="2026-03-01")
    *_, invoice = await world.invoices(ada)
    assert invoice.total.minor == 7900 + 15000
    assert (await verify(world, invoice)).outcome is Outcome.EQUAL
    await run(world, "UPDATE invoice_line SET amount_minor = -9000, quantity = 90 WHERE kind = 'cap'")
    [cap] = [check for check in (await verify(world, invoice)).lines if check.line.identity.kind is LineKind.CAP]
    assert fields(cap.differences) == ["amount_minor", "quantity"]


# A product whose payments cost 2 % each, at most 1.00, and whose messages cost by their country.
TILL = {
    "key": "till",
    "name": "Till",
    "meters": [
        {
            "key": "volume",
            "name": "Volume",
            "event_type": "till.payment",
            "aggregation": "sum",
            "unit": "USD",
            "value_properties": ["amount"],
        },
        {
            "key": "messages",
            "name": "Messages",
            "event_type": "till.message",
            "aggregation": "count",
            "unit": "message",
            "dimensions": ["country"],
        },
    ],
    "plans": [
        {
            "key": "pay",
            "name": "Pay",
            "rank": 1,
            "support": "",
            "features": [],
            "invoice_grace_s": 0,
            "entitlements": [],
            "prices": [
                {
                    "key": "fee",
                    "kind": "fee",
                    "currency": "USD",
                    "interval": "month",
                    "model": "flat",
                    "definition": {"amount": "5.00"},
                    "description": "The month.",
                },
                {
                    "key": "payments",
                    "kind": "usage",
                    "meter": "volume",
                    "currency": "USD",
                    "model": "percentage",
                    "definition": {"rate_percent": "2", "max_per_event": "1"},
                    "description": "2 % of each payment.",
                },
                {
                    "key": "messages",
                    "kind": "usage",
                    "meter": "messages",
                    "currency": "USD",
                    "model": "matrix",
                    "definition": {
                        "cells": [{"when": {"country": "at"}, "unit_amount": "0.05"}],
                        "default_unit_amount": "0.10",
                    },
                    "description": "Messages by country.",
                },
            ],
        }
    ],
}


async def test_prices_by_the_event_and_by_the_combination_are_verified_too(world: World) -> None:
    async with world.runtime.db.transaction() as tx:
        await plans.publish(tx, world.call, read_product(json.dumps(TILL).encode()))
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pay", product="till")

    def event(number: int, kind: str, **properties: Any) -> UsageEvent:
        at = (START + timedelta(minutes=number)).isoformat()
        customer = encode("customer", ada.id)
        return UsageEvent(id=f"e{number}", type=kind, customer=customer, occurred_at=at, properties=properties)

    payments = [event(3, "till.payment", amount=100), event(2, "till.payment", amount=20)]
    messages = [event(4, "till.message", country="de"), event(5, "till.message", country="at")]
    verdicts = await world.use("till", *payments, *messages)
    assert {verdict.status for verdict in verdicts} == {"counted"}
    await world.advance(to="2026-03-01")
    *_, invoice = await world.invoices(ada)
    # The fee of 5.00; 0.40 for 20 and 1.00 for 100; 0.10 and 0.05 for the messages.
    assert invoice.total.minor == 500 + 140 + 15
    assert (await verify(world, invoice)).outcome is Outcome.EQUAL
    # The same sum in other parts: 60 and 60 would cost 1.00 each.
    found = await verify_tampered(
        world,
        invoice,
        "UPDATE usage_event SET properties = jsonb_build_object('amount', 60) WHERE type = 'till.payment'",
    )
    differing = [each for check in found.lines for each in check.differences if each.field == "amount_minor"]
    assert differing == [Difference("amount_minor", "140", "200")]


async def test_an_alias_that_was_added_later_changes_nothing(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    await world.subscribe(ada, "pro")
    # Tavily is priced by its row for any model; later the reported name becomes another one's alias.
    call = llm_call(ada, START + timedelta(minutes=1), provider="tavily", model="deep-search", requests=1_000)
    await world.use("llm", call)
    await world.advance(to="2026-03-01")
    *_, invoice = await world.invoices(ada)
    assert invoice.total.minor == 7900 + 100
    await run(world, "INSERT INTO model_alias VALUES ('tavily', 'deep-search', 'search')")
    assert (await verify(world, invoice)).outcome is Outcome.EQUAL


async def test_a_line_shows_its_hours(month: tuple[World, Customer, Invoice]) -> None:
    world, _, invoice = month
    async with world.runtime.db.transaction() as tx:
        lines = (await invoices.lines_by_invoice_ids(tx, [invoice.id], scope=None))[invoice.id]
        catalogue = await world.runtime.catalogue()
        hours = {line.identity.kind: await hours_of_line(tx, line, catalogue) for line in lines}
    assert hours[LineKind.FEE] == []
    # Two calls in the first hour, one 30 hours and 2 minutes later: 400,000 tokens at 1.25 per million are 0.50 each.
    shown = [(hour.at, hour.quantity, hour.events) for hour in hours[LineKind.USAGE]]
    assert shown == [(START, Decimal("1.00"), 2), (START + timedelta(hours=30), Decimal("0.50"), 1)]
    [usage] = [line for line in lines if line.identity.kind is LineKind.USAGE]
    assert digest_of(hours[LineKind.USAGE]) == usage.derivation["digest"]


def digest_of(hours: list[LineHour]) -> str:
    """Add the digests of hours as the line does."""
    return f"{sum(int(hour.digest, 16) for hour in hours) % 2**256:064x}"


async def test_only_who_sees_an_invoice_can_verify_it(month: tuple[World, Customer, Invoice]) -> None:
    world, _, invoice = month
    assert invoice.number is not None
    strangers = make.call(by=make.principal("invoice:read", customer_id=CustomerId(make.new_id())))
    live = make.call(by=make.principal("invoice:read", environment=Environment.LIVE))
    async with world.runtime.db.transaction() as tx:
        assert await find_by_number(tx, world.call, invoice.number) == invoice.id
        for call in (strangers, live):
            assert await find_by_number(tx, call, invoice.number) is None
            with pytest.raises(InvoiceNotFound):
                await verify_invoice(tx, call, invoice.id)
        with pytest.raises(Forbidden):
            await verify_invoice(tx, make.call(by=make.principal()), invoice.id)
        with pytest.raises(InvoiceNotFound):
            await verify_invoice(tx, world.call, InvoiceId(make.new_id()))


async def test_a_fee_that_was_billed_at_the_instant_of_an_end_is_what_was_owed_until_then(world: World) -> None:
    ada = await world.customer(on="2026-01-31")
    own = await world.subscribe(ada, "pro")
    await world.cancel(await world.subscription(own), at_period_end=False)
    await world.drain()
    [invoice] = await world.invoices(ada)
    assert (await verify(world, invoice)).outcome is Outcome.EQUAL
    # It is compared with its price all the same; and where the end was known before, no fee was owed.
    cheaper = "UPDATE invoice_line SET amount_minor = 7800 WHERE kind = 'fee'"
    assert fields((await verify_tampered(world, invoice, cheaper)).lines[0].differences) == ["amount_minor"]
    known = "UPDATE subscription SET canceled_at = canceled_at - interval '1 second'"
    found = (await verify_tampered(world, invoice, known)).lines[0].differences
    assert Difference("amount_minor", "7900", "0") in found
