"""Invoices on real Postgres: what is due, and what becomes of a draft."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from domain.customers import service as customers
from domain.db import Database
from domain.invoices import service, store
from domain.invoices.invoice import (
    InvoiceKind,
    LineKind,
    State,
)
from domain.invoices.numbering.store import number_series
from domain.journal.store import billing_event, outbox_job
from domain.kernel.call import Environment
from domain.kernel.money import Money
from domain.ledger import service as ledger
from domain.ledger.account import Account
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from tests import make
from tests.domain.invoices.world import STARTED, World, catalogue_file, found_world, system_call

_FEBRUARY = make.at("2026-02-01")
_MARCH = make.at("2026-03-01")
_IN_JANUARY = make.at("2026-01-10")


async def test_the_fee_of_the_first_period_is_due_at_the_start(world: World) -> None:
    draft = await world.draft(STARTED, grace_s=3600)
    assert draft is not None
    assert (draft.state, draft.total, draft.environment) == (State.DRAFT, Money(7900, "USD"), Environment.TEST)
    assert draft.grace_ends_at == STARTED + timedelta(hours=1)
    assert await world.lines(draft) == [(LineKind.FEE, 0, 7900)]


async def test_a_derivation_run_twice_adds_nothing(world: World) -> None:
    await world.count("cost", "25.0339275", at=_IN_JANUARY)
    first = await world.draft(_FEBRUARY)
    assert first is not None
    assert await world.draft(_FEBRUARY) == first
    opened = await world.open(first, _FEBRUARY)
    before = await world.written()
    assert await world.draft(_FEBRUARY) is None
    assert await world.written() == before
    # 25.03 of January's usage, the fees of January and February: 25.03 + 79.00 + 79.00 = 183.03
    assert opened.total == Money(18_303, "USD")
    assert await world.lines(opened) == [(LineKind.USAGE, 0, 2503), (LineKind.FEE, 0, 7900), (LineKind.FEE, 0, 7900)]


async def test_a_usage_line_explains_itself_with_the_tokens_and_rates_beside_its_cost(world: World) -> None:
    await world.price("input", "1.25")
    await world.count("cost", "22.5749675", at=_IN_JANUARY)
    await world.count("input_tokens", "18059974", at=_IN_JANUARY)
    draft = await world.draft(_FEBRUARY)
    assert draft is not None
    async with world.db.transaction() as tx:
        lines = (await service.lines_by_invoice_ids(tx, [draft.id], scope=None))[draft.id]
    facts = lines[0].derivation
    assert (lines[0].amount.minor, facts["exact_amount"], facts["meter"]) == (2257, "22.5749675", "cost")
    assert facts["counted"] == {"input_tokens": "18059974"}
    assert facts["dimensions"] == {"provider": "gemini", "model": "gemini-2.5-pro"}
    assert [(row["pool"], row["amount"]) for row in facts["rates"]] == [("input", "1.25")]
    assert (facts["events"], int(facts["digest"], 16)) == (1, 7)


async def test_concurrent_derivations_make_one_draft_with_each_line_once(world: World) -> None:
    drafts = await asyncio.gather(*(world.draft(_FEBRUARY) for _ in range(5)))
    assert len({draft.id for draft in drafts if draft}) == 1
    [draft] = {draft for draft in drafts if draft}
    assert await world.lines(draft) == [(LineKind.FEE, 0, 7900), (LineKind.FEE, 0, 7900)]


async def test_news_before_the_opening_replace_the_line_on_the_draft(world: World) -> None:
    await world.count("cost", "1.50", at=_IN_JANUARY)
    await world.draft(_FEBRUARY)
    await world.count("cost", "0.25", at=_IN_JANUARY + timedelta(hours=1))
    draft = await world.draft(_FEBRUARY)
    assert draft is not None
    assert await world.lines(draft) == [(LineKind.USAGE, 0, 175), (LineKind.FEE, 0, 7900), (LineKind.FEE, 0, 7900)]
    assert draft.total == Money(15_975, "USD")


async def test_late_usage_of_an_opened_invoice_is_a_revision_with_the_difference_on_the_next(world: World) -> None:
    await world.count("cost", "1.50", at=_IN_JANUARY)
    await world.open(await world.draft(_FEBRUARY), _FEBRUARY)
    await world.count("cost", "0.754", at=_IN_JANUARY + timedelta(hours=1))
    draft = await world.draft(_MARCH)
    assert draft is not None
    # 1.50 + 0.754 = 2.254 -> 2.25; 2.25 - 1.50 = 0.75, with January as its service period.
    assert await world.lines(draft) == [(LineKind.USAGE, 1, 75), (LineKind.FEE, 0, 7900)]
    async with world.db.transaction() as tx:
        [late, _] = (await service.lines_by_invoice_ids(tx, [draft.id], scope=None))[draft.id]
    assert (late.period.start, late.period.end) == (STARTED, _FEBRUARY)
    assert late.derivation["billed_before_minor"] == 150


async def test_usage_above_the_monthly_cost_cap_is_shown_and_not_charged(world: World) -> None:
    await world.count("cost", "160.006", at=_IN_JANUARY)
    await world.open_first()
    draft = await world.draft(_FEBRUARY)
    assert draft is not None
    # 160.01 - 10.01 = 150.00, and February's fee.
    assert await world.lines(draft) == [
        (LineKind.USAGE, 0, 16_001),
        (LineKind.CAP, 0, -1_001),
        (LineKind.FEE, 0, 7900),
    ]
    opened = await world.open(draft, _FEBRUARY)
    # Late usage is above the cap as well: its whole amount is taken off again.
    await world.count("cost", "2", at=_IN_JANUARY + timedelta(hours=1))
    late = await world.draft(_FEBRUARY)
    assert late is not None
    assert opened.total == Money(22_900, "USD")
    assert await world.lines(late) == [(LineKind.USAGE, 1, 200), (LineKind.CAP, 1, -200)]


async def test_opening_posts_stages_tells_and_gives_a_number(world: World) -> None:
    opened = await world.open_first()
    assert (opened.state, opened.number, opened.issued_at) == (State.OPEN, "TEST-2026-000001", STARTED)
    async with world.db.transaction() as tx:
        assert await ledger.balances(tx, world.customer.id) == [
            (Account.RECEIVABLE, Money(7900, "USD")),
            (Account.REVENUE, Money(-7900, "USD")),
        ]
        staged = await tx.rows(sa.select(outbox_job.c.kind, outbox_job.c.run_at).order_by(outbox_job.c.kind))
        told = await tx.rows(sa.select(billing_event.c.type, billing_event.c.amount_minor))
    assert [tuple(row) for row in staged] == [
        ("collect_invoice", STARTED),
        ("render_invoice", STARTED),
        ("send_notice", STARTED),
    ]
    assert [tuple(row) for row in told] == [("invoice_opened", 7900)]


async def test_opening_twice_returns_the_same_invoice_and_does_nothing_more(world: World) -> None:
    opened = await world.open_first()
    before = await world.written()
    assert await world.open(opened, _MARCH) == opened
    assert await world.written() == before


async def test_two_openings_at_once_give_one_number(world: World) -> None:
    draft = await world.draft(STARTED)
    first, second = await asyncio.gather(world.open(draft, STARTED), world.open(draft, STARTED))
    assert first == second
    assert first.number == "TEST-2026-000001"
    assert (await world.written())["posted"] == 1


async def test_the_jobs_of_a_test_clock_customer_wait_on_that_clock(db: Database) -> None:
    call = system_call()
    async with db.transaction() as tx:
        clock = await customers.create_clock(tx, call, name="clock", now_at=STARTED)
    world = await found_world(db, clock_id=clock.id)
    await world.open_first()
    async with db.transaction() as tx:
        rows = await tx.rows(sa.select(outbox_job.c.clock_id))
    assert [row.clock_id for row in rows] == [clock.id, clock.id, clock.id]


async def test_live_invoices_have_a_series_of_their_own(db: Database) -> None:
    live = await found_world(db, environment=Environment.LIVE)
    opened = await live.open_first()
    assert opened.number == "2026-000001"
    async with db.transaction() as tx:
        assert await ledger.trial_balance(tx, Environment.TEST) == []
        assert len(await ledger.trial_balance(tx, Environment.LIVE)) == 2


async def test_numbers_have_no_gap_when_many_open_at_once_and_one_rolls_back(db: Database) -> None:
    worlds = [await found_world(db) for _ in range(20)]
    drafts = [await each.draft(STARTED) for each in worlds]

    async def open_one(index: int) -> None:
        draft = drafts[index]
        assert draft is not None
        async with db.transaction() as tx:
            await service.open_invoice(tx, system_call(), STARTED, customer_id=draft.customer_id, invoice_id=draft.id)
            if index == 7:
                raise RuntimeError("the seventh is rolled back after it took its number")

    ends = await asyncio.gather(*(open_one(index) for index in range(20)), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [RuntimeError]
    async with db.transaction() as tx:
        numbers = await tx.rows(sa.select(store.invoice.c.number).where(store.invoice.c.number.is_not(None)))
        last = await tx.value(sa.select(number_series.c.last))
    assert sorted(row.number for row in numbers) == [f"TEST-2026-{number:06d}" for number in range(1, 20)]
    assert last == 19
    assert (await worlds[7].open(drafts[7], STARTED)).number == "TEST-2026-000020"


async def test_lines_that_are_all_zero_are_kept_on_a_statement(db: Database) -> None:
    free = await found_world(db, plan="free")
    await free.count("cost", "0.40", at=_IN_JANUARY)
    draft = await free.draft(_FEBRUARY)
    before = await free.written()
    statement = await free.open(draft, _FEBRUARY)
    assert (statement.kind, statement.state, statement.number) == (InvoiceKind.STATEMENT, State.PAID, None)
    assert await free.lines(statement) == [(LineKind.USAGE, 0, 0), (LineKind.FEE, 0, 0), (LineKind.FEE, 0, 0)]
    after = await free.written()
    assert after == {**before, "audited": before["audited"] + 1}
    assert await free.draft(_FEBRUARY) is None


async def test_a_draft_below_the_minimum_waits_and_its_lines_join_the_next(db: Database) -> None:
    world = await found_world(db, interval=Interval.YEAR)
    await world.open_first()
    await world.count("cost", "0.49", at=_IN_JANUARY)
    small = await world.draft(_FEBRUARY)
    before = await world.written()
    waiting = await world.open(small, _FEBRUARY)
    assert (waiting.state, waiting.total) == (State.DRAFT, Money(49, "USD"))
    assert await world.written() == before
    await world.count("cost", "0.01", at=make.at("2026-02-10"))
    joined = await world.draft(_MARCH, grace_s=60)
    assert joined is not None
    assert (joined.id, joined.total) == (waiting.id, Money(50, "USD"))
    assert joined.grace_ends_at == _MARCH + timedelta(seconds=60)
    assert (await world.open(joined, _MARCH)).state is State.OPEN


async def test_a_negative_draft_waits(world: World) -> None:
    await world.count("cost", "10", at=_IN_JANUARY)
    await world.open(await world.draft(_FEBRUARY), _FEBRUARY)
    await world.count("cost", "-4", at=_IN_JANUARY + timedelta(hours=1))
    draft = await world.draft(_FEBRUARY)
    assert (await world.open(draft, _FEBRUARY)).state is State.DRAFT
    assert draft is not None
    assert draft.total == Money(-400, "USD")


async def test_what_joins_a_draft_in_its_grace_does_not_prolong_it(world: World) -> None:
    first = await world.draft(STARTED, grace_s=86_400 * 40)
    joined = await world.draft(_FEBRUARY, grace_s=3600)
    assert first is not None
    assert joined is not None
    assert (joined.id, joined.grace_ends_at) == (first.id, STARTED + timedelta(days=40))


async def test_two_subscriptions_share_a_draft_and_deriving_one_leaves_the_other_alone(world: World) -> None:
    call = system_call()
    async with world.db.transaction() as tx:
        await plans.publish(tx, call, catalogue_file("edge.json"))
        catalogue = await plans.load_catalogue(tx)
        edge = await subscriptions.open_subscription(
            tx,
            call,
            STARTED,
            customer=world.customer,
            product_id=catalogue.product("edge").id,
            plan_version_id=catalogue.current_version("edge", "starter").id,
            interval=Interval.MONTH,
            currency="USD",
        )
    llm = await world.draft(STARTED)
    both = await replace(world, subscription=edge, catalogue=catalogue).draft(STARTED)
    assert llm is not None
    assert both is not None
    # 79.00 for the LLM product and 29.00 for the edge product
    assert (both.id, both.total) == (llm.id, Money(10_800, "USD"))
    assert await world.draft(STARTED) == both
    async with world.db.transaction() as tx:
        none = await service.draft_due(
            tx, call, STARTED, customer=world.customer, subscriptions=[], catalogue=catalogue
        )
    assert none is None


async def test_nothing_due_makes_no_draft(world: World) -> None:
    assert await world.draft(STARTED - timedelta(days=1)) is None
    async with world.db.transaction() as tx:
        assert await tx.value(sa.select(sa.func.count()).select_from(store.invoice)) == 0
