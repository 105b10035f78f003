"""Explain, verify and what-if by GraphQL: what a caller reads of one billed month."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from strawberry import Schema
from strawberry.tools import merge_types

from api.auth import Authenticator
from api.context import Serving
from api.graphql.context import Context
from api.graphql.scalars import CONFIG
from api.graphql.verify import VerifyQuery
from api.graphql.whatif import WhatIfQuery
from domain.customers.customer import Customer
from domain.db import Database
from domain.invoices.invoice import Invoice
from domain.kernel.call import Principal
from domain.kernel.ids import encode
from domain.subscriptions.subscription import Subscription
from domain.usage.recording.service import Recorder
from tests import make
from tests.world import World, llm_call, runtime_of

START = make.at("2026-01-31")
_SCHEMA = Schema(query=merge_types("Query", (VerifyQuery, WhatIfQuery)), config=CONFIG)
_VERIFY = """query($id: ID!) { verifyInvoice(id: $id) { outcome events
    lines { description outcome withLater differences { field stored recomputed } }
    totals { meter dimensions differences { field stored recomputed } } sums { field stored recomputed } } }"""
_HOURS = """query($invoice: ID!, $line: ID!) {
    lineHours(invoiceId: $invoice, lineId: $line) { at quantity events digest } }"""
_WHAT_IF = """query($customer: ID!, $subscription: ID!, $plan: String!, $start: DateTime, $version: Int) {
    whatIf(customerId: $customer, subscriptionId: $subscription, plan: $plan, periodStart: $start, version: $version) {
        isOver plan version period { start end } present { amount currency } other { amount } difference { amount }
        lines { kind key dimensions quantity unit present { amount } other { amount } difference { amount } }
        limitsHit { key used limit state } } }"""


@dataclass(frozen=True, slots=True)
class Site:
    """A customer with one billed month of 79.00 and 1.00 of usage."""

    world: World
    customer: Customer
    subscription: Subscription
    invoices: list[Invoice] = field(default_factory=list)

    async def run(self, document: str, by: Principal | None = None, **variables: Any) -> Any:
        """Execute a document and return the answer's data and the codes of its errors."""
        runtime = self.world.runtime
        authenticator = Authenticator(runtime.db, b"p" * 32, runtime.verifier)
        serving = Serving(runtime, authenticator, Recorder(runtime.db, runtime.wakeups))
        context = Context(serving, by or self.world.call.principal)
        answer = await _SCHEMA.execute(document, variables, context_value=context)
        codes = [(error.extensions or {}).get("code") for error in answer.errors or ()]
        return answer.data, codes


@pytest.fixture
async def site(published: Database) -> Site:
    """Bill a month of Pro with 800,000 input tokens at 1.25 USD per million."""
    world = World(runtime_of(published))
    ada = await world.customer(on="2026-01-31")
    started = await world.subscribe(ada, "pro")
    await world.use("llm", llm_call(ada, START + timedelta(minutes=1), input_tokens=800_000))
    await world.advance(to="2026-03-01")
    await world.close()
    return Site(world, ada, started, await world.invoices(ada))


async def test_an_invoice_is_verified_and_tampering_is_shown(site: Site) -> None:
    invoice = encode("invoice", site.invoices[-1].id)
    data, codes = await site.run(_VERIFY, id=invoice)
    usage = "LLM usage: gemini / gemini-2.5-pro, 31 Jan 2026 – 28 Feb 2026"  # noqa: RUF001 - as on the invoice
    fee = "LLM Pro, monthly fee, 28 Feb 2026 – 31 Mar 2026"  # noqa: RUF001 - the same
    equal = {"outcome": "EQUAL", "withLater": False, "differences": []}
    assert codes == []
    assert data["verifyInvoice"] == {
        "outcome": "EQUAL",
        "events": 1,
        "lines": [{"description": usage, **equal}, {"description": fee, **equal}],
        "totals": [],
        "sums": [],
    }
    async with site.world.runtime.db.transaction() as tx:
        await tx.execute(sa.text("SET LOCAL session_replication_role = replica"))
        await tx.execute(sa.text("UPDATE invoice_line SET amount_minor = 99 WHERE kind = 'usage'"))
        await tx.execute(sa.text("UPDATE counter_total SET events = 5"))
    data, _ = await site.run(_VERIFY, id=invoice)
    found = data["verifyInvoice"]
    assert (found["outcome"], found["lines"][0]["outcome"], found["lines"][1]["outcome"]) == (
        "DIFFERENT",
        "DIFFERENT",
        "EQUAL",
    )
    assert found["lines"][0]["differences"] == [{"field": "amount_minor", "stored": "99", "recomputed": "100"}]
    assert found["sums"] == [{"field": "subtotal_minor", "stored": "8000", "recomputed": "7999"}]
    whole, combination = (each for each in found["totals"] if each["meter"] == "cost")
    assert (whole["dimensions"], combination["dimensions"]) == ({}, {"model": "gemini-2.5-pro", "provider": "gemini"})
    for each in (whole, combination):
        assert each["differences"] == [{"field": "total.events", "stored": "5", "recomputed": "1"}]


