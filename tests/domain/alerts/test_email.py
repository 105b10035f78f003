"""What a mail says."""

import dataclasses

import pytest

from domain.alerts.blocking import blocked_facts
from domain.alerts.email import AlertFacts, DigestFacts, Facts, ReminderFacts, ShownLine, TrialFacts, message_id, render
from domain.alerts.expiry import expiry_facts
from domain.alerts.low_balance import low_balance_facts
from domain.alerts.notice import LEGAL, OWED, Content, Notice
from domain.alerts.reminder import Owed, reminder_facts
from domain.kernel.ids import CustomerId
from domain.kernel.money import Money
from tests import make

_FACTS = Facts(
    merchant="Tools & Co",
    name="Ada <b>",
    number="2026-000007",
    total="29.00 USD",
    day="15 Jan 2026",
    lines=(ShownLine("Edge Starter <i>", "29.00 USD"),),
    method="Visa ending in 4242",
)
_ALERT = AlertFacts(
    merchant="Tools & Co",
    name="Ada <b>",
    what="Calls to Gemini <i> a month",
    step="80",
    used="80 calls",
    limit="100 calls",
    percent="80%",
    due="28 Feb 2026, 09:30 UTC",
    left="6 hours of tolerance left",
    advice="You can go on until the limit is reached.",
    upgrade="Basic",
)
_OWED = Owed(
    "2026-000007 <i>", "29.00 USD", make.at("2026-01-15"), "Visa <i>", "funds", link="https://pay.example.com/1"
)
_WEEK = DigestFacts("Tools & Co", "Ada <b>", "2 Feb 2026", (ShownLine("Calls <i>", "80 of 100 calls (80%)"),))


def test_an_invoice_is_told_with_its_lines() -> None:
    mail = render(Notice.INVOICE_ISSUED, _FACTS, "ada@example.com")
    assert mail.recipient == "ada@example.com"
    assert mail.subject == "Invoice 2026-000007 from Tools & Co: 29.00 USD"
    assert mail.text.startswith("Hello Ada <b>,\n\nhere is your invoice 2026-000007 of 15 Jan 2026.\n")
    assert "  Edge Starter <i>: 29.00 USD\n" in mail.text
    assert "Total: 29.00 USD\n" in mail.text
    assert "collected from your payment method (Visa ending in 4242)" in mail.text
    assert "collected from your payment method (Visa ending in 4242)" in mail.html
    assert "more lines" not in mail.text + mail.html


def test_an_invoice_is_compared_with_the_one_before_it() -> None:
    compared = "Compared with invoice 2026-000006: +12.00 USD (usage +10.00, tax +2.00)."
    mail = render(Notice.INVOICE_ISSUED, dataclasses.replace(_FACTS, compared=compared), "ada@example.com")
    assert f"Total: 29.00 USD\n\n{compared}\n\nIt is collected" in mail.text
    assert f"<p>{compared}</p>" in mail.html
    assert "Compared" not in render(Notice.INVOICE_ISSUED, _FACTS, "ada@example.com").text


def test_an_invoice_without_a_payment_method_asks_for_one() -> None:
    mail = render(Notice.INVOICE_ISSUED, dataclasses.replace(_FACTS, method=""), "ada@example.com")
    for part in (mail.text, mail.html):
        assert "There is no payment method yet. Please add one" in part
        assert "You need to do nothing" not in part


@pytest.mark.parametrize(
    ("language", "method", "said"),
    [
        ("en", "Visa", "It is collected from your payment method (Visa) on 14 Feb 2026. You need to do nothing."),
        ("en", "", "Please add one in your billing pages by 14 Feb 2026, when the invoice is collected."),
        ("de", "Visa", "Der Betrag wird am 14 Feb 2026 über Ihre Zahlungsart eingezogen (Visa)."),
        (
            "de",
            "",
            "Bitte hinterlegen Sie bis zum 14 Feb 2026 eine auf Ihren Abrechnungsseiten; der Betrag wird dann e",
        ),
    ],
)
def test_an_invoice_that_is_due_later_says_when(language: str, method: str, said: str) -> None:
    later = dataclasses.replace(_FACTS, language=language, method=method, due="14 Feb 2026")
    mail = render(Notice.INVOICE_ISSUED, later, "ada@example.com")
    assert said in mail.text
    assert said in mail.html
    assert "at once" not in mail.text
    assert "sofort" not in mail.text


