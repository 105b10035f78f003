"""What mails about unpaid invoices say."""

import dataclasses

import pytest

from domain.alerts.language import language_of
from domain.alerts.notice import OWED, Notice
from domain.alerts.reminder import WORDS, Owed, reminder_facts
from tests import make

_SOFT = Owed(
    number="2026-000007",
    total="29.00 USD",
    failed_at=make.at("2026-03-01T10:00"),
    method="Visa ending in 4242",
    decline="funds",
    next_at=make.at("2026-03-03T10:00"),
    grace_ends_at=make.at("2026-03-08T10:00"),
    last_at=make.at("2026-03-15T10:00"),
    link="https://pay.example.com/1",
)


def _said(notice: Notice, owed: Owed = _SOFT, locale: str = "en", zone: str = "UTC") -> tuple[str, ...]:
    return reminder_facts(notice, owed, merchant="Shop", name="Ada", zone=zone, locale=locale).paragraphs


def test_a_failure_says_why_what_follows_and_until_when_all_can_be_used() -> None:
    assert _said(Notice.PAYMENT_FAILED) == (
        "the payment of 29.00 USD for invoice 2026-000007 failed on 1 Mar 2026, 10:00 UTC (Visa ending in 4242).",
        "The account did not have enough funds.",
        "We will try again on 3 Mar 2026, 10:00 UTC.",
        (
            "Until 8 Mar 2026, 10:00 UTC you can use everything; after that what the free plan allows, until the "
            "invoice is paid."
        ),
        "You can also change the payment method in your billing pages; the invoice is then collected at once.",
    )


def test_a_failed_top_up_says_that_nothing_is_owed_for_it() -> None:
    assert _said(Notice.TOP_UP_FAILED)[1:] == (
        "The account did not have enough funds.",
        (
            "Nothing was bought, and nothing is owed for it. A top-up that is made automatically is paused until it is "
            "saved again."
        ),
    )


def test_what_does_not_apply_is_left_out() -> None:
    waiting = dataclasses.replace(
        _SOFT, method="", decline="", next_at=None, waits_until=make.at("2026-03-15T10:00"), grace_ends_at=None
    )
    assert _said(Notice.RETRY_FAILED, waiting)[:3] == (
        "the payment of 29.00 USD for invoice 2026-000007 failed on 1 Mar 2026, 10:00 UTC.",
        "We do not charge this payment method again by ourselves. Please pay by 15 Mar 2026, 10:00 UTC.",
        "Until it is paid you can use what the free plan allows, and nothing can be added.",
    )


@pytest.mark.parametrize("notice", [Notice.PAYMENT_FAILED, Notice.RETRY_FAILED])
def test_what_has_ended_is_neither_promised_to_be_collected_nor_said_to_be_restricted(notice: Notice) -> None:
    ended = dataclasses.replace(_SOFT, next_at=None, grace_ends_at=None, last_at=None, is_dropped=True)
    assert _said(notice, ended) == (
        "the payment of 29.00 USD for invoice 2026-000007 failed on 1 Mar 2026, 10:00 UTC (Visa ending in 4242).",
        "The account did not have enough funds.",
    )


def test_instants_are_in_the_customers_zone_and_language() -> None:
    assert "Wir versuchen es am 03.03.2026, 11:00 CET erneut." in _said(
        Notice.PAYMENT_FAILED, locale="de-AT", zone="Europe/Vienna"
    )


@pytest.mark.parametrize("language", sorted(WORDS))
def test_every_mail_exists_in_every_language_and_each_has_all_words(language: str) -> None:
    assert WORDS[language].keys() == WORDS["en"].keys()
    for notice in OWED:
        facts = reminder_facts(notice, _SOFT, merchant="Shop", name="Ada", zone="UTC", locale=language)
        assert "2026-000007" in facts.subject
        assert facts.paragraphs
        assert not any("{" in each for each in (facts.subject, *facts.paragraphs))


def test_a_locale_without_words_of_its_own_is_written_to_in_english() -> None:
    assert [language_of(each) for each in ("de", "de-CH", "de_AT", "fr", "en-GB")] == ["de", "de", "de", "en", "en"]


