"""What holds for every price and every quantity."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from domain.invoices.assembly import usage_of
from domain.invoices.derivation import WantedLine, changes
from domain.invoices.invoice import Identity, Line, LineKind
from domain.invoices.rating import usage_lines
from domain.kernel.ids import CustomerId, InvoiceId, LineId, MeterId, PlanVersionId, PriceId, SegmentId, SubscriptionId
from domain.kernel.money import Money, exact_text, split, to_minor
from domain.kernel.period import Period
from domain.plans import aggregation
from domain.plans.aggregation import Reading
from domain.plans.plan import Price, PriceModel
from domain.plans.price import check_definition, rate
from domain.subscriptions.subscription import Segment
from domain.usage.reading import added_up
from tests import make
from tests.domain.invoices import examples

_SCALE = 10**6
_IDS = PriceId(make.new_id()), PlanVersionId(make.new_id()), MeterId(make.new_id())


def _decimals(most: int, *, least: int = 0) -> st.SearchStrategy[str]:
    return st.integers(least * _SCALE, most * _SCALE).map(lambda number: exact_text(Fraction(number, _SCALE)))


_UNITS = _decimals(2_000).map(Fraction)
_AMOUNT = _decimals(50)


@st.composite
def _tiers(draw: st.DrawFn) -> dict[str, Any]:
    bounds = sorted(draw(st.sets(st.integers(1, 1_500), max_size=4)))
    return {
        "tiers": [
            {"up_to": None if bound is None else str(bound), "unit_amount": draw(_AMOUNT), "flat_amount": draw(_AMOUNT)}
            for bound in (*bounds, None)
        ]
    }


_PER_UNIT = st.fixed_dictionaries({"unit_amount": _AMOUNT}, optional={"included_units": _decimals(500)})
_PACKAGE = st.fixed_dictionaries(
    {"package_size": _decimals(300, least=1), "package_amount": _AMOUNT}, optional={"free_units": _decimals(500)}
)


def _priced(model: PriceModel, definitions: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Price]:
    def price(definition: dict[str, Any]) -> Price:
        check_definition(model, definition, "p")
        return Price(_IDS[0], _IDS[1], "p", "usage", "USD", None, _IDS[2], model, definition, "")

    return definitions.map(price)


def _with_parts(definitions: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Put a discount, a minimum and a maximum around a definition."""
    parts = st.fixed_dictionaries(
        {},
        optional={"discount_percent": _decimals(100), "minimum": _decimals(50), "maximum": _decimals(9_000, least=50)},
    )
    return st.builds(lambda definition, around: {**definition, **around}, definitions, parts)


_GROWING = st.one_of(_priced("per_unit", _PER_UNIT), _priced("graduated", _tiers()), _priced("package", _PACKAGE))
_EVERY = st.one_of(
    _priced("per_unit", _with_parts(_PER_UNIT)),
    _priced("graduated", _with_parts(_tiers())),
    _priced("volume", _with_parts(_tiers())),
    _priced("package", _with_parts(_PACKAGE)),
)
# Models whose amount grows in proportion where quantity and allowances do; a started package does not.
_PROPORTIONAL = st.one_of(
    _priced("per_unit", _with_parts(_PER_UNIT)),
    _priced("graduated", _with_parts(_tiers())),
    _priced("volume", _with_parts(_tiers())),
)


_LINE = Identity(
    LineKind.USAGE,
    SubscriptionId(make.new_id()),
    _IDS[0],
    SegmentId(make.new_id()),
    Period(make.at("2026-01-01"), make.at("2026-02-01")),
)


def _bill(price: Price, units: Fraction, issued: Sequence[Line], *, final: bool) -> list[Line]:
    """Rate the total, subtract what was issued, and issue the difference, as closing does."""
    charge = rate(price, units, final=final)
    quantity = Decimal(exact_text(units))
    wanted = WantedLine(_LINE, "usage", quantity, "unit", to_minor(charge.amount, "USD"), charge.derivation)
    return [
        Line(
            LineId(make.new_id()),
            InvoiceId(make.new_id()),
            CustomerId(make.new_id()),
            new.identity,
            new.revision,
            new.description,
            new.quantity,
            new.unit,
            Money(new.amount_minor, "USD"),
            Money(0, "USD"),
            new.derivation,
        )
        for new in changes([wanted], issued, []).add
    ]


