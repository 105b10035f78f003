"""What a mail says."""

import dataclasses

import pytest

from domain.alerts.email import Content, Facts, Notice, ShownLine, message_id, render
from domain.kernel.ids import CustomerId
from tests import make

_FACTS = Facts(
    merchant="Tools & Co",
    name="Ada <b>",
    number="2026-000007",
    total="29.00 USD",
    day="15 Jan 2026",
    lines=(ShownLine("Edge Starter <i>", "29.00 USD"),),
    method="Visa ending in 4242",
    advice="The account did not have enough funds.",
)


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


def test_an_invoice_without_a_payment_method_asks_for_one() -> None:
    mail = render(Notice.INVOICE_ISSUED, dataclasses.replace(_FACTS, method=""), "ada@example.com")
    for part in (mail.text, mail.html):
        assert "There is no payment method yet. Please add one" in part
        assert "You need to do nothing" not in part


def test_a_payment_is_told_with_its_method() -> None:
    mail = render(Notice.PAYMENT_RECEIVED, _FACTS, "ada@example.com")
    assert mail.subject == "Payment received for invoice 2026-000007"
    assert "29.00 USD for invoice 2026-000007 on 15 Jan 2026 (Visa ending in 4242)." in mail.text


def test_money_that_came_another_way_has_no_method() -> None:
    mail = render(Notice.PAYMENT_RECEIVED, dataclasses.replace(_FACTS, method=""), "ada@example.com")
    assert "on 15 Jan 2026.\n" in mail.text
    assert "()" not in mail.text + mail.html


def test_a_failed_payment_is_told_with_advice() -> None:
    mail = render(Notice.PAYMENT_FAILED, _FACTS, "ada@example.com")
    assert mail.subject == "Payment failed for invoice 2026-000007"
    assert "The account did not have enough funds." in mail.text
    assert "The account did not have enough funds." in mail.html


@pytest.mark.parametrize("notice", list(Notice))
def test_html_is_escaped_and_text_is_not(notice: Notice) -> None:
    mail = render(notice, _FACTS, "ada@example.com")
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