@pytest.mark.parametrize(
    ("language", "nothing"), [("en", "Nothing is to be paid."), ("de", "Es ist nichts zu bezahlen.")]
)
def test_an_invoice_of_which_nothing_is_left_asks_for_nothing(language: str, nothing: str) -> None:
    rest = (ShownLine("from <i>", "-29.00 USD"), ShownLine("left", "0.00 USD"))
    settled = dataclasses.replace(_FACTS, language=language, settled=rest, nothing_due=True)
    mail = render(Notice.INVOICE_ISSUED, settled, "ada@example.com")
    assert "29.00 USD\nfrom <i>: -29.00 USD\nleft: 0.00 USD\n\n" in mail.text
    assert '<td style="padding: .2rem 0">from &lt;i&gt;</td>' in mail.html
    for part in (mail.text, mail.html):
        assert nothing in part
        assert "4242" not in part


def test_an_invoice_with_tax_shows_it_before_the_total() -> None:
    taxed = dataclasses.replace(_FACTS, taxes=(ShownLine("Tax", "4.00 USD"),), total="33.00 USD")
    mail = render(Notice.INVOICE_ISSUED, taxed, "ada@example.com")
    assert "\n\nTax: 4.00 USD\nTotal: 33.00 USD\n" in mail.text
    assert mail.html.index("4.00 USD") < mail.html.index("33.00 USD</th>")


def test_a_payment_is_told_with_its_method() -> None:
    mail = render(Notice.PAYMENT_RECEIVED, _FACTS, "ada@example.com")
    assert mail.subject == "Payment received for invoice 2026-000007"
    assert "29.00 USD for invoice 2026-000007 on 15 Jan 2026 (Visa ending in 4242)." in mail.text


def test_money_that_came_another_way_has_no_method() -> None:
    mail = render(Notice.PAYMENT_RECEIVED, dataclasses.replace(_FACTS, method=""), "ada@example.com")
    assert "on 15 Jan 2026.\n" in mail.text
    assert "()" not in mail.text + mail.html


_OTHER: dict[Notice, DigestFacts | TrialFacts | ReminderFacts] = {
    Notice.PAYMENT_METHOD_EXPIRING: expiry_facts(
        "Visa <i>", 2026, 2, is_default=True, merchant="Tools & Co", name="Ada <b>", locale="en"
    ),
    Notice.PAYMENT_METHOD_BLOCKED: blocked_facts(
        "Visa <i>", by_mandate=True, is_default=True, merchant="Tools & Co", name="Ada <b>", locale="en"
    ),
    Notice.WALLET_LOW: low_balance_facts(
        "Prepaid <i>", Money(1_000, "USD"), merchant="Tools & Co", name="Ada <b>", locale="en"
    ),
    Notice.WEEKLY_DIGEST: _WEEK,
    Notice.TRIAL_ENDING: TrialFacts("Tools & Co", "Ada <b>", "Pro <i>", "14 Feb 2026", "It then ends."),
}


@pytest.mark.parametrize("notice", list(Notice))
def test_html_is_escaped_and_text_is_not(notice: Notice) -> None:
    if notice in OWED:
        facts = reminder_facts(notice, _OWED, merchant="Tools & Co", name="Ada <b>", zone="UTC", locale="en")
        mail = render(notice, facts, "ada@example.com")
    else:
        known = _OTHER.get(notice) or (_FACTS if notice in LEGAL else _ALERT)
        mail = render(notice, known, "ada@example.com")
    assert "Hello Ada &lt;b&gt;," in mail.html
    assert "<b>" not in mail.html
    assert "<i>" not in mail.html
    assert "Tools &amp; Co" in mail.html
    assert "Tools & Co" in mail.text


