"""What the mail about a wallet that runs low says, in the languages there are."""

from collections.abc import Mapping

from domain.alerts.email import ReminderFacts
from domain.alerts.language import ENGLISH, GERMAN, language_of, money_of, set_apart
from domain.kernel.money import Money

_EN: Mapping[str, str] = {
    "subject": "Your prepaid balance runs low: {wallet}",
    "low": "{threshold} or less is left of your prepaid balance {wallet}, with what you have used and what is not "
    "invoiced yet taken off.",
    "then": "Once nothing is left, invoices are collected by your payment method.",
    "top_up": "You can top it up, or have it topped up automatically, in your billing pages.",
    "footer": "You can unsubscribe from this kind of mail in your billing pages.",
}
_DE: Mapping[str, str] = {
    "subject": "Ihr vorausbezahltes Guthaben geht zur Neige: {wallet}",
    "low": "von Ihrem vorausbezahlten Guthaben {wallet} sind noch {threshold} oder weniger übrig; was Sie genutzt "
    "haben und was noch nicht berechnet ist, ist dabei abgezogen.",
    "then": "Wenn nichts mehr übrig ist, werden Rechnungen über Ihre Zahlungsart eingezogen.",
    "top_up": "Auf Ihren Abrechnungsseiten können Sie es aufladen oder automatisch aufladen lassen.",
    "footer": "Sie können diese Art von Mail auf Ihren Abrechnungsseiten abbestellen.",
}
_WORDS: Mapping[str, Mapping[str, str]] = {ENGLISH: _EN, GERMAN: _DE}


def low_balance_facts(wallet: str, threshold: Money, *, merchant: str, name: str, locale: str) -> ReminderFacts:
    """Say that a wallet, by its name, has fallen to a threshold."""
    language = language_of(locale)
    words = _WORDS[language]
    texts = {"wallet": set_apart(wallet), "threshold": money_of(threshold, language)}
    return ReminderFacts(
        merchant=merchant,
        name=name,
        language=language,
        subject=words["subject"].format(**texts),
        paragraphs=tuple(words[each].format(**texts) for each in ("low", "then", "top_up")),
        pay="",
        link="",
        footer=words["footer"],
    )
