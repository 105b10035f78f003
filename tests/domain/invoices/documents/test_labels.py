"""The words on documents."""

from dataclasses import replace
from string import Formatter
from typing import Any

import pytest

from domain.invoices.documents import formats
from domain.invoices.documents.content import invoice_content
from domain.invoices.documents.labels import ENGLISH, LANGUAGES, labels_of, language_of
from tests.domain.invoices.documents.examples import customer, line, sold


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_says_everything_and_names_the_same_facts(language: str) -> None:
    english, own = LANGUAGES[ENGLISH], LANGUAGES[language]
    assert own.keys() == english.keys()

    def facts(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    assert {key: facts(text) for key, text in own.items()} == {key: facts(text) for key, text in english.items()}


def test_a_language_that_there_is_not_is_written_in_english() -> None:
    assert language_of(formats.locale_of("de-CH")) == "de"
    assert language_of(formats.locale_of("ja-JP")) == "en"
    assert labels_of(formats.locale_of("fr"))["invoice"] == "Invoice"


def test_an_invoice_for_a_german_customer_is_labelled_in_german() -> None:
    content: Any = invoice_content(sold(line(), to=customer("Ada", "de-DE")))
    assert (content["lang"], content["title"]) == ("de", "Rechnung")
    assert content["facts"] == [
        ["Rechnungsnummer", "2026-000001"],
        ["Rechnungsdatum", "01.02.2026"],
        ["Fällig am", "01.02.2026"],
    ]
    assert content["head"] == ["Beschreibung", "Menge", "Steuer", "Betrag"]
    assert content["lines"][0]["quantity"] == "1 Monat"
    # 79.00 and 19 % of it: 15.01; 94.01 in all.
    assert [(row["label"], row["amount"]) for row in content["totals"]] == [
        ("Zwischensumme", "79,00\xa0$"),
        ("VAT DE 19% auf 79,00\xa0$", "15,01\xa0$"),
        ("Gesamtbetrag", "94,01\xa0$"),
    ]


def test_where_to_transfer_to_is_said_in_german() -> None:
    to_bank = (("account_holder_name", "Example GmbH"), ("iban", "DE75512108001245126199"))
    content: Any = invoice_content(replace(sold(line(), to=customer("Ada", "de-DE")), pay_to=to_bank))
    assert (content["payment"]["title"], content["payment"]["text"]) == (
        "Zahlung per Überweisung",
        "Bitte überweisen Sie 94,01\xa0$ bis 01.02.2026 an:",
    )
    assert content["payment"]["facts"] == [
        ["Kontoinhaber", "Example GmbH"],
        ["IBAN", "DE75512108001245126199"],
        ["Verwendungszweck", "2026-000001"],
    ]
