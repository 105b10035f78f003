"""The mail about a wallet that runs low, in its customer's language."""

from domain.alerts.email import render
from domain.alerts.low_balance import low_balance_facts
from domain.alerts.notice import LEGAL, Notice
from domain.kernel.money import Money


def test_it_is_written_in_german_where_that_is_the_customers_language() -> None:
    facts = low_balance_facts("Guthaben", Money(1_000, "EUR"), merchant="Example", name="Ada", locale="de_DE")
    mail = render(Notice.WALLET_LOW, facts, "ada@example.com")
    assert mail.subject == "Ihr vorausbezahltes Guthaben geht zur Neige: Guthaben"
    for part in (mail.text, mail.html):
        assert "Guten Tag Ada," in part
        assert "sind noch 10,00\xa0€ oder weniger übrig" in part
        assert "automatisch aufladen lassen" in part


def test_it_is_written_in_english_elsewhere_and_can_be_unsubscribed() -> None:
    facts = low_balance_facts("Prepaid", Money(1_000, "USD"), merchant="Example", name="Ada", locale="ja")
    mail = render(Notice.WALLET_LOW, facts, "ada@example.com")
    assert mail.subject == "Your prepaid balance runs low: Prepaid"
    assert "10.00 USD or less is left of your prepaid balance Prepaid" in mail.text
    assert Notice.WALLET_LOW not in LEGAL
