"""What the document of an invoice says."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from domain.customers.profiles.profile import Address, Profile, TaxStatus
from domain.invoices.documents.content import Sold, invoice_content
from domain.invoices.tax import NoTax, Rate
from domain.invoices.taxing.statement import TaxStatement
from domain.kernel.call import Environment
from tests.domain.invoices.documents.examples import (
    CUSTOMER,
    REDUCED,
    VAT,
    customer,
    discounted,
    line,
    reason,
    sold,
)


def _totals(of: Sold) -> list[tuple[str, str]]:
    return [(row["label"], row["amount"]) for row in invoice_content(of)["totals"]]


def test_seller_and_buyer_are_named_with_the_numbers_under_which_they_are_taxed() -> None:
    content: Any = invoice_content(sold(line()))
    assert content["seller"] == {
        "name": "Example Ltd",
        "lines": ["Main Street 1", "10115 Berlin", "Tax number DE123456788"],
    }
    assert content["buyer"] == {
        "name": "Ada Lovelace",
        "lines": ["Allee 1", "10115 Berlin", "BE DE", "VAT number DE136695976"],
        "lang": "en",
    }
    assert content["facts"] == [
        ["Invoice number", "2026-000001"],
        ["Date of issue", "Feb 1, 2026"],
        ["Due", "Feb 1, 2026"],
    ]


def test_each_rate_is_stated_with_its_base_and_the_discounts_before() -> None:
    fee, book, gift = discounted(line("Fee", 10_000), 1_000), line("Book", 2_000), line("Nothing", 0)
    of = sold(
        fee,
        book,
        gift,
        taxes=(
            TaxStatement(VAT, 9_000, 1_710, lines={fee.id: 1_710}),
            TaxStatement(REDUCED, 2_000, 140, lines={book.id: 140}),
        ),
    )
    # 90.00 x 0.19 = 17.10; 20.00 x 0.07 = 1.40; 120.00 - 10.00 + 18.50 = 128.50.
    assert _totals(of) == [
        ("Subtotal", "$120.00"),
        ("Discounts", "-$10.00"),
        ("VAT DE 19% on $90.00", "$17.10"),
        ("VAT DE 7% on $20.00", "$1.40"),
        ("Total", "$128.50"),
    ]
    rows: Any = invoice_content(of)["lines"]
    # A line of nothing is not printed.
    assert [(row["text"], row["quantity"], row["tax"], row["amount"], row["discounts"]) for row in rows] == [
        ("Fee", "1 month", "19%", "$100.00", [{"name": "Welcome", "amount": "-$10.00"}]),
        ("Book", "1 month", "7%", "$20.00", []),
    ]


def test_a_tax_that_prices_contain_is_named_as_included() -> None:
    fee = line("Fee", 7_900)
    inclusive = Rate("VAT", Decimal(19), inclusive=True, country="DE")
    of = sold(fee, taxes=(TaxStatement(inclusive, 6_639, 1_261, lines={fee.id: 1_261}),))
    of = replace(of, invoice=replace(of.invoice, tax_included_minor=1_261))
    assert _totals(of) == [
        ("Subtotal", "$79.00"),
        ("Includes VAT DE 19% on $66.39", "$12.61"),
        ("Total", "$79.00"),
    ]


def test_what_balances_paid_at_the_opening_is_taken_off_what_is_due() -> None:
    of = sold(line("Fee", 10_000))
    of = replace(of, invoice=replace(of.invoice, applied_minor=4_000))
    # 100.00 + 19.00 - 40.00.
    assert _totals(of)[2:] == [("Total", "$119.00"), ("Paid from balance", "-$40.00"), ("Amount due", "$79.00")]


def test_the_reason_for_no_tax_is_stated_with_what_proves_it() -> None:
    fee = line()
    exempt = Profile(CUSTOMER, Address(country="DE"), None, TaxStatus.EXEMPT, "No. 4711")
    of = sold(fee, taxes=(reason(NoTax.EXEMPT, fee),), profile=exempt)
    assert _totals(of)[1] == ("Exempt from tax ($79.00)", "$0.00")
    assert invoice_content(of)["notes"] == ["Tax exemption: No. 4711"]
    french = Profile(CUSTOMER, Address(country="FR"), "FR40303265045", TaxStatus.REVERSE_CHARGE)
    of = sold(fee, taxes=(reason(NoTax.REVERSE_CHARGE, fee),), profile=french)
    assert invoice_content(of)["notes"] == ["Reverse charge. VAT number of the customer: FR40303265045"]
    lines: Any = invoice_content(of)["lines"]
    assert lines[0]["tax"] == "–"  # noqa: RUF001 - an en dash


def test_a_test_invoice_says_that_nothing_is_due() -> None:
    of = sold(line())
    test = replace(of, invoice=replace(of.invoice, environment=Environment.TEST))
    assert invoice_content(test)["notes"] == ["Test document. No payment is due."]


def test_dates_and_money_are_in_the_customers_language() -> None:
    content: Any = invoice_content(sold(line(), to=customer("株式会社", "ja-JP")))
    assert content["facts"][1] == ["Date of issue", "2026/02/01"]
    assert (content["buyer"]["name"], content["buyer"]["lang"]) == ("株式会社", "ja")


def test_a_merchant_without_a_number_states_none() -> None:
    of = sold(line())
    content: Any = invoice_content(replace(of, seller=replace(of.seller, registrations=())))
    assert content["seller"]["lines"] == ["Main Street 1", "10115 Berlin"]
