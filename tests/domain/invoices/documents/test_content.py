"""What the document of an invoice says."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.customers.profiles.profile import Address, Profile, TaxStatus
from domain.invoices.credit_note import CreditKind, CreditNote, CreditNoteLine, CreditReason
from domain.invoices.documents.content import Credited, Sold, credit_note_content, invoice_content
from domain.invoices.tax import NoTax, Rate
from domain.invoices.taxing.statement import TaxStatement
from domain.kernel.call import Environment
from domain.kernel.ids import CreditNoteId
from domain.kernel.money import Money
from tests import make
from tests.domain.invoices.documents.examples import (
    CUSTOMER,
    INVOICE,
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


@pytest.mark.parametrize(
    ("quantity", "unit", "locale", "written"),
    [
        ("3", "month", "en", "3 x month"),
        ("-2", "year", "de", "-2 x Jahr"),
        ("-1", "month", "en", "-1 month"),
        ("2", "unit", "de", "2 x Einheit"),
        ("3", "page", "en", "3 page"),
    ],
)
def test_a_fee_for_several_seats_is_not_one_of_several_months(
    quantity: str, unit: str, locale: str, written: str
) -> None:
    fee = replace(line(), quantity=Decimal(quantity), unit=unit)
    rows: Any = invoice_content(sold(fee, to=customer(locale=locale)))["lines"]
    assert [row["quantity"] for row in rows] == [written]


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


def test_a_credit_note_says_what_is_given_back_with_its_tax_and_where_it_goes() -> None:
    fee, book = discounted(line("Fee", 10_000), 1_000), line("Book", 2_000)
    taxes = (TaxStatement(VAT, 9_000, 1_710, lines={fee.id: 1_710}), reason(NoTax.EXEMPT, book))
    of = sold(fee, book, taxes=taxes)
    parts = [
        CreditNoteLine(fee.id, "Fee", Decimal(1), "month", usd(5_000), usd(500), usd(855)),
        CreditNoteLine(book.id, "Book", Decimal(1), "month", usd(2_000), usd(0), usd(0)),
    ]
    content: Any = credit_note_content(Credited(of, _note(7_000, 500, 855, offset=2_000, credit=5_355), parts))
    assert (content["title"], content["number"]) == ("Credit note", "CN-2026-000001")
    assert content["facts"] == [
        ["Credit note number", "CN-2026-000001"],
        ["Date of issue", "Mar 1, 2026"],
        ["Invoice number", "2026-000001"],
    ]
    assert [(row["text"], row["tax"], row["amount"], row["discounts"]) for row in content["lines"]] == [
        ("Fee", "19%", "$50.00", [{"name": "Discount", "amount": "-$5.00"}]),
        ("Book", "–", "$20.00", []),  # noqa: RUF001 - an en dash
    ]
    # 50.00 - 5.00 = 45.00 x 0.19 = 8.55; 70.00 - 5.00 + 8.55 = 73.55 = 20.00 + 53.55.
    assert [(row["label"], row["amount"]) for row in content["totals"]] == [
        ("Subtotal", "$70.00"),
        ("Discounts", "-$5.00"),
        ("VAT DE 19% on $45.00", "$8.55"),
        ("Exempt from tax on $20.00", "$0.00"),
        ("Total", "$73.55"),
        ("Taken off the invoice", "$20.00"),
        ("Kept as customer credit", "$53.55"),
    ]


def test_the_tax_in_a_credited_price_is_no_part_of_its_base() -> None:
    fee = line("Fee", 7_900)
    inclusive = Rate("VAT", Decimal(19), inclusive=True, country="DE")
    of = sold(fee, taxes=(TaxStatement(inclusive, 6_639, 1_261, lines={fee.id: 1_261}),))
    part = CreditNoteLine(fee.id, "Fee", Decimal(1), "month", usd(7_900), usd(0), usd(1_261), tax_inclusive=True)
    content: Any = credit_note_content(Credited(of, _note(7_900, 0, 1_261, included=1_261, refund=7_900), [part]))
    assert [(row["label"], row["amount"]) for row in content["totals"]] == [
        ("Subtotal", "$79.00"),
        ("Includes VAT DE 19% on $66.39", "$12.61"),
        ("Total", "$79.00"),
        ("To be refunded", "$79.00"),
    ]


def usd(minor: int) -> Money:
    """Make an amount."""
    return Money(minor, "USD")


def _note(
    subtotal: int, discount: int, tax: int, *, included: int = 0, offset: int = 0, credit: int = 0, refund: int = 0
) -> CreditNote:
    return CreditNote(
        customer_id=CUSTOMER,
        id=CreditNoteId(make.new_id()),
        invoice_id=INVOICE,
        environment=Environment.LIVE,
        currency="USD",
        number="CN-2026-000001",
        kind=CreditKind.CUSTOMER_CREDIT,
        reason=CreditReason.GOODWILL,
        issued_at=make.at("2026-03-01"),
        subtotal=usd(subtotal),
        discount=usd(discount),
        tax=usd(tax),
        tax_included_minor=included,
        offset_minor=offset,
        credit_minor=credit,
        refund_minor=refund,
        wallet_minor=0,
    )


_TO_BANK = (("bank_name", "Memory Bank"), ("iban", "DE75512108001245126199"), ("giro_code", "77"))


def test_one_that_is_sent_says_how_much_to_transfer_until_when_and_where_to() -> None:
    content: Any = invoice_content(replace(sold(line()), pay_to=_TO_BANK))
    # 79.00 and 19 % of it: 15.01; 94.01 in all.
    assert content["payment"] == {
        "title": "Pay by bank transfer",
        "text": "Please transfer $94.01 by Feb 1, 2026 to:",
        "facts": [
            ["Bank", "Memory Bank"],
            ["IBAN", "DE75512108001245126199"],
            # A word of the gateway that there is no name for.
            ["Giro code", "77"],
            ["Reference", "2026-000001"],
        ],
    }


def test_what_balances_paid_is_not_transferred() -> None:
    of = sold(line())
    content: Any = invoice_content(replace(of, invoice=replace(of.invoice, applied_minor=401), pay_to=_TO_BANK))
    # 94.01 - 4.01.
    assert content["payment"]["text"] == "Please transfer $90.00 by Feb 1, 2026 to:"


def test_one_that_is_charged_says_nothing_of_a_transfer() -> None:
    assert invoice_content(sold(line()))["payment"] is None
