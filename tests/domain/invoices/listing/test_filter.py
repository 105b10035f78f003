"""What is refused because no document can be like that."""

import pytest

from domain.invoices.listing.filter import (
    CreditNoteFilter,
    FilterRefused,
    InvoiceFilter,
    check_invoices,
    check_notes,
)
from domain.kernel.money import CurrencyUnknown, Money
from domain.kernel.period import Range
from tests import make

_BACKWARDS = Range(make.at("2026-02-01"), make.at("2026-02-01"))


def test_a_filter_that_excludes_nothing_is_taken() -> None:
    check_invoices(InvoiceFilter())
    check_notes(CreditNoteFilter())


def test_what_fits_together_is_taken() -> None:
    month = Range(make.at("2026-01-01"), make.at("2026-02-01"))
    check_invoices(
        InvoiceFilter(
            number="TEST-2026-000001",
            currency="USD",
            issued=month,
            due=Range(end=make.at("2026-02-01")),
            at_least=Money(100, "USD"),
            at_most=Money(100, "USD"),
        )
    )
    check_notes(CreditNoteFilter(number="TEST-CN-2026-000001", currency="JPY", issued=month))


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        (InvoiceFilter(number=""), "a number has 1 to 100 printable characters"),
        (InvoiceFilter(number="2" * 101), "a number has 1 to 100 printable characters"),
        (InvoiceFilter(number="2026\0"), "a number has 1 to 100 printable characters"),
        (InvoiceFilter(issued=_BACKWARDS), "issued ends before it begins"),
        (InvoiceFilter(due=_BACKWARDS), "due ends before it begins"),
        (InvoiceFilter(paid=_BACKWARDS), "paid ends before it begins"),
        (InvoiceFilter(at_least=Money(1, "USD"), at_most=Money(1, "EUR")), "its amounts are in different currencies"),
        (InvoiceFilter(currency="EUR", at_most=Money(1, "USD")), "its amounts are in different currencies"),
        (InvoiceFilter(at_least=Money(2, "USD"), at_most=Money(1, "USD")), "the least total is above the highest"),
    ],
)
def test_what_no_invoice_can_be_is_refused_with_the_fault(wanted: InvoiceFilter, fault: str) -> None:
    with pytest.raises(FilterRefused) as refused:
        check_invoices(wanted)
    assert refused.value.fault == fault


def test_a_currency_that_there_is_not_is_refused() -> None:
    with pytest.raises(CurrencyUnknown):
        check_invoices(InvoiceFilter(currency="usd"))
    with pytest.raises(CurrencyUnknown):
        check_notes(CreditNoteFilter(currency="XYZ"))


def test_a_range_of_credit_notes_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(FilterRefused):
        check_notes(CreditNoteFilter(issued=_BACKWARDS))