async def test_a_line_shows_its_hours_and_others_see_none(site: Site) -> None:
    invoice = site.invoices[-1]
    usage, fee = await site.world.lines(invoice)
    wanted: dict[str, Any] = {"invoice": encode("invoice", invoice.id), "line": encode("line", usage.id)}
    data, codes = await site.run(_HOURS, **wanted)
    digest = usage.derivation["digest"]
    hour = {"at": "2026-01-31T00:00:00Z", "quantity": "1", "events": 1, "digest": digest}
    assert (data, codes) == ({"lineHours": [hour]}, [])
    assert (await site.run(_HOURS, **{**wanted, "line": encode("line", fee.id)}))[0] == {"lineHours": []}
    assert (await site.run(_HOURS, **{**wanted, "line": "line_x"}))[0] == {"lineHours": None}
    other = make.principal("invoice:read", customer_id=(await site.world.customer(on="2026-01-31")).id)
    assert (await site.run(_HOURS, other, **wanted))[0] == {"lineHours": None}
    assert (await site.run(_VERIFY, other, id=wanted["invoice"]))[0] == {"verifyInvoice": None}
    assert await site.run(_VERIFY, make.principal(), id=wanted["invoice"]) == ({"verifyInvoice": None}, ["forbidden"])


async def test_the_hours_of_a_line_are_read_with_one_connection(site: Site) -> None:
    """However many ask at once, none holds a connection while it waits for another."""
    usage, _ = await site.world.lines(site.invoices[-1])
    wanted: dict[str, Any] = {"invoice": encode("invoice", site.invoices[-1].id), "line": encode("line", usage.id)}
    runtime, kept = site.world.runtime, site.world.runtime.db
    runtime.db = Database(kept._engine.url.render_as_string(hide_password=False), kept.vault, pool_size=1, wait_s=1)
    runtime.forget_catalogue()
    try:
        _, codes = await site.run(_HOURS, **wanted)
        assert codes == []
    finally:
        await runtime.db.close()
        runtime.db = kept


async def test_a_closed_month_is_replayed_against_another_plan(site: Site) -> None:
    wanted: dict[str, Any] = {
        "customer": encode("customer", site.customer.id),
        "subscription": encode("subscription", site.subscription.id),
    }
    data, codes = await site.run(_WHAT_IF, plan="free", start="2026-01-31T00:00:00Z", **wanted)
    assert codes == []
    zero, line = {"amount": "0.00"}, {"dimensions": {}, "quantity": "1", "unit": "month"}
    usage = {"dimensions": {"model": "gemini-2.5-pro", "provider": "gemini"}, "quantity": "1", "unit": "USD"}
    # 79.00 + 1.00 were billed; Free costs nothing and allows 500,000 tokens and a cost of 1.00.
    assert data["whatIf"] == {
        "isOver": True,
        "plan": "free",
        "version": 1,
        "period": {"start": "2026-01-31T00:00:00Z", "end": "2026-02-28T00:00:00Z"},
        "present": {"amount": "80.00", "currency": "USD"},
        "other": zero,
        "difference": {"amount": "-80.00"},
        "lines": [
            {"kind": "FEE", "key": "fee", **line, "present": {"amount": "79.00"}, "other": zero}
            | {"difference": {"amount": "-79.00"}},
            {"kind": "USAGE", "key": "cost", **usage, "present": {"amount": "1.00"}, "other": zero}
            | {"difference": {"amount": "-1.00"}},
        ],
        "limitsHit": [
            {"key": "monthly_cost", "used": "1", "limit": "1", "state": "AT_LIMIT"},
            {"key": "tokens", "used": "800000", "limit": "500000", "state": "BLOCKED"},
        ],
    }
    assert (await site.run(_WHAT_IF, plan="gold", **wanted))[1] == ["plan_not_found"]
    assert (await site.run(_WHAT_IF, plan="pro", version=9, **wanted))[1] == ["plan_version_not_found"]
    assert (await site.run(_WHAT_IF, make.principal(), plan="free", **wanted))[1] == ["forbidden"]
