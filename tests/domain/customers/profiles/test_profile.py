"""Addresses, VAT numbers and tax status: what a billing profile may be."""

import pytest

from domain.customers.customer import CountryMalformed
from domain.customers.profiles.profile import (
    Address,
    AddressMalformed,
    CertificateMissing,
    Profile,
    RegionMalformed,
    TaxStatus,
    VatNumberMalformed,
    VatNumberMissing,
    changed,
    check_address,
    check_vat_number,
    vat_country,
    with_status,
)
from domain.kernel.errors import DomainError
from domain.kernel.ids import CustomerId
from tests import make

_NEW = Profile(CustomerId(make.new_id()))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("DE 136 695 976", "DE136695976"),
        ("atu13585627", "ATU13585627"),
        ("FR40303265045", "FR40303265045"),
        ("EL094259216", "EL094259216"),
        ("GB 980 7806 84", "GB980780684"),
        ("XI980780684", "XI980780684"),
        ("CHE-107.787.577 IVA", "CHE107787577IVA"),
    ],
)
def test_a_vat_number_is_kept_in_its_compact_form(given: str, kept: str) -> None:
    assert check_vat_number(given) == kept


@pytest.mark.parametrize("given", ["DE136695978", "136695976", "US123456789", "D", "DE" + "1" * 40, "ÄÖ123", "DE\x00"])
def test_a_vat_number_with_wrong_check_digits_or_of_no_known_country_is_refused(given: str) -> None:
    with pytest.raises(VatNumberMalformed):
        check_vat_number(given)


def test_greek_and_northern_irish_numbers_belong_to_greece_and_britain() -> None:
    assert (vat_country("EL094259216"), vat_country("XI980780684"), vat_country("DE1")) == ("GR", "GB", "DE")


@pytest.mark.parametrize(
    ("address", "error"),
    [
        (Address(line1="x" * 201), AddressMalformed),
        (Address(city="Ber\nlin"), AddressMalformed),
        (Address(country="de"), CountryMalformed),
        (Address(region="CA"), RegionMalformed),
        (Address(region="Kalifornien", country="US"), RegionMalformed),
    ],
)
def test_a_malformed_address_is_refused(address: Address, error: type[DomainError]) -> None:
    with pytest.raises(error):
        check_address(address)


def test_an_address_is_trimmed() -> None:
    assert check_address(Address(" Allee 1 ", "", " Berlin", "10115", "BE", "DE")) == Address(
        "Allee 1", "", "Berlin", "10115", "BE", "DE"
    )


def test_reverse_charge_stands_on_a_vat_number() -> None:
    with pytest.raises(VatNumberMissing):
        with_status(_NEW, TaxStatus.REVERSE_CHARGE, None)
    numbered = changed(_NEW, Address(country="FR"), "FR40303265045")
    reversed_ = with_status(numbered, TaxStatus.REVERSE_CHARGE, None)
    assert (reversed_.status, reversed_.vat_country) == (TaxStatus.REVERSE_CHARGE, "FR")
    with pytest.raises(VatNumberMissing):
        changed(reversed_, Address(country="FR"), None)


def test_an_exemption_has_a_certificate_and_nothing_else_has() -> None:
    exempt = with_status(_NEW, TaxStatus.EXEMPT, " No. 4711 ")
    assert exempt.certificate == "No. 4711"
    assert with_status(exempt, TaxStatus.TAXABLE, "kept?").certificate is None
    for text in (None, " ", "x" * 501, "a\x00"):
        with pytest.raises(CertificateMissing):
            with_status(_NEW, TaxStatus.EXEMPT, text)


def test_nothing_personal_is_in_its_representation() -> None:
    told = repr(Profile(_NEW.customer_id, Address("Allee 1", "Hof", "Berlin", "10115"), "DE136695976", certificate="c"))
    assert not [text for text in ("Allee", "Hof", "Berlin", "10115", "DE1366", "certificate") if text in told]
