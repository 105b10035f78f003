"""What the mail about a card that expires says, in the languages there are."""

from collections.abc import Mapping

from domain.alerts.email import ReminderFacts
from domain.alerts.language import ENGLISH, GERMAN, language_of

_EN: Mapping[str, str] = {
    "subject": "Your payment method expires: {method}",
    "expires": "your payment method {method} expires at the end of {month}.",
    "default": "Your invoices are charged to it. Please add another one in your billing pages before then, so that "
    "nothing is interrupted.",
    "other": "Your invoices are charged to another one; you can remove it in your billing pages.",
    "renewed": "Where your bank sends you a new card, its details often come to us by themselves.",
}
_DE: Mapping[str, str] = {
    "subject": "Ihre Zahlungsart läuft ab: {method}",
    "expires": "Ihre Zahlungsart {method} läuft Ende {month} ab.",
    "default": "Ihre Rechnungen werden über sie eingezogen. Bitte hinterlegen Sie vorher eine andere, damit nichts "
    "unterbrochen wird.",
    "other": "Ihre Rechnungen werden über eine andere eingezogen; die genannte können Sie auf Ihren "
    "Abrechnungsseiten entfernen.",
    "renewed": "Wenn Ihre Bank Ihnen eine neue Karte schickt, kommen deren Daten oft von selbst zu uns.",
}
_WORDS: Mapping[str, Mapping[str, str]] = {ENGLISH: _EN, GERMAN: _DE}


def expiry_facts(
    method: str, year: int, month: int, *, is_default: bool, merchant: str, name: str, locale: str
) -> ReminderFacts:
    """Say that a card expires at the end of a month, to its owner."""
    language = language_of(locale)
    words = _WORDS[language]
    texts = {"method": method, "month": f"{month:02}/{year}"}
    paragraphs = ("expires", "default" if is_default else "other", "renewed")
    return ReminderFacts(
        merchant=merchant,
        name=name,
        language=language,
        subject=words["subject"].format(**texts),
        paragraphs=tuple(words[each].format(**texts) for each in paragraphs),
        pay="",
        link="",
    )
