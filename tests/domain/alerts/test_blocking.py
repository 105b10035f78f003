"""What the mail about a payment method that cannot be charged any more says."""

from domain.alerts.blocking import blocked_facts


def test_the_mail_says_in_the_customers_language_why_and_what_to_do() -> None:
    known = {"merchant": "Example", "name": "Ada"}
    english = blocked_facts("Bank ending in 6789", by_mandate=False, is_default=True, locale="fr-FR", **known)
    assert english.language == "en"
    assert english.subject == "Your payment method cannot be charged any more: Bank ending in 6789"
    [why, what] = english.paragraphs
    assert why == "your bank does not let us charge your payment method Bank ending in 6789 any more."
    assert what.startswith("Your invoices are charged to it. Please add another one in your billing pages")
    german = blocked_facts("Bank ending in 6789", by_mandate=True, is_default=False, locale="de-AT", **known)
    assert german.language == "de"
    assert german.paragraphs[0] == "das Mandat, mit dem wir Ihre Zahlungsart Bank ending in 6789 belasten, ist beendet."
    assert "über eine andere" in german.paragraphs[1]
