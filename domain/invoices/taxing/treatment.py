"""How a line is taxed: by who sells, who buys, where, what, and when. Pure rules over registrations and rates."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from domain.customers.customer import CountryMalformed
from domain.customers.profiles.profile import Profile, RegionMalformed, TaxStatus
from domain.invoices.tax import NoTax, Rate, Treatment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import RegistrationId, TaxRateId
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.plans.definition import TAX_CODE_LENGTH_MAX, is_tax_code

NAME_LENGTH_MAX = 60
REGISTRATION_NUMBER_LENGTH_MAX = 40
PERCENT_DIGITS_MAX = 4

_COUNTRY = re.compile(r"[A-Z]{2}")
_REGION = re.compile(r"[A-Z0-9]{1,3}")


class TaxSource(StrEnum):
    """What computes taxes: the table of rates, or Stripe."""

    TABLE = "table"
    STRIPE = "stripe"


@dataclass(eq=False)
class TaxRateMalformed(DomainError):
    """That is no tax rate: {fault}."""

    code = "tax_rate_malformed"
    kind = Kind.INVALID
    fault: str


@dataclass(eq=False)
class RegistrationMalformed(DomainError):
    """That is no tax registration: {fault}."""

    code = "registration_malformed"
    kind = Kind.INVALID
    fault: str


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A row of the table, in force from `valid_from` until before `valid_to` (None: open).

    A region of None is the whole country, a tax code of None everything that has no rate of its own. Several rates of
    one place, tax code and time have different names, and all of them are taken.
    """

    id: TaxRateId
    country: str
    region: str | None
    tax_code: str | None
    name: str
    percent: Decimal
    inclusive: bool
    valid_from: datetime
    valid_to: datetime | None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What has one percentage at a time."""
        return self.country, self.region or "", self.tax_code or "", self.name

    @property
    def stated(self) -> Rate:
        """The rate as an invoice states it."""
        return Rate(self.name, self.percent, self.inclusive, self.country, self.region)

    def is_written_as(self, given: "TaxRate") -> bool:
        """Whether this row is what was given; it may have been ended by a later one since."""
        same = (self.key, self.valid_from, self.percent, self.inclusive) == (
            given.key,
            given.valid_from,
            given.percent,
            given.inclusive,
        )
        return same and given.valid_to in {None, self.valid_to}

    def is_in_force(self, at: datetime) -> bool:
        """Whether it holds at an instant."""
        return self.valid_from <= at and (self.valid_to is None or at < self.valid_to)


@dataclass(frozen=True, slots=True)
class Registration:
    """Where the merchant collects tax, and since when. `number` is its own there, which invoices repeat."""

    id: RegistrationId
    country: str
    region: str | None
    number: str | None
    valid_from: datetime
    valid_to: datetime | None

    def covers(self, country: str, region: str | None, at: datetime) -> bool:
        """Whether sales to a place are taxed under it at an instant."""
        in_force = self.valid_from <= at and (self.valid_to is None or at < self.valid_to)
        return in_force and self.country == country and self.region in {None, region}


@dataclass(frozen=True, slots=True)
class Merchant:
    """How the merchant is taxed in one environment: where it sits, what computes taxes, and where it is registered."""

    country: str
    source: TaxSource
    registrations: tuple[Registration, ...] = ()


def tax_point(issued_at: datetime, service: Period) -> datetime:
    """Return the instant whose rates a line bears: the last one of its service period, or its issue if that is first.

    What is billed in advance is taxed when it is invoiced, what is billed in arrears when it was supplied, also where
    it is billed late.
    """
    return min(issued_at, service.end - timedelta(microseconds=1))


def treatment_of(
    merchant: Merchant | None, profile: Profile, rates: Sequence[TaxRate], tax_code: str | None, at: datetime
) -> Treatment:
    """Say how a line is taxed at its tax point. `rates` are those of the customer's country.

    A merchant that was not set up takes no tax. An exemption stands before everything else; then the customer's country
    must be known; then comes reverse charge, across a border only, whether or not the merchant is registered; then the
    registration where the customer is; then the rates of that place and the tax code.
    """
    if merchant is None:
        return Treatment(reason=NoTax.NOT_REGISTERED)
    if profile.status is TaxStatus.EXEMPT:
        return Treatment(reason=NoTax.EXEMPT)
    country, region = profile.address.country, profile.address.region
    if country is None:
        known = any(each.covers(each.country, each.region, at) for each in merchant.registrations)
        return Treatment(reason=NoTax.LOCATION_UNKNOWN if known else NoTax.NOT_REGISTERED)
    if profile.status is TaxStatus.REVERSE_CHARGE and merchant.country not in {country, profile.vat_country}:
        return Treatment(reason=NoTax.REVERSE_CHARGE)
    if not any(each.covers(country, region, at) for each in merchant.registrations):
        return Treatment(reason=NoTax.NOT_REGISTERED)
    found = rates_at(rates, country, region, tax_code, at)
    return Treatment(tuple(rate.stated for rate in found)) if found else Treatment(reason=NoTax.NO_RATE)


def rates_at(
    rates: Iterable[TaxRate], country: str, region: str | None, tax_code: str | None, at: datetime
) -> list[TaxRate]:
    """Return the rates in force for a place and tax code, by name; the closest ones only.

    A rate of the tax code stands before one of everything, and among these one of the region before the country's.
    """
    matching = [
        rate
        for rate in rates
        if rate.country == country
        and rate.region in {None, region}
        and rate.tax_code in {None, tax_code}
        and rate.is_in_force(at)
    ]
    if not matching:
        return []
    closest = max(_closeness(rate) for rate in matching)
    return sorted((rate for rate in matching if _closeness(rate) == closest), key=lambda rate: rate.name)


def _closeness(rate: TaxRate) -> tuple[bool, bool]:
    return rate.tax_code is not None, rate.region is not None


def check_place(country: str, region: str | None) -> None:
    """Refuse what is no country or region. Raises CountryMalformed, RegionMalformed."""
    if not _COUNTRY.fullmatch(country):
        raise CountryMalformed
    if region is not None and not _REGION.fullmatch(region):
        raise RegionMalformed


def check_rate(rate: TaxRate) -> None:
    """Refuse what cannot be a row of the table. Raises CountryMalformed, RegionMalformed, TaxRateMalformed."""
    check_place(rate.country, rate.region)
    exponent = rate.percent.as_tuple().exponent
    faults = {
        f"a name has 1 to {NAME_LENGTH_MAX} printable characters": not is_text(rate.name, NAME_LENGTH_MAX),
        f"a percentage is from 0 to 100 and has at most {PERCENT_DIGITS_MAX} digits after the point": not (
            rate.percent.is_finite() and isinstance(exponent, int) and -exponent <= PERCENT_DIGITS_MAX
        )
        or not 0 <= rate.percent <= 100,
        f"a tax code has at most {TAX_CODE_LENGTH_MAX} small letters, digits and . _ -": rate.tax_code is not None
        and not is_tax_code(rate.tax_code),
        "it ends after it begins": rate.valid_to is not None and rate.valid_to <= rate.valid_from,
    }
    for fault, found in faults.items():
        if found:
            raise TaxRateMalformed(fault)


def check_registration(registration: Registration) -> None:
    """Refuse what cannot be a registration. Raises CountryMalformed, RegionMalformed, RegistrationMalformed."""
    check_place(registration.country, registration.region)
    if registration.number is not None and not is_text(registration.number, REGISTRATION_NUMBER_LENGTH_MAX):
        raise RegistrationMalformed(f"a number has 1 to {REGISTRATION_NUMBER_LENGTH_MAX} printable characters")
    if registration.valid_to is not None and registration.valid_to <= registration.valid_from:
        raise RegistrationMalformed("it ends after it begins")


def is_text(text: str, length_max: int) -> bool:
    """Whether a text fits and can be stored and shown."""
    return 1 <= len(text) <= length_max and text.isprintable()
