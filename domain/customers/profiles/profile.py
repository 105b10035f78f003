"""A customer's billing profile: pure rules about addresses, VAT numbers and tax status."""

import re
from dataclasses import field, replace
from enum import StrEnum

from stdnum import get_cc_module

from domain.customers.customer import CountryMalformed
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass

PART_LENGTH_MAX = 200
CERTIFICATE_LENGTH_MAX = 500
VAT_NUMBER_LENGTH_MAX = 20

_COUNTRY = re.compile(r"[A-Z]{2}")
_REGION = re.compile(r"[A-Z0-9]{1,3}")
# Prefixes of VAT numbers that are not the country's code: Greece, and Northern Ireland, whose numbers are British.
_PREFIXES = {"EL": "GR", "XI": "GB"}


class TaxStatus(StrEnum):
    """How a customer is taxed, as staff have found out; never concluded from a number alone."""

    TAXABLE = "taxable"
    EXEMPT = "exempt"
    REVERSE_CHARGE = "reverse_charge"


@dataclass(eq=False)
class AddressMalformed(DomainError):
    """Each part of an address has at most {length_max} printable characters."""

    code = "address_malformed"
    kind = Kind.INVALID
    length_max: int


@dataclass(eq=False)
class RegionMalformed(DomainError):
    """That is not a region: use the part of its ISO 3166-2 code after the country, such as CA for US-CA."""

    code = "region_malformed"
    kind = Kind.INVALID


@dataclass(eq=False)
class VatNumberMalformed(DomainError):
    """That is not a VAT number. It begins with its country, such as DE, and its check digits must be right."""

    code = "vat_number_malformed"
    kind = Kind.INVALID


@dataclass(eq=False)
class CertificateMissing(DomainError):
    """An exempt customer needs the text of the certificate, of 1 to {length_max} printable characters."""

    code = "certificate_missing"
    kind = Kind.INVALID
    length_max: int


@dataclass(eq=False)
class VatNumberMissing(DomainError):
    """Reverse charge needs the customer's VAT number. Give the number first."""

    code = "vat_number_missing"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Address:
    """Where invoices are made out to. Only the country and the region decide taxes. Empty parts are left out."""

    line1: str = field(default="", repr=False)
    line2: str = field(default="", repr=False)
    city: str = field(default="", repr=False)
    postal_code: str = field(default="", repr=False)
    region: str | None = None
    country: str | None = None

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """What is personal of it."""
        return self.line1, self.line2, self.city, self.postal_code


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a customer for invoices and taxes; version 0 where nothing was ever given.

    `certificate` is the text of an exemption, which invoices repeat. Personal values stay out of the representation.
    """

    customer_id: CustomerId
    address: Address = field(default_factory=Address)
    vat_number: str | None = field(default=None, repr=False)
    status: TaxStatus = TaxStatus.TAXABLE
    certificate: str | None = field(default=None, repr=False)
    version: int = 0

    @property
    def vat_country(self) -> str | None:
        """The country that gave the VAT number."""
        return vat_country(self.vat_number) if self.vat_number else None


def vat_country(number: str) -> str:
    """Return the country whose number it is: GR for EL…, GB for XI…."""
    return _PREFIXES.get(number[:2], number[:2])


def check_vat_number(text: str) -> str:
    """Return a VAT number in its compact form, country first. Raises VatNumberMalformed.

    Only the form and the check digits are checked: whether the number was given to this customer is not.
    """
    number = re.sub(r"[\s.\-/]", "", text).upper()
    country = vat_country(number)
    known = len(number) <= VAT_NUMBER_LENGTH_MAX and _COUNTRY.fullmatch(country)
    rules = get_cc_module(country.lower(), "vat") if known else None
    if rules is None or not rules.is_valid(number):
        raise VatNumberMalformed
    return number


def check_address(address: Address) -> Address:
    """Return an address with its parts trimmed. Raises AddressMalformed, CountryMalformed, RegionMalformed."""
    line1, line2, city, postal_code = parts = [part.strip() for part in address.parts]
    if not all(len(part) <= PART_LENGTH_MAX and part.isprintable() for part in parts):
        raise AddressMalformed(PART_LENGTH_MAX)
    if address.country is not None and not _COUNTRY.fullmatch(address.country):
        raise CountryMalformed
    if address.region is not None and (address.country is None or not _REGION.fullmatch(address.region)):
        raise RegionMalformed
    return Address(line1, line2, city, postal_code, address.region, address.country)


def changed(before: Profile, address: Address, vat_number: str | None) -> Profile:
    """Return the profile with another address and VAT number; None takes the number away.

    Raises what `check_address` and `check_vat_number` raise, and VatNumberMissing while reverse charge rests on it.
    """
    number = check_vat_number(vat_number) if vat_number else None
    if before.status is TaxStatus.REVERSE_CHARGE and number is None:
        raise VatNumberMissing
    return replace(before, address=check_address(address), vat_number=number)


def with_status(before: Profile, status: TaxStatus, certificate: str | None) -> Profile:
    """Return the profile with another tax status. Raises CertificateMissing, VatNumberMissing."""
    if status is TaxStatus.REVERSE_CHARGE and before.vat_number is None:
        raise VatNumberMissing
    text = (certificate or "").strip()
    if status is not TaxStatus.EXEMPT:
        return replace(before, status=status, certificate=None)
    if not 1 <= len(text) <= CERTIFICATE_LENGTH_MAX or not text.isprintable():
        raise CertificateMissing(CERTIFICATE_LENGTH_MAX)
    return replace(before, status=status, certificate=text)
