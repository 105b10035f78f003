"""What is due by an instant."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from domain.invoices.assembly import (
    SEGMENTS_BACK,
    SEGMENTS_REVISED,
    Obligation,
    is_considered,
    lines_due,
    obligation_of,
)
from domain.invoices.invoice import Identity, LineKind
from domain.kernel.ids import PlanVersionId
from domain.subscriptions.subscription import Segment, Source, Subscription
from domain.usage.reading import added_up
from tests import make
from tests.domain.invoices import examples
from tests.domain.invoices.examples import COST, GEMINI, REQUESTS, total


def test_only_segments_that_have_ended_are_due() -> None:
    subscription = examples.subscription("2026-01-01")
    january = examples.segment(subscription, "2026-01-01", "2026-02-01")
    february = examples.segment(subscription, "2026-02-01", "2026-03-01")
    for now, expected in (("2026-01-31T23:59:59", ()), ("2026-02-01", (january,))):
        assert obligation_of(subscription, [january, february], (), make.at(now)).segments == expected


def test_an_old_segment_is_looked_at_only_while_it_was_never_billed() -> None:
    subscription = examples.subscription("2025-01-01")
    old = examples.segment(subscription, "2025-01-01", "2025-02-01")
    recent = examples.segment(subscription, "2025-12-01", "2026-01-01")
    now = make.at("2026-01-01")
    assert obligation_of(subscription, [old, recent], (), now).segments == (old, recent)
    assert obligation_of(subscription, [old, recent], {old.id, recent.id}, now).segments == (recent,)
    edge = old.during.end + SEGMENTS_REVISED
    assert obligation_of(subscription, [old], {old.id}, edge).segments == ()
    assert obligation_of(subscription, [old], {old.id}, edge - timedelta(microseconds=1)).segments == (old,)


def test_what_stripe_bills_is_never_rated() -> None:
    subscription = examples.subscription("2026-01-01", source=Source.STRIPE)
    january = examples.segment(subscription, "2026-01-01", "2026-02-01")
    assert obligation_of(subscription, [january], (), make.at("2026-03-01")) == Obligation(subscription, (), ())


def test_a_renewal_bills_the_usage_of_the_month_that_ended_and_the_fee_of_the_one_that_begins() -> None:
    subscription = examples.subscription("2026-01-01")
    january = examples.segment(subscription, "2026-01-01", "2026-02-01")
    due = obligation_of(subscription, [january], (), make.at("2026-02-01"))
    totals = {january.id: [total(COST, "25.0339275", GEMINI)]}
    lines = lines_due([due], totals, {}, examples.catalogue())
    assert [(line.identity.kind, line.amount_minor) for line in lines] == [
        (LineKind.USAGE, 2503),
        (LineKind.FEE, 7900),  # January's, in advance
        (LineKind.FEE, 7900),  # February's
    ]
    assert all(is_considered(line.identity, [due]) for line in lines)


def test_lines_of_other_subscriptions_segments_and_fee_periods_are_left_alone() -> None:
    subscription, other = examples.subscription("2026-01-01"), examples.subscription("2026-01-01")
    january = examples.segment(subscription, "2026-01-01", "2026-02-01")
    earlier = examples.segment(subscription, "2025-12-01", "2026-01-01")
    due = obligation_of(subscription, [january], (), make.at("2026-02-01"))
    foreign = Identity(LineKind.FEE, other.id, None, None, january.during)
    old_fee = Identity(LineKind.FEE, subscription.id, None, None, earlier.during)
    old_usage = Identity(LineKind.USAGE, subscription.id, None, earlier.id, earlier.during)
    assert [is_considered(each, [due]) for each in (foreign, old_fee, old_usage)] == [False, False, False]


def _back_and_forth(of: Subscription) -> list[Segment]:
    """Make January under the version, another one, and the version again."""
    january = ("2026-01-01", "2026-02-01")
    first, second, third = (
        examples.segment(of, start, end, period=january)
        for start, end in (("2026-01-01", "2026-01-10"), ("2026-01-10", "2026-01-20"), ("2026-01-20", "2026-02-01"))
    )
    return [first, replace(second, plan_version_id=PlanVersionId(make.new_id())), third]


def test_the_segments_of_a_usage_period_are_due_when_it_is_over() -> None:
    subscription = examples.subscription("2026-01-01")
    segments = _back_and_forth(subscription)
    for now in ("2026-01-10", "2026-01-20", "2026-01-31T23:59:59"):
        assert obligation_of(subscription, segments, (), make.at(now)).segments == ()
    due = obligation_of(subscription, segments, (), make.at("2026-02-01"))
    assert due.segments == tuple(segments)
    assert due.groups == [(segments[0], segments[2]), (segments[1],)]


def test_the_end_of_the_subscription_makes_its_last_segments_due() -> None:
    subscription = examples.subscription("2026-01-01", cancel="2026-01-25")
    first, second, last = _back_and_forth(subscription)
    segments = [first, second, replace(last, during=replace(last.during, end=make.at("2026-01-25")))]
    assert obligation_of(subscription, segments, (), make.at("2026-01-24")).segments == ()
    assert obligation_of(subscription, segments, (), make.at("2026-01-25")).segments == tuple(segments)


def test_segments_that_keep_their_price_are_looked_at_and_left_alone_as_one() -> None:
    subscription = examples.subscription("2026-01-01")
    first, second, third = _back_and_forth(subscription)
    # Revised as long as the last of them is, though the first ended three weeks before.
    edge = third.during.end + SEGMENTS_REVISED
    billed = {first.id, second.id}
    before = obligation_of(subscription, [first, second, third], billed, edge - timedelta(microseconds=1))
    assert before.segments == (first, third)
    # Then a line names the first alone, and the last is billed with it.
    assert obligation_of(subscription, [first, second, third], billed, edge).segments == ()
    assert obligation_of(subscription, [first, second, third], {second.id}, edge).segments == (first, third)


def test_a_usage_period_that_is_not_loaded_whole_is_not_looked_at() -> None:
    subscription = examples.subscription("2026-01-01")
    segments = _back_and_forth(subscription)
    last_look = segments[0].period.start + SEGMENTS_BACK
    assert obligation_of(subscription, segments, (), last_look).segments == tuple(segments)
    late = last_look + timedelta(microseconds=1)
    assert obligation_of(subscription, segments[1:], (), late).segments == ()


def test_segments_that_keep_their_price_give_one_line_and_the_other_plan_its_own() -> None:
    subscription = examples.subscription("2026-01-01")
    segments = _back_and_forth(subscription)
    price = examples.usage_price("percentage", {"rate_percent": "2", "free_units": "310"}, REQUESTS)
    catalogue = examples.catalogue(examples.FEE, price)
    other = replace(catalogue.version(examples.VERSION), id=segments[1].plan_version_id, prices=())
    catalogue = replace(catalogue, versions={**catalogue.versions, other.id: other})
    due = obligation_of(subscription, segments, (), make.at("2026-02-01"))
    totals = {each.id: [total(REQUESTS, amount)] for each, amount in zip(segments, ("50", "999", "250"), strict=True)}
    together = {segments[0].id: added_up([*totals[segments[0].id], *totals[segments[2].id]])}
    values = {segments[0].id: {REQUESTS.id: [Decimal(50), Decimal(250)]}}
    lines = lines_due([replace(due, fees=())], totals, {}, catalogue, values, together=together)
    # 2 % of 300 less 10 a day for 21 days; apart the first 50 would use but 50 of their 90.
    assert [line.amount_minor for line in lines] == [180]
    assert all(is_considered(line.identity, [due]) for line in lines)