def test_who_never_gave_a_method_is_asked_for_one_and_told_until_when() -> None:
    none = dataclasses.replace(
        _SOFT, method="", decline="", next_at=None, waits_until=make.at("2026-03-15T10:00"), has_method=False
    )
    assert _said(Notice.PAYMENT_METHOD_MISSING, none) == (
        "we could not collect 29.00 USD for invoice 2026-000007, because there is no payment method.",
        (
            "Until 8 Mar 2026, 10:00 UTC you can use everything; after that what the free plan allows, until the "
            "invoice is paid."
        ),
        "Please pay by 15 Mar 2026, 10:00 UTC.",
        "You can add a payment method in your billing pages; the invoice is then collected at once.",
    )


_SENT = Owed(
    number="2026-000007",
    total="29.00 USD",
    failed_at=make.at("2026-03-15T10:00"),
    waits_until=make.at("2026-03-29T10:00"),
    grace_ends_at=make.at("2026-03-22T10:00"),
    link="https://pay.example.com/1",
    due_at=make.at("2026-03-15T10:00"),
    is_sent=True,
)


def test_an_invoice_to_be_transferred_says_until_when_and_where_to() -> None:
    assert _said(Notice.INVOICE_SENT, _SENT) == (
        "here is your invoice 2026-000007 over 29.00 USD. Please pay it by 15 Mar 2026.",
        "Please transfer the amount. All details are on the page of the invoice.",
    )
    known = dataclasses.replace(_SENT, account="Test Bank", last4="4321", missing="9.00 USD")
    assert _said(Notice.INVOICE_DUE_SOON, known) == (
        (
            "invoice 2026-000007 over 29.00 USD is due on 15 Mar 2026. If you have paid it already, you need to do "
            "nothing."
        ),
        "A part has arrived; 9.00 USD are still missing.",
        (
            "Please transfer the amount to your account with us: Test Bank, ending in 4321. All details are on "
            "the page of the invoice."
        ),
    )


def test_an_invoice_that_is_covered_already_asks_for_nothing() -> None:
    covered = dataclasses.replace(_SENT, is_covered=True)
    assert _said(Notice.INVOICE_SENT, covered) == (
        "here is your invoice 2026-000007 over 29.00 USD. What you have transferred covers it; you need to do nothing.",
    )


def test_an_overdue_invoice_says_what_follows_and_never_that_it_is_charged() -> None:
    assert _said(Notice.INVOICE_OVERDUE, _SENT, locale="de") == (
        "die Rechnung 2026-000007 über 29.00 USD war am 15.03.2026 fällig und ist nicht bezahlt.",
        (
            "Bis zum 22.03.2026, 10:00 UTC können Sie alles nutzen, danach das, was der kostenlose Plan erlaubt, bis "
            "die Rechnung bezahlt ist."
        ),
        "Bitte bezahlen Sie bis zum 29.03.2026, 10:00 UTC.",
        "Bitte überweisen Sie den Betrag. Alle Angaben stehen auf der Seite der Rechnung.",
    )
    restricted = _said(Notice.ACCESS_RESTRICTED, dataclasses.replace(_SENT, grace_ends_at=None))
    assert restricted[-1] == "Please transfer the amount. All details are on the page of the invoice."


def test_what_is_left_of_an_invoice_is_said_where_a_part_is_settled() -> None:
    owed = dataclasses.replace(_SOFT, next_at=None, grace_ends_at=None, left="9.00 USD")
    assert _said(Notice.LAST_NOTICE, owed)[:2] == (
        "invoice 2026-000007 over 29.00 USD is not paid.",
        "9.00 USD of it is still to be paid.",
    )
    assert "Davon sind noch 9.00 USD zu bezahlen." in _said(Notice.ACCESS_RESTRICTED, owed, locale="de")
    assert len(_said(Notice.INVOICE_SENT, dataclasses.replace(_SENT, left="9.00 USD", is_covered=True))) == 1
