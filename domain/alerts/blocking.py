"""What the mail about a payment method that cannot be charged any more says, in the languages there are."""

from collections.abc import Mapping

from domain.alerts.email import ReminderFacts
from domain.alerts.language import ENGLISH, GERMAN, language_of

_EN: Mapping[str, str] = {
    "subject": "Your payment method cannot be charged any more: {method}",
    "bank": "your bank does not let us charge your payment method {method} any more.",
    "mandate": "the mandate by which we charge your payment method {method} has ended.",
    "default": "Your invoices are charged to it. Please add another one in your billing pages, so that nothing is "
    "interrupted.",
    "other": "Your invoices are charged to another one; you can remove it in your billing pages.",
}
_DE: Mapping[str, str] = {
    "subject": "Ihre Zahlungsart kann nicht mehr belastet werden: {method}",
    "bank": "Ihre Bank lässt nicht mehr zu, dass wir Ihre Zahlungsart {method} belasten.",
    "mandate": "das Mandat, mit dem wir Ihre Zahlungsart {method} belasten, ist beendet.",
    "default": "Ihre Rechnungen werden über sie eingezogen. Bitte hinterlegen Sie auf Ihren Abrechnungsseiten eine "
    "andere, damit nichts unterbrochen wird.",
    "other": "Ihre Rechnungen werden über eine andere eingezogen; die genannte können Sie auf Ihren "
    "Abrechnungsseiten entfernen.",
}
_WORDS: Mapping[str, Mapping[str, str]] = {ENGLISH: _EN, GERMAN: _DE}


def blocked_facts(
    method: str, *, by_mandate: bool, is_default: bool, merchant: str, name: str, locale: str
) -> ReminderFacts:
    """Say that a method cannot be charged any more, to its owner: its bank forbids it, or its mandate has ended."""
    language = language_of(locale)
    words = _WORDS[language]
    paragraphs = ("mandate" if by_mandate else "bank", "default" if is_default else "other")
    return ReminderFacts(
        merchant=merchant,
        name=name,
        language=language,
        subject=words["subject"].format(method=method),
        paragraphs=tuple(words[each].format(method=method) for each in paragraphs),
        pay="",
        link="",
    )
