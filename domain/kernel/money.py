"""Money in whole minor units, exact costs, and the only places where an amount is rounded or split."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from domain.kernel.errors import DomainError, Kind

# Numbers whose text is remembered.
TEXTS_MAX = 10_000
# An amount of this many major units is no amount.
MAJOR_MAX = 10**15
# ISO 4217 currencies whose minor unit is not a hundredth.
_EXPONENTS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_TWO_DIGITS = frozenset(
    (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP "
        "CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS "
        "INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN "
        "MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE "
        "SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW "
        "ZWG"
    ).split()
)


@dataclass(eq=False)
class CurrencyUnknown(DomainError):
    """{currency} is not a currency code of ISO 4217. Use three capital letters, such as USD."""

    code = "currency_unknown"
    kind = Kind.INVALID
    currency: str


@dataclass(eq=False)
class CurrencyMismatch(DomainError):
    """Amounts in {left} and {right} cannot be added."""

    code = "currency_mismatch"
    kind = Kind.INVALID
    left: str
    right: str


@dataclass(eq=False)
class AmountMalformed(DomainError):
    """An amount in {currency} has at most {digits} digits after the point, and 15 before it."""

    code = "amount_malformed"
    kind = Kind.INVALID
    currency: str
    digits: int


def exponent(currency: str) -> int:
    """Return the number of digits after the point in the currency's major unit (USD 2, JPY 0, KWD 3).

    Raises CurrencyUnknown.
    """
    if currency in _TWO_DIGITS:
        return 2
    if currency in _EXPONENTS:
        return _EXPONENTS[currency]
    raise CurrencyUnknown(currency)


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount owed or held: whole minor units of one currency. Negative is a credit."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        exponent(self.currency)

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise CurrencyMismatch(self.currency, other.currency)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return self + -other

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    @property
    def major(self) -> str:
        """The amount in major units with exactly the currency's digits: Money(2900, "USD").major == "29.00"."""
        return str(Decimal(self.minor).scaleb(-exponent(self.currency)))


@dataclass(frozen=True, slots=True)
class Cost:
    """An exact, unrounded amount in major units: what usage costs before it becomes a line."""

    amount: Decimal
    currency: str


def round_half_up(value: Fraction) -> int:
    """Round to a whole number, halves away from zero, symmetric for credits."""
    doubled = abs(value) * 2
    whole = (doubled.numerator + doubled.denominator) // (2 * doubled.denominator)
    return whole if value >= 0 else -whole


def to_minor(amount: Fraction, currency: str) -> int:
    """Round an exact amount in major units to whole minor units: the one rounding of an invoice line."""
    return round_half_up(amount * 10 ** exponent(currency))


def from_major(amount: Decimal, currency: str) -> Money:
    """Read an amount in major units exactly: nothing is rounded. Raises CurrencyUnknown, AmountMalformed."""
    digits = exponent(currency)
    minor = Fraction(amount) * 10**digits
    if minor.denominator != 1 or abs(amount) >= MAJOR_MAX:
        raise AmountMalformed(currency, digits)
    return Money(minor.numerator, currency)


def split(total: int, weights: Sequence[Fraction]) -> list[int]:
    """Split a whole amount in proportion to weights >= 0, by largest remainder, ties to the first.

    The parts add up exactly. All weights zero: everything goes to the first part. No weights: no parts, and the
    total must be 0.
    """
    if not weights:
        assert total == 0, "an amount cannot be split over nothing"
        return []
    whole = sum(weights, Fraction(0))
    if whole == 0:
        return [total, *([0] * (len(weights) - 1))]
    sign = -1 if total < 0 else 1
    exact = [abs(total) * weight / whole for weight in weights]
    parts = [share.numerator // share.denominator for share in exact]
    order = sorted(range(len(parts)), key=lambda index: (parts[index] - exact[index], index))
    for index in order[: abs(total) - sum(parts)]:
        parts[index] += 1
    return [sign * part for part in parts]


def exact_text(value: Fraction | Decimal | int) -> str:
    """Write a number without loss: a plain decimal where it ends, else numerator/denominator ("14/31")."""
    fraction = value if type(value) is Fraction else Fraction(value)
    numerator, denominator = fraction.numerator, fraction.denominator
    return str(numerator) if denominator == 1 else _text_of(numerator, denominator)


@lru_cache(maxsize=TEXTS_MAX)
def _text_of(numerator: int, whole: int) -> str:
    """Write a fraction in lowest terms. Limits and what is used of them are written again and again."""
    denominator, twos, fives = whole, 0, 0
    while denominator % 2 == 0:
        denominator, twos = denominator // 2, twos + 1
    while denominator % 5 == 0:
        denominator, fives = denominator // 5, fives + 1
    if denominator != 1:
        return f"{numerator}/{whole}"
    digits = max(twos, fives)
    scaled = abs(numerator) * 10**digits // whole
    text = str(scaled).rjust(digits + 1, "0")
    sign = "-" if numerator < 0 else ""
    return f"{sign}{text[:-digits]}.{text[-digits:]}"
