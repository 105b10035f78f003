"""Numbers, amounts, days and instants as the languages of mails write them. English is written as it always was."""

import dataclasses
import unicodedata
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from zoneinfo import ZoneInfo

from domain.invoices.document import day_text
from domain.invoices.documents import formats
from domain.kernel.money import Money, exact_text
from domain.payments.method import PaymentMethod, label

ENGLISH, GERMAN = "en", "de"
LANGUAGES = (ENGLISH, GERMAN)
# No word for what is counted is so short.
_SYMBOL_LETTERS = 2
BYTE = "byte"
_OF_BYTES = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))
_HUNDREDTH = Decimal("0.01")
_GERMAN_NAMES = {
    "card": "Karte",
    "sepa_debit": "SEPA-Lastschrift",
    "unknown": "Karte",
    "us_bank_account": "US-Bankkonto",
}
_TURNED = frozenset(("R", "AL", "AN"))
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"


def language_of(locale: str) -> str:
    """Return the language to write to a locale in: its own where it exists, else English."""
    language = locale.replace("_", "-").partition("-")[0].lower()
    return language if language in LANGUAGES else ENGLISH


def day_of(at: datetime, zone: str, language: str) -> str:
    """Write an instant as the customer's local day: 28 Feb 2026; 28.02.2026."""
    return day_text(at, zone) if language == ENGLISH else formats.day(at, zone, formats.locale_of(language))


def instant_of(at: datetime, zone: str, language: str) -> str:
    """Write an instant for people, in a zone: 28 Feb 2026, 09:30 UTC; 28.02.2026, 09:30 UTC."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{day_of(at, zone, language)}, {local:%H:%M} {local.tzname()}"


def money_of(amount: Money, language: str) -> str:
    """Write an amount: 29.00 USD; 29,00 $."""
    if language == ENGLISH:
        return f"{amount.major} {amount.currency}"
    return formats.money(amount, formats.locale_of(language))


def money_number(amount: Money, language: str) -> str:
    """Write an amount without its currency: -1.50; -1,50."""
    if language == ENGLISH:
        return amount.major
    return formats.plain(amount, formats.locale_of(language))


def number_of(amount: Decimal, language: str) -> str:
    """Write a number with a mark between thousands: 8,000.5; 8.000,5."""
    if language != ENGLISH:
        return formats.quantity(amount, formats.locale_of(language))
    # The sign apart: a whole part of -0 has none. A copy, since `abs` rounds.
    whole, point, rest = exact_text(amount.copy_abs()).partition(".")
    return f"{'-' if amount < 0 else ''}{int(whole):,}{point}{rest}"


def amount_of(amount: Decimal, unit: str, language: str) -> str:
    """Write an amount with its unit, whose word is the catalogue's: 8,000 calls, 12.5 USD; 8.000 calls.

    Bytes are shown in the largest unit of theirs that fits, cut to two digits, so that 9.999 GB are not 10.
    """
    for symbol, size in _OF_BYTES if unit == BYTE else ():
        if abs(amount) >= size:
            return f"{number_of((amount / size).quantize(_HUNDREDTH, ROUND_DOWN), language)} {symbol}"
    # A symbol, such as USD, GB or ms, has no plural.
    is_word = len(unit) > _SYMBOL_LETTERS and unit.isalpha() and unit.islower()
    return f"{number_of(amount, language)} {unit + 's' if is_word and amount != 1 else unit}"


def percent_text(percent: Decimal | None, language: str) -> str:
    """Write a percentage, cut to whole ones, so that 99.9 is not 100: 99%; 99 %."""
    if percent is None:
        return ""
    return f"{int(percent)}%" if language == ENGLISH else f"{int(percent)} %"


def method_of(method: PaymentMethod, language: str) -> str:
    """Name a payment method for its owner: Visa ending in 4242; Visa mit den Endziffern 4242."""
    if language == ENGLISH:
        return set_apart(label(method))
    name = _GERMAN_NAMES.get(method.brand or method.kind) or label(dataclasses.replace(method, last4=None))
    return set_apart(f"{name} mit den Endziffern {method.last4}" if method.last4 else name)


def set_apart(text: str) -> str:
    """Set a text that is written from right to left apart from what follows it: else numbers change their places.

    The marks (Unicode UAX 9: isolates) cannot be seen. A text without such letters stays as it is.
    """
    is_turned = any(unicodedata.bidirectional(letter) in _TURNED for letter in text)
    return f"{_ISOLATE}{text}{_END_OF_ISOLATE}" if is_turned else text


def hello(greeting: str, name: str) -> str:
    """Greet somebody, who may have no name, as the first line of a mail does."""
    return f"{greeting} {set_apart(name)}," if name.strip() else f"{greeting},"
