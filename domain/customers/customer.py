"""A customer, and what may be said of one: pure rules about names, addresses, zones, locales and countries."""

import re
import zoneinfo
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from functools import cache

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import ClockId, CustomerId
from domain.kernel.values import dataclass

NAME_LENGTH_MAX = 200
EMAIL_LENGTH_MAX = 254  # RFC 5321, 4.5.3.1.3, without the angle brackets.
EXTERNAL_ID_LENGTH_MAX = 255
ZONE_SHOWN_MAX = 64

_EMAIL = re.compile(r"[^\s@<>\"(),:;\[\]\\]+@[^\s@<>\"(),:;\[\]\\.]+(\.[^\s@<>\"(),:;\[\]\\.]+)*")
_LOCALE = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")
_COUNTRY = re.compile(r"[A-Z]{2}")
# Files of the zone database that name no place; "localtime" is whatever the server happens to be set to.
_NOT_PLACES = frozenset(("Factory", "localtime"))


@dataclass(eq=False)
class NameMalformed(DomainError):
    """A customer's name has 1 to {length_max} printable characters."""

    code = "name_malformed"
    kind = Kind.INVALID
    length_max: int


@dataclass(eq=False)
class EmailMalformed(DomainError):
    """That is not an e-mail address: one looks like name@example.com and has at most {length_max} characters."""

    code = "email_malformed"
    kind = Kind.INVALID
    length_max: int


@dataclass(eq=False)
class ExternalIdMalformed(DomainError):
    """An external id has 1 to {length_max} printable characters."""

    code = "external_id_malformed"
    kind = Kind.INVALID
    length_max: int


@dataclass(eq=False)
class ZoneUnknown(DomainError):
    """There is no time zone named {zone}. Use a name of the IANA database, such as Europe/Berlin."""

    code = "zone_unknown"
    kind = Kind.INVALID
    zone: str


@dataclass(eq=False)
class LocaleMalformed(DomainError):
    """That is not a locale: use a language tag such as en or de-CH."""

    code = "locale_malformed"
    kind = Kind.INVALID


@dataclass(eq=False)
class CountryMalformed(DomainError):
    """That is not a country code: use two capital letters of ISO 3166, such as DE."""

    code = "country_malformed"
    kind = Kind.INVALID


@dataclass(eq=False)
class CustomerErased(DomainError):
    """This customer was erased: nothing new can be kept of it. Create another customer."""

    code = "customer_erased"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class ClockNeedsTestCustomer(DomainError):
    """Only a test customer can be bound to a test clock. Create the customer in the test environment."""

    code = "clock_needs_test_customer"
    kind = Kind.INVALID


class CollectionMethod(StrEnum):
    """How a customer's invoices are paid: by charging its payment method, or by itself once they were sent to it."""

    CHARGE = "charge_automatically"
    SEND = "send_invoice"


@dataclass(frozen=True, slots=True)
class Customer:
    """Who buys. Personal values stay out of its representation, so that a log line cannot show them.

    `external_id` is the merchant's own id, unique in its environment. `clock_id` is set for test customers only.
    `has_method`: a payment method is attached. `consolidates`: what falls due of several subscriptions at the same
    instant is on one invoice. `collection` is how invoices that are opened from now on are paid. `erased_at` is when it
    was taken away who the customer is; name and address say nothing since.
    """

    id: CustomerId
    environment: Environment
    external_id: str | None
    name: str = field(repr=False)
    email: str = field(repr=False)
    zone: str
    locale: str
    country: str | None
    clock_id: ClockId | None
    created_at: datetime
    version: int
    has_method: bool = False
    consolidates: bool = False
    collection: CollectionMethod = CollectionMethod.CHARGE
    erased_at: datetime | None = None

    @property
    def can_be_billed(self) -> bool:
        """Whether invoices reach money: by a payment method, or as they are sent. A trial can then go on as paid."""
        return self.has_method or self.collection is CollectionMethod.SEND


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - _NOT_PLACES


def check_present(customer: Customer) -> None:
    """Refuse to change what is kept of an erased customer. Raises CustomerErased."""
    if customer.erased_at is not None:
        raise CustomerErased


def check_zone(zone: str) -> str:
    """Return the name of an IANA zone. Raises ZoneUnknown."""
    if zone not in _zones():
        raise ZoneUnknown(zone[:ZONE_SHOWN_MAX])
    return zone


def fold_email(email: str) -> str:
    """Write an address in the form that is hashed for look-up: case does not matter."""
    return email.strip().casefold()


def check_customer(customer: Customer) -> None:
    """Refuse what no customer may be. Of an address only the shape is checked.

    Raises NameMalformed, EmailMalformed, ExternalIdMalformed, ZoneUnknown, LocaleMalformed, CountryMalformed,
    ClockNeedsTestCustomer.
    """
    if not _is_text(customer.name, NAME_LENGTH_MAX):
        raise NameMalformed(NAME_LENGTH_MAX)
    if not _is_text(customer.email, EMAIL_LENGTH_MAX) or not _EMAIL.fullmatch(customer.email):
        raise EmailMalformed(EMAIL_LENGTH_MAX)
    check_zone(customer.zone)
    if customer.external_id is not None and not _is_text(customer.external_id, EXTERNAL_ID_LENGTH_MAX):
        raise ExternalIdMalformed(EXTERNAL_ID_LENGTH_MAX)
    if not _LOCALE.fullmatch(customer.locale):
        raise LocaleMalformed
    if customer.country is not None and not _COUNTRY.fullmatch(customer.country):
        raise CountryMalformed
    if customer.clock_id is not None and customer.environment is not Environment.TEST:
        raise ClockNeedsTestCustomer


def _is_text(text: str, length_max: int) -> bool:
    """Whether a text fits and can be stored and shown: str.isprintable refuses NUL, controls and lone surrogates."""
    return 1 <= len(text) <= length_max and text.isprintable()
