"""How numbers, amounts, days and instants are written in mails."""

from decimal import Decimal

import pytest

from domain.alerts.language import (
    ENGLISH,
    GERMAN,
    amount_of,
    day_of,
    instant_of,
    language_of,
    method_of,
    money_number,
    money_of,
    percent_text,
)
from domain.alerts.words import CAUSES, GREETINGS, SUBJECTS, WORDS
from domain.kernel.money import Money
from tests import make
from tests.domain.payments.examples import method

_NIGHT = make.at("2026-07-01T22:30")


@pytest.mark.parametrize(
    ("locale", "language"), [("de", "de"), ("de-CH", "de"), ("DE_AT", "de"), ("en-GB", "en"), ("fr", "en"), ("", "en")]
)
def test_a_mail_is_in_the_customers_language_or_in_english(locale: str, language: str) -> None:
    assert language_of(locale) == language


def test_numbers_have_their_unit_and_percentages_are_cut() -> None:
    assert amount_of(Decimal(8_000), "call", ENGLISH) == "8,000 calls"
    assert amount_of(Decimal(1), "call", ENGLISH) == "1 call"
    assert amount_of(Decimal("1234.50"), "USD", ENGLISH) == "1,234.5 USD"
    assert amount_of(Decimal("1234.50"), "USD", GERMAN) == "1.234,5 USD"
    assert [amount_of(Decimal(12), unit, ENGLISH) for unit in ("GB", "ms", "kWh", "vCPU", "job")] == [
        *("12 GB", "12 ms", "12 kWh", "12 vCPU", "12 jobs"),
    ]


@pytest.mark.parametrize(
    ("count", "english", "german"),
    [
        (1, "1 byte", "1 byte"),
        (999, "999 bytes", "999 bytes"),
        (1_500, "1.5 kB", "1,5 kB"),
        # Cut, not rounded: what is left of the limit is not hidden.
        (9_999_999_999, "9.99 GB", "9,99 GB"),
        (10_000_000_000, "10 GB", "10 GB"),
        (1_234_500_000_000_000, "1,234.5 TB", "1.234,5 TB"),
    ],
)
def test_bytes_are_written_as_people_read_them(count: int, english: str, german: str) -> None:
    assert (amount_of(Decimal(count), "byte", ENGLISH), amount_of(Decimal(count), "byte", GERMAN)) == (english, german)
    percents = (Decimal("99.999999"), Decimal(100), None)
    assert [percent_text(each, ENGLISH) for each in percents] == ["99%", "100%", ""]
    assert [percent_text(each, GERMAN) for each in percents] == ["99 %", "100 %", ""]


def test_an_instant_is_that_of_the_customers_zone() -> None:
    assert instant_of(_NIGHT, "Europe/Berlin", ENGLISH) == "2 Jul 2026, 00:30 CEST"
    assert instant_of(_NIGHT, "Europe/Berlin", GERMAN) == "02.07.2026, 00:30 CEST"
    assert (day_of(_NIGHT, "UTC", ENGLISH), day_of(_NIGHT, "UTC", GERMAN)) == ("1 Jul 2026", "01.07.2026")


def test_money_has_the_digits_of_its_currency() -> None:
    assert money_of(Money(123_450, "EUR"), ENGLISH) == "1234.50 EUR"
    assert money_number(Money(-5, "EUR"), ENGLISH) == "-0.05"
    # CLDR sets the sign of the currency apart by a space that does not break.
    assert money_of(Money(123_450, "EUR"), GERMAN) == "1.234,50\xa0€"
    assert [money_number(Money(-123_405, each), GERMAN) for each in ("EUR", "JPY")] == ["-1.234,05", "-123.405"]


def test_a_method_is_named_without_english_words() -> None:
    assert method_of(method(), ENGLISH) == "Visa ending in 4242"
    assert method_of(method(), GERMAN) == "Visa mit den Endziffern 4242"
    assert method_of(method(last4=None), GERMAN) == "Visa"


def test_every_language_has_every_word() -> None:
    for table in (WORDS, CAUSES, SUBJECTS):
        assert table[ENGLISH].keys() == table[GERMAN].keys()
    assert GREETINGS.keys() == {ENGLISH, GERMAN}