@given(_EVERY, st.lists(_UNITS, min_size=1, max_size=6))
def test_the_bills_of_a_divided_period_add_up_to_the_rating_of_the_whole(price: Price, parts: list[Fraction]) -> None:
    issued: list[Line] = []
    for number, units in enumerate(itertools.accumulate(parts), 1):
        issued += _bill(price, units, issued, final=number == len(parts))
    [once] = _bill(price, sum(parts, Fraction(0)), [], final=True)
    assert sum(line.amount.minor for line in issued) == once.amount.minor
    assert sum((line.quantity for line in issued), Decimal(0)) == once.quantity


@given(_PROPORTIONAL, _UNITS, st.lists(st.integers(1, 1_000), min_size=1, max_size=5))
def test_even_usage_costs_the_same_however_often_a_period_is_cut(
    price: Price, quantity: Fraction, weights: list[int]
) -> None:
    shares = [Fraction(weight, sum(weights)) for weight in weights]
    parts = [rate(price, quantity * share, share=share).amount for share in shares]
    assert sum(parts, Fraction(0)) == rate(price, quantity).amount


@given(_EVERY, _UNITS)
def test_rating_is_a_pure_function_and_its_derivation_is_text(price: Price, quantity: Fraction) -> None:
    before = json.dumps(price.definition, sort_keys=True)
    first, second = rate(price, quantity), rate(price, quantity)
    assert first == second
    assert json.loads(json.dumps(first.derivation)) == first.derivation
    assert Fraction(first.derivation.get("total", first.derivation["subtotal"])) == first.amount
    assert json.dumps(price.definition, sort_keys=True) == before


@given(_GROWING, _UNITS, _UNITS)
def test_more_units_never_cost_less(price: Price, quantity: Fraction, more: Fraction) -> None:
    assert rate(price, quantity + more).amount >= rate(price, quantity).amount


@given(_priced("graduated", _tiers()), _UNITS)
def test_the_tiers_of_a_graduated_price_hold_every_unit_once(price: Price, quantity: Fraction) -> None:
    walked = rate(price, quantity).derivation["tiers"]
    assert sum((Fraction(tier["units"]) for tier in walked), Fraction(0)) == quantity


@given(_EVERY, _UNITS)
def test_an_amount_stays_between_minimum_and_maximum(price: Price, quantity: Fraction) -> None:
    amount = rate(price, quantity).amount
    assert amount >= Fraction(price.definition.get("minimum", "0"))
    if "maximum" in price.definition:
        assert amount <= Fraction(price.definition["maximum"])


_PERCENTAGE = st.fixed_dictionaries(
    {"rate_percent": _decimals(100)},
    optional={
        "fixed_amount": _AMOUNT,
        "free_events": st.integers(0, 5).map(str),
        "free_units": _decimals(900),
        "min_per_event": _decimals(3),
        "max_per_event": _decimals(50, least=3),
    },
)
_OF_A_METER = st.one_of(_EVERY, _priced("percentage", _PERCENTAGE))
_JANUARY = Period(make.at("2026-01-01"), make.at("2026-02-01"))
_CUT_AT = st.lists(st.integers(1, 31 * 24 - 1).map(lambda hour: _JANUARY.start + timedelta(hours=hour)), max_size=6)
_EVENTS = st.lists(
    st.tuples(
        st.integers(0, 31 * 24 - 1).map(lambda hour: _JANUARY.start + timedelta(hours=hour)),
        _decimals(300).map(Decimal),
    ),
    max_size=12,
)


def _cut(whole: Period, cuts: list[datetime]) -> list[Period]:
    inside = sorted({at for at in cuts if whole.start < at < whole.end})
    return [Period(*edges) for edges in itertools.pairwise((whole.start, *inside, whole.end))]


def _amount_minor(price: Price, events: list[tuple[datetime, Decimal]], parts: list[Period]) -> int:
    """Return what parts of January under one price come to, by what was used in each."""
    own = replace(price, plan_version_id=examples.VERSION, meter_id=examples.REQUESTS.id)
    of = examples.subscription("2026-01-01")
    group = [
        Segment(of.customer_id, SegmentId(make.new_id()), of.id, examples.VERSION, part, _JANUARY, final=True)
        for part in parts
    ]
    totals = {
        segment.id: added_up(
            examples.total(examples.REQUESTS, str(value)) for at, value in events if at in segment.during
        )
        for segment in group
    }
    together = added_up(total for found in totals.values() for total in found)
    in_order = sorted(events, key=lambda each: each[0])
    values = [value for at, value in in_order if any(at in part for part in parts)]
    usage = replace(usage_of(of, group, totals, together), events={examples.REQUESTS.id: values})
    lines = usage_lines(usage, examples.catalogue(own))
    assert len(lines) <= 1
    return sum(line.amount_minor for line in lines)


