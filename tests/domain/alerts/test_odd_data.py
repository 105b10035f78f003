"""Mails with data that nobody expects: no name, long ones, markup, letters from right to left, odd amounts."""

from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest

from domain.alerts.blocking import blocked_facts
from domain.alerts.email import AlertFacts, AnyFacts, DigestFacts, Facts, ShownLine, TrialFacts, render
from domain.alerts.expiry import expiry_facts
from domain.alerts.language import (
    ENGLISH,
    GERMAN,
    LANGUAGES,
    amount_of,
    hello,
    method_of,
    money_number,
    money_of,
    number_of,
    set_apart,
)
from domain.alerts.low_balance import low_balance_facts
from domain.alerts.notice import OWED, Notice
from domain.alerts.reminder import Owed, reminder_facts
from domain.kernel.money import Money
from tests import make
from tests.domain.payments import examples

_MARKUP = '<script>alert("1")</script> & {{ facts.number }} {0.number} {number} %s \\'
_LONG = "W" * 200
_HEBREW = "\u05d7\u05d1\u05e8\u05d4"
_ARABIC = "\u0634\u0631\u0643\u0629 7"


def odd_facts(notice: Notice, odd: str, language: str) -> AnyFacts:
    """Make the facts of a mail in which everything that has a name has an odd one."""
    who: Any = {"merchant": odd, "name": odd}
    # As `method_of` names it.
    method = set_apart(odd)
    lines = (ShownLine(odd, "1.00 USD"),)
    if notice in OWED:
        owed = Owed(
            number="2026-000007",
            total="1.00 USD",
            failed_at=make.at("2026-01-15"),
            method=method,
            decline="funds",
            due_at=make.at("2026-01-15"),
            is_sent=notice is Notice.INVOICE_SENT,
            account=odd,
            link="https://pay.example.com/1",
        )
        return reminder_facts(notice, owed, **who, zone="UTC", locale=language)
    issued: Any = {"number": "2026-000007", "total": "1.00 USD", "day": "15 Jan 2026", "method": method}
    limits: Any = {"step": "80", "used": "80 calls", "limit": "100 calls", "percent": "80%", "left": "6 hours left"}
    others: dict[Notice, AnyFacts] = {
        Notice.PAYMENT_METHOD_EXPIRING: expiry_facts(method, 2026, 2, is_default=True, **who, locale=language),
        Notice.PAYMENT_METHOD_BLOCKED: blocked_facts(method, by_mandate=True, is_default=True, **who, locale=language),
        Notice.WALLET_LOW: low_balance_facts(odd, Money(0, "JPY"), **who, locale=language),
        Notice.WEEKLY_DIGEST: DigestFacts(**who, day="2 Feb 2026", lines=lines, language=language),
        Notice.TRIAL_ENDING: TrialFacts(**who, plan=odd, day="14 Feb 2026", advice="It then ends.", language=language),
        Notice.INVOICE_ISSUED: Facts(**who, **issued, lines=lines, language=language),
        Notice.PAYMENT_RECEIVED: Facts(**who, **issued, language=language),
    }
    alert = AlertFacts(**who, **limits, what=odd, upgrade=odd, due="28 Feb 2026", advice="Go on.", language=language)
    return others.get(notice, alert)


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it; a link leads to where the invoice is paid and nowhere else."""
        self.found.add(tag)
        assert tag != "a" or attrs == [("href", "https://pay.example.com/1")]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notice", list(Notice))
def test_no_name_becomes_markup_or_is_read_as_a_template(notice: Notice, language: str) -> None:
    mail = render(notice, odd_facts(notice, _MARKUP, language), "ada@example.com")
    ours = {"html", "head", "meta", "title", "body", "p", "a", "strong", "table", "tr", "td", "th"}
    assert _Tags(mail.html).found <= ours
    assert _MARKUP in mail.text
    # Whatever the braces of a name look like, they are not filled in.
    assert mail.text.count("{{ facts.number }} {0.number} {number}") == mail.text.count("<script>")
    assert "\n" not in mail.subject


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notice", list(Notice))
def test_a_long_name_stands_whole_and_may_be_broken(notice: Notice, language: str) -> None:
    mail = render(notice, odd_facts(notice, _LONG, language), "ada@example.com")
    assert _LONG in mail.text
    assert "overflow-wrap: anywhere" in mail.html


@pytest.mark.parametrize(("language", "greeted"), [(ENGLISH, "Hello,"), (GERMAN, "Guten Tag,")])
@pytest.mark.parametrize("notice", list(Notice))
def test_who_has_no_name_is_greeted_without_one(notice: Notice, language: str, greeted: str) -> None:
    for nobody in ("", "  "):
        mail = render(notice, replace(odd_facts(notice, "x", language), name=nobody), "ada@example.com")
        assert mail.text.startswith(f"{greeted}\n")
        assert f"<p>{greeted}</p>" in mail.html


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notice", list(Notice))
def test_names_from_right_to_left_are_set_apart_wherever_they_stand(notice: Notice, language: str) -> None:
    for name in (_HEBREW, _ARABIC):
        mail = render(notice, odd_facts(notice, name, language), "ada@example.com")
        for part in (mail.subject, mail.text, mail.html):
            assert part.count(name) == part.count(f"\u2068{name}\u2069")
        assert hello("Hello", name) == f"Hello \u2068{name}\u2069,"


def test_only_letters_from_right_to_left_are_set_apart() -> None:
    for name in ("", "Ada Lovelace", "\u0410\u0434\u0430", "\u963f\u8fbe 7", "<b>"):
        assert set_apart(name) == name
    assert set_apart(f"{_HEBREW} Ltd") == f"\u2068{_HEBREW} Ltd\u2069"
    bank = examples.method(kind="us_bank_account", brand=_HEBREW, last4="6789")
    assert method_of(bank, ENGLISH) == f"\u2068{_HEBREW} ending in 6789\u2069"


def test_amounts_have_the_digits_of_their_currency_and_their_sign() -> None:
    # 0, 2 and 3 digits behind the point.
    amounts = [Money(-1_234_567, currency) for currency in ("JPY", "USD", "KWD")] + [Money(-5, "KWD")]
    assert [money_of(each, ENGLISH) for each in amounts] == [
        "-1234567 JPY",
        "-12345.67 USD",
        "-1234.567 KWD",
        "-0.005 KWD",
    ]
    assert [money_of(each, GERMAN) for each in amounts] == [
        "-1.234.567\xa0\xa5",
        "-12.345,67\xa0$",
        "-1.234,567\xa0KWD",
        "-0,005\xa0KWD",
    ]
    assert [money_number(each, GERMAN) for each in amounts[2:]] == ["-1.234,567", "-0,005"]


@pytest.mark.parametrize(
    ("number", "english", "german"),
    [
        ("-0.5", "-0.5", "-0,5"),
        ("-1234.5", "-1,234.5", "-1.234,5"),
        ("0", "0", "0"),
        # Eleven digits, as tokens and bytes have them, and twenty.
        ("12345678901", "12,345,678,901", "12.345.678.901"),
        (
            "-12345678901234567890.000000000000000001",
            "-12,345,678,901,234,567,890.000000000000000001",
            "-12.345.678.901.234.567.890,000000000000000001",
        ),
    ],
)
def test_numbers_keep_their_sign_and_all_their_digits(number: str, english: str, german: str) -> None:
    assert (number_of(Decimal(number), ENGLISH), number_of(Decimal(number), GERMAN)) == (english, german)
    assert amount_of(Decimal(number), "USD", ENGLISH) == f"{english} USD"


@pytest.mark.parametrize(
    ("language", "due", "said"),
    [
        (ENGLISH, "", "Your payment method (Visa) cannot be charged any more. Please add another one in your billing"),
        (ENGLISH, "14 Feb 2026", "pages by 14 Feb 2026, when the invoice is collected."),
        (GERMAN, "", "Ihre Zahlungsart (Visa) kann nicht mehr belastet werden. Bitte hinterlegen Sie eine andere auf"),
        (GERMAN, "14.02.2026", "Bitte hinterlegen Sie bis zum 14.02.2026 eine andere auf Ihren Abrechnungsseiten; der"),
    ],
)
def test_an_invoice_names_a_method_that_cannot_be_charged(language: str, due: str, said: str) -> None:
    facts = Facts("Tools", "Ada", "2026-000007", "1.00 USD", "15 Jan 2026", blocked="Visa", due=due, language=language)
    mail = render(Notice.INVOICE_ISSUED, facts, "ada@example.com")
    for part in (mail.text, mail.html):
        assert said in part
        assert "You need to do nothing" not in part
    paid = render(Notice.INVOICE_ISSUED, replace(facts, nothing_due=True), "ada@example.com")
    assert "Visa" not in paid.text + paid.html


@pytest.mark.parametrize(
    ("language", "why"),
    [
        (ENGLISH, "because your payment method cannot be charged any more."),
        (GERMAN, "weil Ihre Zahlungsart nicht mehr belastet werden kann."),
    ],
)
def test_who_has_a_method_that_cannot_be_charged_is_told_why_another_one_is_missing(language: str, why: str) -> None:
    owed = Owed("2026-000007", "1.00 USD", make.at("2026-01-15"), has_method=False, is_blocked=True)
    notice = Notice.PAYMENT_METHOD_MISSING
    facts = reminder_facts(notice, owed, merchant="Tools", name="Ada", zone="UTC", locale=language)
    assert facts.paragraphs[0].endswith(why)
