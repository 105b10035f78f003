"""What a one-off charge may be, and the line that it becomes."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.invoices import one_off_charge as rules
from domain.invoices.derivation import Changes
from domain.invoices.invoice import Identity, Line, LineKind
from domain.invoices.one_off_charge import (
    ChargeMalformed,
    ChargeNegative,
    ChargeWish,
    OneOffCharge,
    changes_of,
    check,
    wanted_line,
)
from domain.kernel.ids import CustomerId, InvoiceId, LineId, OneOffChargeId
from domain.kernel.money import CurrencyUnknown, Money
from domain.kernel.period import Period
from tests import make

_NOW = make.at("2026-02-10")
_WISH = ChargeWish("USD", "Training", Decimal("12.345"), Decimal(3), "hour")


def _charge(wish: ChargeWish = _WISH) -> OneOffCharge:
    return OneOffCharge(CustomerId(make.new_id()), OneOffChargeId(make.new_id()), wish, _NOW)


def _on_draft(charge: OneOffCharge) -> Line:
    """Put its line on a draft."""
    wish = wanted_line(charge, "UTC")
    return Line(
        LineId(make.new_id()),
        InvoiceId(make.new_id()),
        charge.customer_id,
        wish.identity,
        0,
        wish.description,
        wish.quantity,
        wish.unit,
        Money(wish.amount_minor, "USD"),
        Money(0, "USD"),
        wish.derivation,
    )


def test_the_line_names_quantity_times_unit_price_and_is_rounded_once() -> None:
    charge = _charge()
    line = wanted_line(charge, "UTC")
    period = Period(_NOW, _NOW + timedelta(seconds=1))
    assert line.identity == Identity(LineKind.ONE_OFF, None, None, None, period, origin=charge.origin)
    # 3 x 12.345 = 37.035, half up to 37.04.
    assert (line.description, line.unit, line.amount_minor) == ("Training", "hour", 3704)
    assert line.quantity == Decimal(3)
    assert line.derivation == {
        "one_off_charge": charge.origin,
        "quantity": "3",
        "unit_price": "12.345",
        "exact_amount": "37.035",
        "rounding": "half up to 2 digits",
        "amount_minor": 3704,
        "currency": "USD",
        "period": {"start": "2026-02-10T00:00:00+00:00", "end": "2026-02-10T00:00:01+00:00"},
        "tax_code": None,
        "discountable": True,
    }
    assert charge.origin.startswith("oneoff_")


def test_a_service_period_is_named_in_the_customers_days() -> None:
    start, end = make.at("2026-01-31T23:00"), make.at("2026-02-28T23:00")
    line = wanted_line(_charge(replace(_WISH, service_start_at=start, service_end_at=end)), "Europe/Berlin")
    assert line.description == "Training, 1 Feb 2026 – 1 Mar 2026"  # noqa: RUF001 - an en dash joins a range
    assert line.identity.period == Period(start, end)


@pytest.mark.parametrize(
    "given",
    [
        {"description": "  "},
        {"description": "x" * 301},
        {"description": "two\nlines"},
        {"unit": ""},
        {"unit": "x" * 41},
        {"quantity": Decimal(0)},
        {"quantity": Decimal(10**9 + 1)},
        {"quantity": Decimal("1E-19")},
        {"quantity": Decimal("NaN")},
        {"unit_price": Decimal("1E-19")},
        {"unit_price": Decimal(10**12 + 1), "quantity": Decimal("1E-18")},
        {"unit_price": Decimal("NaN")},
        {"unit_price": Decimal("Infinity")},
        {"tax_code": "No code"},
        # One minor unit more than 10^12, as one and as a product.
        {"unit_price": Decimal("10000000000.01"), "quantity": Decimal(1)},
        {"unit_price": Decimal(10000001), "quantity": Decimal(1000)},
        {"service_end_at": _NOW},
        {"service_start_at": _NOW, "service_end_at": _NOW},
        {"service_start_at": _NOW + timedelta(days=3661)},
        {"service_start_at": _NOW, "service_end_at": _NOW + timedelta(days=3661)},
    ],
)
def test_what_is_out_of_bounds_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ChargeMalformed):
        check(replace(_WISH, **given), _NOW)


def test_what_is_negative_is_refused_with_the_way_to_go() -> None:
    for wrong in (replace(_WISH, unit_price=Decimal("-0.01")), replace(_WISH, quantity=Decimal(-1))):
        with pytest.raises(ChargeNegative, match="credit note"):
            check(wrong, _NOW)
    with pytest.raises(CurrencyUnknown):
        check(replace(_WISH, currency="XXX"), _NOW)


def test_the_largest_and_the_least_charge_are_taken_and_texts_are_trimmed() -> None:
    most = Decimal(rules.QUANTITY_MAX)
    largest = replace(_WISH, unit_price=Decimal(10), quantity=most, description=" x ", unit=" hour ")
    checked = check(replace(largest, service_start_at=_NOW - timedelta(days=3660), tax_code="saas"), _NOW)
    assert (checked.description, checked.unit) == ("x", "hour")
    # 10^9 x 10.00 is 10^12 minor units.
    assert _charge(checked).amount == Money(10**12, "USD")
    free = check(replace(_WISH, unit_price=Decimal(0)), _NOW)
    assert _charge(free).amount == Money(0, "USD")


def test_a_draft_gets_what_was_charged_by_then_and_keeps_what_it_has() -> None:
    charge = _charge()
    line = _on_draft(charge)
    added = changes_of([charge], [], _NOW, "UTC")
    assert [(each.identity.origin, each.revision) for each in added.add] == [(charge.origin, 0)]
    assert not changes_of([charge], [line], _NOW, "UTC")
    earlier = _NOW - timedelta(days=1)
    assert not changes_of([charge], [], earlier, "UTC")
    assert not changes_of([charge], [line], earlier, "UTC")


def test_what_waits_no_more_leaves_the_draft() -> None:
    line = _on_draft(_charge())
    assert changes_of([], [line], _NOW, "UTC") == Changes((line.id,), ())