@given(_OF_A_METER, _EVENTS, _CUT_AT)
def test_a_period_costs_the_same_however_often_it_is_cut_under_one_price_and_however_unevenly_used(
    price: Price, events: list[tuple[datetime, Decimal]], cuts: list[datetime]
) -> None:
    assert _amount_minor(price, events, _cut(_JANUARY, cuts)) == _amount_minor(price, events, [_JANUARY])


@given(_OF_A_METER, _EVENTS, _CUT_AT, st.integers(1, 14), st.integers(15, 30))
def test_so_do_the_parts_of_a_period_before_and_after_another_plan(
    price: Price, events: list[tuple[datetime, Decimal]], cuts: list[datetime], away: int, back: int
) -> None:
    before = Period(_JANUARY.start, _JANUARY.start + timedelta(days=away))
    after = Period(_JANUARY.start + timedelta(days=back), _JANUARY.end)
    parts = [*_cut(before, cuts), *_cut(after, cuts)]
    assert _amount_minor(price, events, parts) == _amount_minor(price, events, [before, after])


_VALUES = st.lists(_decimals(300).map(Fraction), max_size=8)


@given(st.fixed_dictionaries({"rate_percent": _AMOUNT, "fixed_amount": _AMOUNT}), _VALUES, st.randoms())
def test_without_allowances_the_order_of_events_does_not_matter(
    definition: dict[str, Any], values: list[Fraction], order: Any
) -> None:
    price = Price(_IDS[0], _IDS[1], "p", "usage", "USD", None, _IDS[2], "percentage", definition, "")
    mixed = list(values)
    order.shuffle(mixed)
    total = sum(values, Fraction(0))
    assert rate(price, total, events=values).amount == rate(price, total, events=mixed).amount


@given(_VALUES, st.integers(0, 5), _decimals(900))
def test_allowances_only_ever_lower_a_percentage(values: list[Fraction], events: int, units: str) -> None:
    def amount(**allowances: str) -> Fraction:
        definition = {"rate_percent": "3", "fixed_amount": "1", **allowances}
        price = Price(_IDS[0], _IDS[1], "p", "usage", "USD", None, _IDS[2], "percentage", definition, "")
        return rate(price, sum(values, Fraction(0)), events=values).amount

    both = amount(free_events=str(events), free_units=units)
    assert 0 <= both <= amount()


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(0, 10**6).map(Fraction), min_size=1, max_size=8))
def test_shares_add_up_and_none_is_a_minor_unit_off(total: int, weights: list[Fraction]) -> None:
    parts = split(total, weights)
    assert sum(parts) == total
    whole = sum(weights, Fraction(0))
    if whole:
        assert all(abs(part - total * weight / whole) < 1 for part, weight in zip(parts, weights, strict=True))


_START = datetime(2026, 3, 1, tzinfo=UTC)
_MINUTES = 31 * 24 * 60
_READINGS = st.lists(
    st.builds(
        lambda minute, value, key: Reading(_START + timedelta(minutes=minute - 5_000), Fraction(value), str(key)),
        st.integers(0, _MINUTES + 4_999),
        st.integers(-50, 50),
        st.integers(1, 3),
    ),
    max_size=8,
)
_CUTS = st.lists(st.integers(1, _MINUTES - 1), max_size=4, unique=True)


def _parts_of(cuts: list[int]) -> list[Period]:
    borders = [_START + timedelta(minutes=minute) for minute in (0, *sorted(cuts), _MINUTES)]
    return [Period(start, end) for start, end in itertools.pairwise(borders)]


def _within(readings: Sequence[Reading], period: Period) -> list[Reading]:
    return aggregation.readings_of(readings, period, carries_over=True)


@given(_READINGS, _CUTS)
def test_a_level_weighs_the_same_however_often_a_period_is_cut(readings: list[Reading], cuts: list[int]) -> None:
    [whole], parts, berlin = _parts_of([]), _parts_of(cuts), ZoneInfo("Europe/Berlin")
    weighted = sum(
        (aggregation.weighted_sum(_within(readings, part), part) * part.share_of(whole) for part in parts), Fraction(0)
    )
    assert weighted == aggregation.weighted_sum(_within(readings, whole), whole)
    for prorated in (aggregation.prorated_sum, aggregation.prorated_unique_count):
        days = sum((prorated(_within(readings, part), part, berlin, 31) for part in parts), Fraction(0))
        assert days == prorated(_within(readings, whole), whole, berlin, 31)
