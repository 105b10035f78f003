"""Why one invoice differs from another, worked out by hand, and in any case to the last minor unit."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.credits.discount import Discount
from domain.invoices.billdiff.diff import CHANGES_MAX, BillDiff, Cause, compare
from domain.invoices.invoice import Identity, Invoice, Line, LineKind
from domain.kernel.ids import InvoiceId, LineId, PriceId, SegmentId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.period import Period
from tests import make
from tests.domain.invoices.examples import CUSTOMER
from tests.domain.invoices.test_verification import invoice

_SUBSCRIPTION = SubscriptionId(make.new_id())
_PRICES = [PriceId(make.new_id()) for _ in range(3)]
_PERIOD = Period(make.at("2026-01-01"), make.at("2026-02-01"))


def _line(
    kind: LineKind,
    minor: int,
    said: str = "x",
    *,
    quantity: str = "1",
    price: int = 0,
    plan: str = "pro",
    unit: str = "month",
    revision: int = 0,
    discount: int = 0,
    **given: Any,
) -> Line:
    derivation = {"plan": plan} | {
        key: given[key] for key in ("meter", "share_of_time", "exact_amount") if key in given
    }
    own = Identity(
        kind,
        given.get("subscription", _SUBSCRIPTION),
        _PRICES[price],
        SegmentId(make.new_id()) if kind is LineKind.USAGE else None,
        _PERIOD,
        origin=given.get("origin", "derived"),
    )
    return Line(
        LineId(make.new_id()),
        InvoiceId(make.new_id()),
        CUSTOMER,
        own,
        revision,
        said,
        Decimal(quantity),
        unit,
        Money(minor, "USD"),
        Money(0, "USD"),
        derivation,
        (Discount("apc_1", "welcome", "Welcome", Money(discount, "USD")),) if discount else (),
    )


def _usage(minor: int, quantity: str, said: str = "calls", **given: Any) -> Line:
    return _line(LineKind.USAGE, minor, said, quantity=quantity, unit="call", meter=said, **given)


def _bill(lines: Sequence[Line], *, tax: int = 0, included: int = 0, applied: int = 0, offset: int = 0) -> Invoice:
    return replace(
        invoice(),
        subtotal=Money(sum(line.amount.minor for line in lines), "USD"),
        discount=Money(sum(line.discount.minor for line in lines), "USD"),
        tax=Money(tax, "USD"),
        tax_included_minor=included,
        applied_minor=applied,
        offset_minor=offset,
    )


def _diff(before: Sequence[Line], after: Sequence[Line]) -> BillDiff:
    return compare(_bill(before), before, _bill(after), after)


def _amounts(diff: BillDiff) -> dict[str, int]:
    return {part.cause: part.amount.minor for part in diff.parts}


def _said(diff: BillDiff) -> list[tuple[str, str, int]]:
    return [(part.cause, each.description, each.amount.minor) for part in diff.parts for each in part.changes]


def test_invoices_that_are_the_same_differ_in_nothing() -> None:
    lines = [_line(LineKind.FEE, 7900), _usage(1000, "100")]
    diff = _diff(lines, lines)
    assert (diff.parts, diff.difference.minor, diff.due_difference.minor) == ((), 0, 0)
    assert (diff.credits.cause, diff.credits.changes) == (Cause.CREDITS, ())


def test_another_plan_and_another_interval_are_of_the_plan() -> None:
    basic = _line(LineKind.FEE, 2900, "Basic", plan="basic")
    diff = _diff([basic], [_line(LineKind.FEE, 7900, "Pro", price=1)])
    assert _said(diff) == [("plan", "Pro instead of Basic", 5000)]
    yearly = _line(LineKind.FEE, 29000, "Basic yearly", plan="basic", unit="year", price=2)
    assert _said(_diff([basic], [yearly])) == [("plan", "Basic yearly instead of Basic", 26100)]


def test_a_fee_that_only_one_of_them_has_is_of_the_plan() -> None:
    other = _line(LineKind.FEE, 500, "Edge", subscription=SubscriptionId(make.new_id()))
    fee = _line(LineKind.FEE, 7900, "Pro")
    assert _said(_diff([fee], [fee, other])) == [("plan", "Edge", 500)]
    assert _said(_diff([fee, other], [fee])) == [("plan", "Not any more: Edge", -500)]


def test_more_seats_at_a_higher_price_are_price_for_the_old_seats_and_usage_for_the_new_ones() -> None:
    before = _line(LineKind.FEE, 2000, "Seats", quantity="2")
    after = _line(LineKind.FEE, 3600, "Seats", quantity="3", price=1)
    # 10.00 to 12.00 a seat: 2 x 2.00 is price, 1 x 12.00 usage.
    assert _said(_diff([before], [after])) == [
        ("price", "Seats: at another price", 400),
        ("usage", "Seats: 3 instead of 2", 1200),
    ]


def test_usage_at_the_same_price_is_usage_also_where_tiers_change_its_average() -> None:
    assert _said(_diff([_usage(1000, "100")], [_usage(1500, "200")])) == [("usage", "calls: 200 instead of 100", 500)]
    # An allowance that was used up elsewhere: the same quantity costs more.
    assert _said(_diff([_usage(1000, "100")], [_usage(1100, "100")])) == [("usage", "calls", 100)]


def test_what_rounding_leaves_is_usage() -> None:
    # A unit comes to 1.00 / 3: the old 2 would have cost 0.67, 0.07 more than 0.60; the other 0.33 are usage.
    diff = _diff([_usage(60, "2")], [_usage(100, "3", price=1)])
    assert _amounts(diff) == {"price": 7, "usage": 33}


def test_usage_at_another_plans_price_is_of_the_plan_at_the_old_quantity() -> None:
    diff = _diff([_usage(1000, "100", plan="basic")], [_usage(1600, "200", price=1)])
    # 8 a unit: 100 would have cost 8.00, 2.00 less; the other 100 cost 8.00.
    assert _amounts(diff) == {"plan": -200, "usage": 800}


def test_usage_that_began_or_stopped_or_is_counted_in_another_unit_is_usage() -> None:
    assert _said(_diff([], [_usage(300, "3")])) == [("usage", "calls", 300)]
    assert _said(_diff([_usage(300, "3")], [])) == [("usage", "Not any more: calls", -300)]
    assert _amounts(_diff([_usage(0, "0")], [_usage(300, "3", price=1)])) == {"usage": 300}
    assert _amounts(_diff([_usage(300, "3")], [_usage(0, "0", price=1)])) == {"usage": -300}
    in_thousands = replace(_usage(500, "3", price=1), unit="thousand calls")
    assert _amounts(_diff([_usage(300, "3")], [in_thousands])) == {"usage": 200}


def test_segments_of_one_meter_count_together() -> None:
    parts = [_usage(400, "40"), _usage(800, "80")]
    assert _said(_diff([_usage(1000, "100")], parts)) == [("usage", "calls: 120 instead of 100", 200)]


def test_a_cap_takes_off_usage() -> None:
    assert _amounts(_diff([], [_usage(900, "9"), _line(LineKind.CAP, -400)])) == {"usage": 500}


def test_prorations_and_later_differences_are_of_one_invoice_only() -> None:
    unused = _line(LineKind.PRORATION, -1000, "Unused")
    adjusted = _usage(50, "5", "Adjustment", revision=1)
    assert _said(_diff([unused], [adjusted])) == [
        ("proration", "Not any more: Unused", 1000),
        ("proration", "Adjustment", 50),
    ]


def test_a_short_fee_period_is_proration_and_not_another_price() -> None:
    # 14 of 31 days of 79.00 are 35.677..., billed as 35.68.
    short = _line(LineKind.FEE, 3568, "Pro", share_of_time="14/31", exact_amount="1106/31")
    whole = _line(LineKind.FEE, 7900, "Pro", share_of_time="1", exact_amount="79")
    assert _said(_diff([short], [whole])) == [("proration", "Not any more: Pro: a part of a period", 4332)]
    # At 89.00 in the next month the price is 10.00 of it.
    dearer = _line(LineKind.FEE, 8900, "Pro", price=1, share_of_time="1", exact_amount="89")
    assert _amounts(_diff([short], [dearer])) == {"price": 1000, "proration": 4332}
    # A period of no length costs nothing, and nothing is known of a whole one.
    nothing = _line(LineKind.FEE, 0, "Pro", share_of_time="0", exact_amount="0")
    assert _amounts(_diff([nothing], [whole])) == {"usage": 7900}


def test_one_off_charges_are_a_part_of_their_own() -> None:
    setup = _line(LineKind.ONE_OFF, 5000, "Setup", origin="oneoff_1")
    assert _said(_diff([], [setup])) == [("one-off charges", "Setup", 5000)]
    assert _said(_diff([setup], [])) == [("one-off charges", "Not any more: Setup", -5000)]


def test_discounts_are_compared_by_coupon() -> None:
    fee = _line(LineKind.FEE, 7900)
    less, more = _line(LineKind.FEE, 7900, discount=1000), _line(LineKind.FEE, 7900, discount=1500)
    assert _said(_diff([less], [fee])) == [("discounts", "Welcome", 1000)]
    assert _said(_diff([less], [more])) == [("discounts", "Welcome", -500)]


def test_tax_on_top_is_a_part_and_tax_in_prices_is_not() -> None:
    fee = [_line(LineKind.FEE, 10000)]
    on_top = compare(_bill(fee, tax=700), fee, _bill(fee, tax=1900), fee)
    assert _said(on_top) == [("tax", "Tax: 19.00 instead of 7.00", 1200)]
    contained = compare(_bill(fee, tax=654, included=654), fee, _bill(fee, tax=1597, included=1597), fee)
    assert contained.parts == ()


def test_credits_stand_beside_the_parts() -> None:
    fee = [_line(LineKind.FEE, 10000)]
    more = [_line(LineKind.FEE, 10000), _usage(500, "5")]
    diff = compare(_bill(fee, applied=1000), fee, _bill(more, applied=3000, offset=200), more)
    assert _amounts(diff) == {"usage": 500}
    # 90.00 were collected; of 105.00 balances pay 30.00 and a credit note 2.00: 73.00, 17.00 less.
    assert (diff.difference.minor, diff.credits.amount.minor, diff.due_difference.minor) == (500, -2200, -1700)
    [change] = diff.credits.changes
    assert change.description == "Paid by balances and credit notes: 32.00 instead of 10.00"


def test_a_total_below_zero_becomes_credit_and_collects_nothing() -> None:
    fee, unused = [_line(LineKind.FEE, 10000)], [_line(LineKind.PRORATION, -4000)]
    diff = _diff(fee, unused)
    assert (diff.difference.minor, diff.credits.amount.minor, diff.due_difference.minor) == (-14000, 4000, -10000)


def test_a_part_names_its_largest_changes_and_counts_all() -> None:
    many = [_usage(number, "1", f"meter {number}") for number in range(1, CHANGES_MAX + 3)]
    [part] = _diff([], many).parts
    # 1 + 2 + ... + 12.
    assert part.amount.minor == 78
    assert [change.amount.minor for change in part.changes] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]


_LINES = st.lists(
    st.builds(
        lambda kind, minor, quantity, price, plan, revision, discounted: _line(
            kind,
            minor,
            quantity=str(quantity),
            price=price,
            plan=plan,
            revision=revision,
            discount=minor * discounted // 4,
        ),
        st.sampled_from(list(LineKind)),
        st.integers(-10_000, 1_000_000),
        st.decimals(-5, 5_000, places=3),
        st.integers(0, 2),
        st.sampled_from(("basic", "pro")),
        st.sampled_from((0, 0, 0, 1)),
        st.integers(0, 4),
    ),
    max_size=6,
)


@given(_LINES, _LINES, st.integers(-500, 500), st.integers(-500, 500))
def test_parts_add_up_to_the_difference_whatever_is_compared(
    before: list[Line], after: list[Line], tax: int, included: int
) -> None:
    old, new = _bill(before, tax=tax), _bill(after, tax=included, included=included)
    diff = compare(old, before, new, after)
    expected = new.total.minor - old.total.minor
    assert sum(_amounts(diff).values()) == diff.difference.minor == expected
    assert expected + diff.credits.amount.minor == diff.due_difference.minor
    assert diff.due_difference == new.collectable - old.collectable
    back = compare(new, after, old, before)
    assert back.difference == -diff.difference
