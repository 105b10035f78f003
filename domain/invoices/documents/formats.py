"""Dates, numbers and money as a customer's language writes them (Unicode CLDR, through Babel).

Babel is loaded when it is first asked: most processes write English mails alone, or none.
"""

import copy
import re
from datetime import datetime
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from domain.kernel.money import Money, exponent
from domain.kernel.period import Period

if TYPE_CHECKING:
    from babel import Locale

DEFAULT = "en"
# As many digits as a quantity may have; zeros at the end are not written.
_QUANTITY = "#,##0.##################"
_PERCENT = "#,##0.####"
_LOCALES_KEPT = 256
# Babel rounds to as many digits as its pattern has behind the point: with the 28 of Python's own context, a quantity of
# eleven digits before it could not be written.
DIGITS_MAX = 100


@lru_cache(maxsize=_LOCALES_KEPT)
def locale_of(tag: str) -> "Locale":
    """Return the locale of a language tag, or the nearest one that is known: its language's, else English."""
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415 -- see the module's docstring

    parts = tag.replace("_", "-").split("-")
    while parts:
        try:
            return Locale.parse("-".join(parts), sep="-")
        except (UnknownLocaleError, ValueError):
            parts.pop()
    return Locale.parse(DEFAULT)


def day(at: datetime, zone: str, locale: "Locale") -> str:
    """Write an instant as the customer's local day: Jan 31, 2026; 31.01.2026; 2026年1月31日."""
    from babel.dates import format_date  # noqa: PLC0415 -- see the module's docstring

    return format_date(at.astimezone(ZoneInfo(zone)).date(), format="medium", locale=locale)


def days(period: Period, zone: str, locale: "Locale") -> str:
    """Write a period from its first local day to the day on which the next one starts."""
    return f"{day(period.start, zone, locale)} – {day(period.end, zone, locale)}"  # noqa: RUF001 - a range


def money(amount: Money, locale: "Locale") -> str:
    """Write an amount with exactly its currency's digits: $79.00; 79,00 $; ￥1,000."""
    digits = exponent(amount.currency)
    pattern: Any = copy.copy(locale.currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    with localcontext(prec=DIGITS_MAX):
        text: str = pattern.apply(Decimal(amount.major), locale, currency=amount.currency, currency_digits=False)
    # CLDR sets a code of letters apart from the digits beside it.
    return re.sub(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])", "\xa0", text)


def plain(amount: Money, locale: "Locale") -> str:
    """Write an amount with exactly its currency's digits, and without the currency: 1,079.00; 1.079,00."""
    digits = exponent(amount.currency)
    form = f"#,##0.{'0' * digits}" if digits else "#,##0"
    return _number(Decimal(amount.major), form, locale)


def quantity(value: Decimal, locale: "Locale") -> str:
    """Write a quantity with all its digits."""
    return _number(value, _QUANTITY, locale)


def percent(value: Decimal, locale: "Locale") -> str:
    """Write a percentage with at most four digits after the point: 19%, 8.875%."""
    return f"{_number(value, _PERCENT, locale)}%"


def _number(value: Decimal, pattern: str, locale: "Locale") -> str:
    from babel.numbers import format_decimal  # noqa: PLC0415 -- see the module's docstring

    with localcontext(prec=DIGITS_MAX):
        return format_decimal(value, format=pattern, locale=locale)
