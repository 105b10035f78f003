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
