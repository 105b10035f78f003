"""How taxes of invoices and of what was taken back become the rows of a report."""

from datetime import timedelta
from decimal import Decimal

import pytest

from domain.invoices.declaring.report import (
    CreditedLine,
    Figures,
    Row,
    Stated,
    TaxStretchRefused,
    check_stretch,
    figures_of,
    rows_of,
)
from domain.invoices.tax import NoTax
from tests import make

_STATE = Stated("USD", "US", "CA", "State", Decimal("7.25"))
_CITY = Stated("USD", "US", "CA", "City", Decimal("2.5"))
_GERMANY = Stated("EUR", "DE", None, "VAT", Decimal(19))
_EXEMPT = Stated("EUR", reason=NoTax.EXEMPT)


def test_a_line_with_two_rates_divides_its_tax_as_the_invoice_did_and_loses_nothing() -> None:
    # 0.99 of tax over parts of 7.25 and 2.50: 0.7361… and 0.2538…; the larger remainder takes the cent: 0.74 and 0.25.
    line = CreditedLine(net=1_015, tax=99, parts=[(_STATE, 725), (_CITY, 250)])
    assert figures_of(line) == [(_STATE, Figures(1_015, 74)), (_CITY, Figures(1_015, 25))]


def test_what_is_taken_back_of_a_credit_is_below_zero() -> None:
    line = CreditedLine(net=-1_000, tax=-190, parts=[(_GERMANY, -380)])
    assert figures_of(line) == [(_GERMANY, Figures(-1_000, -190))]


def test_a_line_that_bears_no_tax_keeps_its_net() -> None:
    assert figures_of(CreditedLine(500, 0, [(_EXEMPT, 0)])) == [(_EXEMPT, Figures(500, 0))]


def test_rows_stand_by_currency_and_place_and_what_bears_no_tax_comes_last() -> None:
    rows = rows_of(
        [(_STATE, Figures(100, 7)), (_EXEMPT, Figures(300)), (_GERMANY, Figures(200, 38)), (_STATE, Figures(100, 8))],
        [(_CITY, Figures(10, 1)), (_GERMANY, Figures(50, 10))],
    )
    assert rows == [
        Row(_GERMANY, Figures(200, 38), Figures(50, 10)),
        Row(_EXEMPT, Figures(300), Figures()),
        Row(_CITY, Figures(), Figures(10, 1)),
        Row(_STATE, Figures(200, 15), Figures()),
    ]
    assert [row.remains for row in rows] == [Figures(150, 28), Figures(300), Figures(-10, -1), Figures(200, 15)]


def test_what_adds_up_to_nothing_has_no_row() -> None:
    assert rows_of([(_GERMANY, Figures(5, 1)), (_GERMANY, Figures(-5, -1))], []) == []


def test_a_stretch_has_a_length_of_two_years_at_most() -> None:
    start = make.at("2026-01-01")
    check_stretch(start, start + timedelta(days=731))
    for end in (start, start + timedelta(days=731, microseconds=1)):
        with pytest.raises(TaxStretchRefused):
            check_stretch(start, end)
