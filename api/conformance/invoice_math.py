"""Invoice arithmetic: rounding in `domain/kernel/money.py`, tax in `domain/invoices/tax.py`."""

from decimal import Decimal
from fractions import Fraction

from api.conformance.case import Area, Found, Given, number
from domain.invoices.tax import TaxableLine, taxes
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


AREA = Area(
    {
        "round_money": _round_money,
        "tax_single": _tax_single,
        "tax_by_rate": _tax_by_rate,
        "tax_rounding_methods": _tax_rounding_methods,
    },
    other_methods={
        "tax_rounding_methods": frozenset(
            {"per_line_half_up", "once_per_invoice_half_up", "per_line_half_even", "total_per_line_half_up"}
        )
    },
)
