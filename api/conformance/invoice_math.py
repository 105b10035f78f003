"""Invoice arithmetic: rounding in `kernel/money.py`, tax in `invoices/tax.py` and `invoices/taxing/` of the domain."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from api.conformance import billing, changing, coupons, crediting
from api.conformance.case import Area, Found, Given, number
from domain.customers.profiles.profile import Address, Profile, TaxStatus
from domain.invoices.tax import Taxable, TaxableLine, tax_invoice, tax_of_lines, taxes
from domain.invoices.taxing.treatment import Merchant, Registration, TaxRate, TaxSource, treatment_of
from domain.kernel.ids import CustomerId, RegistrationId, TaxRateId
from domain.kernel.money import round_half_up


def _round_money(given: Given) -> Found:
    scaled = 10 ** given["minor_digits"]
    return {"rounded": Fraction(round_half_up(number(given["value"]) * scaled), scaled)}


def _tax_single(given: Given) -> Found:
    scaled = 10 ** given["minor_digits"]
    [tax] = taxes([TaxableLine(round_half_up(number(given["taxable"]) * scaled), Decimal(given["rate_percent"]))])
    return {"tax": Fraction(tax, scaled)}


def _tax_by_rate(given: Given) -> Found:
    lines = [TaxableLine(line["amount_minor"], Decimal(line["rate_percent"])) for line in given["lines"]]
    tax_minor = sum(taxes(lines))
    return {"tax_minor": tax_minor, "total_minor": tax_minor + sum(line.net_minor for line in lines)}


def _tax_rounding_methods(given: Given) -> Found:
    lines = [
        TaxableLine(round_half_up(number(line["amount"]) * 100), Decimal(line["rate_percent"]))
        for line in given["lines"]
    ]
    return {"once_per_rate_half_up": Fraction(sum(taxes(lines)), 100)}


def _tax_resolution(given: Given) -> Found:
    """Take the customer's rate as that of its country, a line's own rate as that of its tax code."""
    seller, buyer, at = "DE", "FR", datetime(2026, 1, 1, tzinfo=UTC)
    rates = [_rate(buyer, str(index), line["line_rate_percent"], at) for index, line in _with_own_rates(given)]
    if "customer_rate_percent" in given:
        rates.append(_rate(buyer, None, given["customer_rate_percent"], at))
    status = TaxStatus.EXEMPT if given.get("customer_exempt") else TaxStatus.TAXABLE
    number = None
    if given.get("reverse_charge"):
        status, number = TaxStatus.REVERSE_CHARGE, f"{buyer}40303265045"
    profile = Profile(CustomerId(UUID(int=0)), Address(country=buyer), number, status)
    registration = Registration(RegistrationId(UUID(int=0)), buyer, None, None, at, None)
    merchant = Merchant(seller, TaxSource.TABLE, (registration,))
    lines = [
        Taxable(line["amount_minor"], treatment_of(merchant, profile, rates, str(index), at))
        for index, line in enumerate(given["lines"])
    ]
    borne = tax_of_lines(tax_invoice(lines))
    line_taxes = [borne.get(index, 0) for index in range(len(lines))]
    total = sum(line_taxes) + sum(line.amount_minor for line in lines)
    return {"line_taxes_minor": line_taxes, "tax_minor": sum(line_taxes), "total_minor": total}


def _with_own_rates(given: Given) -> list[tuple[int, Given]]:
    return [(index, line) for index, line in enumerate(given["lines"]) if "line_rate_percent" in line]


def _rate(country: str, tax_code: str | None, percent: str, at: datetime) -> TaxRate:
    return TaxRate(
        TaxRateId(UUID(int=0)),
        country,
        None,
        tax_code,
        "VAT",
        Decimal(percent),
        inclusive=False,
        valid_from=at,
        valid_to=None,
    )


AREA = Area(
    {
        **coupons.KINDS,
        **crediting.KINDS,
        "progressive_offset": billing.progressive_offset,
        "round_money": _round_money,
        "tax_single": _tax_single,
        "tax_by_rate": _tax_by_rate,
        "tax_rounding_methods": _tax_rounding_methods,
        "tax_resolution": _tax_resolution,
        "quantity_change_with_discount": changing.quantity_change_with_discount,
    },
    other_methods={
        "stacking_methods": frozenset({"stacked"}),
        "order_of_application": frozenset({"coupon_and_prepaid_before_tax_due", "coupon_and_prepaid_after_tax_due"}),
        "tax_rounding_methods": frozenset(
            {"per_line_half_up", "once_per_invoice_half_up", "per_line_half_even", "total_per_line_half_up"}
        ),
    },
)