def test_a_subject_is_one_line_whatever_it_is_made_of() -> None:
    mail = render(Notice.INVOICE_ISSUED, dataclasses.replace(_FACTS, merchant="A\r\nBcc: x@y\n{z}"), "ada@example.com")
    assert mail.subject == "Invoice 2026-000007 from A Bcc: x@y {z}: 29.00 USD"


def test_only_the_first_twenty_lines_are_shown() -> None:
    lines = tuple(ShownLine(f"line {number}.", "1.00 USD") for number in range(25))
    mail = render(Notice.INVOICE_ISSUED, dataclasses.replace(_FACTS, lines=lines), "ada@example.com")
    for part in (mail.text, mail.html):
        assert "line 19." in part
        assert "line 20." not in part
        assert "and 5 more lines" in part


def test_content_is_read_as_it_was_written_and_shows_nothing_in_a_log() -> None:
    mail = render(Notice.INVOICE_ISSUED, _FACTS, "ada@example.com")
    assert Content.from_bytes(mail.to_bytes()) == mail
    assert "Ada" not in repr(mail)
    assert "ada@" not in repr(mail)


def test_a_message_id_is_the_same_for_the_same_mail_only() -> None:
    customer_id = CustomerId(make.new_id())
    first = message_id(customer_id, "invoice_issued", "1", "billing@example.com")
    assert first == message_id(customer_id, "invoice_issued", "1", "billing@example.com")
    assert first != message_id(customer_id, "invoice_issued", "2", "billing@example.com")
    assert first.endswith("@example.com>")
    assert first.startswith("<")


def test_a_threshold_is_told_with_advice_and_a_larger_plan() -> None:
    mail = render(Notice.LIMIT_THRESHOLD, _ALERT, "ada@example.com")
    assert mail.subject == "80% of your limit is used: Calls to Gemini <i> a month"
    assert "you have used 80 calls of 100 calls (80%): Calls to Gemini <i> a month." in mail.text
    for part in (mail.text, mail.html):
        assert "You can go on until the limit is reached." in part
        assert "You can upgrade at any time" in part
        assert "unsubscribe from this kind of mail" in part


def test_the_largest_plan_is_not_told_to_upgrade() -> None:
    mail = render(Notice.LIMIT_THRESHOLD, dataclasses.replace(_ALERT, upgrade=""), "ada@example.com")
    for part in (mail.text, mail.html):
        assert "Please write to us if you need more." in part
        assert "You can upgrade" not in part


def test_a_forecast_tells_when_and_a_countdown_how_long() -> None:
    forecast = render(Notice.LIMIT_FORECAST, _ALERT, "ada@example.com")
    assert forecast.subject == "Your limit will be reached on 28 Feb 2026, 09:30 UTC: Calls to Gemini <i> a month"
    countdown = render(Notice.GRACE_COUNTDOWN, _ALERT, "ada@example.com")
    assert countdown.subject == "You are over your limit, 6 hours of tolerance left: Calls to Gemini <i> a month"
    assert "The tolerance ends on 28 Feb 2026, 09:30 UTC: 6 hours of tolerance left." in countdown.text


def test_the_digest_has_a_line_for_each_limit_and_says_so_where_there_is_none() -> None:
    assert "  Calls <i>: 80 of 100 calls (80%)\n" in render(Notice.WEEKLY_DIGEST, _WEEK, "ada@example.com").text
    empty = render(Notice.WEEKLY_DIGEST, dataclasses.replace(_WEEK, lines=()), "ada@example.com")
    assert "nothing is limited at the moment" in empty.text
    assert "nothing is limited at the moment" in empty.html
