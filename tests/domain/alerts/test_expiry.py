"""What the mail about a card that expires says."""

from domain.alerts.expiry import expiry_facts


def test_the_mail_is_in_the_customers_language_and_says_what_to_do() -> None:
    known = {"merchant": "Example", "name": "Ada"}
    english = expiry_facts("Visa ending in 4242", 2030, 9, is_default=True, locale="fr-FR", **known)
    assert english.language == "en"
    assert english.subject == "Your payment method expires: Visa ending in 4242"
    assert english.paragraphs[0] == "your payment method Visa ending in 4242 expires at the end of 09/2030."
    assert "Please add another one" in english.paragraphs[1]
    german = expiry_facts("Visa ending in 4242", 2030, 12, is_default=False, locale="de-AT", **known)
    assert german.language == "de"
    assert german.paragraphs[0] == "Ihre Zahlungsart Visa ending in 4242 läuft Ende 12/2030 ab."
    assert "über eine andere" in german.paragraphs[1]
