"""Any changes inside a fee period: shares add up to 1, no switching earns money, deriving again adds nothing."""

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.invoices import derivation
from domain.invoices.derivation import NewLine, WantedLine
from domain.invoices.fees import FeePeriod, fee_lines, fee_periods_begun
from domain.invoices.invoice import Line
from domain.invoices.proration import Basis, Stage, Turn, prorate, share_left
from domain.kernel.ids import CustomerId, InvoiceId, LineId
from domain.kernel.money import Money
from domain.kernel.period import Period
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from domain.subscriptions.term import Term, term_of, with_term
from tests import make
from tests.domain.invoices import examples
from tests.domain.invoices.test_fees import TEAM, two_plans

_PERIOD = Period(make.at("2026-03-01"), make.at("2026-04-01"))
_SECONDS = int(_PERIOD.length.total_seconds())
# The instants of changes within the period, in seconds, and what is then paid in whole minor units.
_CHANGES = st.lists(
    st.tuples(st.integers(0, _SECONDS - 1), st.integers(0, 10_000), st.sampled_from((Turn.PRICE, Turn.QUANTITY))),
    max_size=12,
)


def _stages(first: int, changes: list[tuple[int, int, Turn]]) -> list[Stage]:
    found = [Stage(Turn.START, Fraction(first), Fraction(1))]
    for second, fee, turn in sorted(changes, key=lambda each: each[0]):
        at = _PERIOD.start + timedelta(seconds=second)
        found.append(Stage(turn, Fraction(fee), share_left(at, _PERIOD.end, _PERIOD, "UTC", Basis.SECOND)))
    return found


@given(st.integers(0, 10_000), _CHANGES)
def test_what_is_taken_back_leaves_what_the_time_that_passed_has_cost(
    first: int, changes: list[tuple[int, int, Turn]]
) -> None:
    stages = _stages(first, changes)
    total, consumed = 0, Fraction(0)
    for number, billed in enumerate(prorate(stages)):
        if number:
            consumed += stages[number - 1].fee * (stages[number - 1].left - stages[number].left)
        for part in (billed.credit, billed.charge):
            if part and part.minor < 0:
                # Earlier charges that were rounded down may have left less than that; then nothing is taken back.
                assert total + part.minor >= min(total, consumed.numerator // consumed.denominator)
            total += part.minor if part else 0


@given(st.integers(0, 10_000), _CHANGES)
def test_changes_cost_no_less_than_their_exact_sum_but_for_half_a_unit_an_amount(
    first: int, changes: list[tuple[int, int, Turn]]
) -> None:
    stages = _stages(first, changes)
    total, amounts, consumed = 0, 0, Fraction(0)
    for number, billed in enumerate(prorate(stages)):
        if number:
            consumed += stages[number - 1].fee * (stages[number - 1].left - stages[number].left)
        parts = [part for part in (billed.credit, billed.charge) if part]
        total += sum(part.minor for part in parts)
        amounts += len(parts)
        assert total >= consumed + stages[number].fee * stages[number].left - Fraction(amounts, 2)


@given(st.integers(0, 10_000), _CHANGES)
def test_the_shares_of_the_stages_add_up_to_the_whole_period(first: int, changes: list[tuple[int, int, Turn]]) -> None:
    stages = _stages(first, changes)
    ends = [*(each.left for each in stages[1:]), Fraction(0)]
    assert sum(stage.left - end for stage, end in zip(stages, ends, strict=True)) == 1
    assert all(stage.left >= end for stage, end in zip(stages, ends, strict=True))


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(0, _SECONDS - 1))
def test_there_and_back_at_one_instant_costs_nothing(first: int, other: int, second: int) -> None:
    changes = [(second, other, Turn.PRICE), (second, first, Turn.PRICE)]
    billed = prorate(_stages(first, changes))
    assert sum(part.minor for each in billed for part in (each.credit, each.charge) if part) == first


_TERMS = st.lists(
    st.tuples(st.integers(0, 100), st.sampled_from((examples.VERSION, TEAM)), st.integers(1, 4), st.booleans()),
    max_size=8,
)


@given(_TERMS)
def test_each_derivation_adds_what_is_missing_and_the_next_one_nothing(
    wishes: list[tuple[int, object, int, bool]],
) -> None:
    """Days of changes, the plan, the quantity, and whether the interval changes; after each an invoice is made."""
    subscription = examples.subscription("2026-01-01")
    terms, issued = [term_of(subscription, subscription.started_at)], list[Line]()
    for day, version, quantity, flips in sorted(wishes, key=lambda each: each[0]):
        now = subscription.started_at + timedelta(days=day)
        last = terms[-1]
        became = replace(last, starts_at=now, plan_version_id=version, quantity=quantity)  # type: ignore[arg-type]  # an id
        if flips:
            other = Interval.YEAR if last.interval is Interval.MONTH else Interval.MONTH
            became = replace(became, interval=other, anchor_at=now)
        terms = with_term(terms, became)
        wanted = _wanted(subscription, terms, day)
        added = derivation.changes(wanted, issued, ()).add
        issued += [_issued(line) for line in added]
        assert not derivation.changes(wanted, issued, ())
        assert sum(line.amount.minor for line in issued) == sum(line.amount_minor for line in wanted)


def _wanted(subscription: Subscription, terms: list[Term], day: int) -> list[WantedLine]:
    now = subscription.started_at + timedelta(days=day)
    periods: tuple[FeePeriod, ...] = fee_periods_begun(subscription, terms, now)
    return [line for fee in periods for line in fee_lines(subscription, fee, two_plans())]


def _issued(new: NewLine) -> Line:
    return Line(
        id=LineId(make.new_id()),
        invoice_id=InvoiceId(make.new_id()),
        customer_id=CustomerId(make.new_id()),
        identity=new.identity,
        revision=new.revision,
        description=new.description,
        quantity=new.quantity,
        unit=new.unit,
        amount=Money(new.amount_minor, "USD"),
        tax=Money(0, "USD"),
        derivation=new.derivation,
    )
