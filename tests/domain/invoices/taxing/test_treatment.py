"""How a line is taxed: by who sells, who buys, where, what, and when."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.customers.customer import CountryMalformed
from domain.customers.profiles.profile import Address, Profile, RegionMalformed, TaxStatus
from domain.invoices.tax import NoTax, Rate, Treatment
from domain.invoices.taxing.treatment import (
    Merchant,
    Registration,
    RegistrationMalformed,
    TaxRate,
    TaxRateMalformed,
    TaxSource,
    check_rate,
    check_registration,
    rates_at,
    tax_point,
    treatment_of,
)
from domain.kernel.errors import DomainError
from domain.kernel.ids import CustomerId, RegistrationId, TaxRateId
from domain.kernel.period import Period
from tests import make

_NOW = make.at("2026-03-15")
_START = make.at("2020-01-01")
_CUSTOMER = CustomerId(make.new_id())


def _registration(country: str, region: str | None = None, *, until: datetime | None = None) -> Registration:
    return Registration(RegistrationId(make.new_id()), country, region, "DE123", _START, until)


def _rate(
    country: str,
    percent: str,
    *,
    name: str = "VAT",
    region: str | None = None,
    tax_code: str | None = None,
    valid_from: datetime = _START,
    valid_to: datetime | None = None,
) -> TaxRate:
    return TaxRate(
        TaxRateId(make.new_id()),
        country,
        region,
        tax_code,
        name,
        Decimal(percent),
        inclusive=False,
        valid_from=valid_from,
        valid_to=valid_to,
    )


_MERCHANT = Merchant(
    "DE", TaxSource.TABLE, (_registration("DE"), _registration("US", "CA"), _registration("AT", until=_NOW))
)
_RATES = (
    _rate("DE", "19"),
    _rate("DE", "7", tax_code="books"),
    _rate("US", "7.25", name="Sales tax", region="CA"),
    _rate("AT", "20"),
)


def _treat(profile: Profile, *, tax_code: str | None = None, at: datetime = _NOW) -> Treatment:
    return treatment_of(_MERCHANT, profile, _RATES, tax_code, at)


def _in(country: str | None, region: str | None = None, *, status: TaxStatus = TaxStatus.TAXABLE) -> Profile:
    return Profile(_CUSTOMER, Address(region=region, country=country), "FR40303265045", status)


@pytest.mark.parametrize(
    ("profile", "tax_code", "expected"),
    [
        (_in("DE"), None, Rate("VAT", Decimal(19), country="DE")),
        (_in("DE"), "books", Rate("VAT", Decimal(7), country="DE")),
        (_in("DE"), "saas", Rate("VAT", Decimal(19), country="DE")),
        (_in("US", "CA"), None, Rate("Sales tax", Decimal("7.25"), country="US", region="CA")),
        (_in("US", "NY"), None, NoTax.NOT_REGISTERED),
        (_in("JP"), None, NoTax.NOT_REGISTERED),
        # The registration in Austria ends at this instant.
        (_in("AT"), None, NoTax.NOT_REGISTERED),
        (_in(None), None, NoTax.LOCATION_UNKNOWN),
        (_in("DE", status=TaxStatus.EXEMPT), None, NoTax.EXEMPT),
        (_in(None, status=TaxStatus.EXEMPT), None, NoTax.EXEMPT),
        (_in("FR", status=TaxStatus.REVERSE_CHARGE), None, NoTax.REVERSE_CHARGE),
        # Within the merchant's own country nothing is reversed.
        (_in("DE", status=TaxStatus.REVERSE_CHARGE), None, Rate("VAT", Decimal(19), country="DE")),
    ],
)
def test_a_line_is_taxed_by_place_status_and_tax_code(
    profile: Profile, tax_code: str | None, expected: Rate | NoTax
) -> None:
    assert _treat(profile, tax_code=tax_code).stated == (expected,)


def test_a_customer_with_a_number_of_the_merchants_own_country_is_not_reversed() -> None:
    german = replace(_in("FR", status=TaxStatus.REVERSE_CHARGE), vat_number="DE136695976")
    assert _treat(german).stated == (NoTax.NOT_REGISTERED,)


def test_a_merchant_that_was_not_set_up_or_is_registered_nowhere_takes_no_tax() -> None:
    assert treatment_of(None, _in("DE"), _RATES, None, _NOW).stated == (NoTax.NOT_REGISTERED,)
    nowhere = Merchant("DE", TaxSource.TABLE)
    assert treatment_of(nowhere, _in(None), _RATES, None, _NOW).stated == (NoTax.NOT_REGISTERED,)


def test_a_place_with_a_registration_and_no_rate_takes_no_tax_and_says_so() -> None:
    assert treatment_of(_MERCHANT, _in("DE"), (), None, _NOW).stated == (NoTax.NO_RATE,)


def test_the_closest_rates_are_taken_and_all_of_them() -> None:
    country, region = _rate("CA", "5", name="GST"), _rate("CA", "5", name="GST", region="QC")
    second = _rate("CA", "9.975", name="QST", region="QC")
    coded = _rate("CA", "0", name="Zero rate", tax_code="books")
    table = (coded, second, country, region)
    assert rates_at(table, "CA", "QC", None, _NOW) == [region, second]
    assert rates_at(table, "CA", "ON", "saas", _NOW) == [country]
    # A rate of the tax code stands before those of the region.
    assert rates_at(table, "CA", "QC", "books", _NOW) == [coded]


def test_a_rate_holds_from_its_first_instant_until_before_its_last() -> None:
    changes = make.at("2026-07-01")
    table = (_rate("DE", "19", valid_to=changes), _rate("DE", "16", valid_from=changes))
    before = datetime(2026, 6, 30, 23, 59, 59, 999_999, tzinfo=UTC)
    assert [rate.percent for rate in rates_at(table, "DE", None, None, before)] == [Decimal(19)]
    assert [rate.percent for rate in rates_at(table, "DE", None, None, changes)] == [Decimal(16)]


def test_what_is_billed_in_advance_is_taxed_when_issued_and_what_is_billed_in_arrears_when_supplied() -> None:
    june = Period(make.at("2026-06-01"), make.at("2026-07-01"))
    assert tax_point(make.at("2026-06-01"), june) == make.at("2026-06-01")
    # June's usage bears June's rates, whenever it is billed.
    last = datetime(2026, 6, 30, 23, 59, 59, 999_999, tzinfo=UTC)
    assert tax_point(make.at("2026-07-01"), june) == last
    assert tax_point(make.at("2026-09-09"), june) == last


@pytest.mark.parametrize(
    ("rate", "error"),
    [
        (_rate("de", "19"), CountryMalformed),
        (_rate("DE", "19", region="Bayern"), RegionMalformed),
        (_rate("DE", "101"), TaxRateMalformed),
        (_rate("DE", "-1"), TaxRateMalformed),
        (_rate("DE", "NaN"), TaxRateMalformed),
        (_rate("DE", "19.00001"), TaxRateMalformed),
        (_rate("DE", "19", name=""), TaxRateMalformed),
        (_rate("DE", "19", name="V\x00T"), TaxRateMalformed),
        (_rate("DE", "19", tax_code="Books!"), TaxRateMalformed),
        (_rate("DE", "19", valid_to=_START), TaxRateMalformed),
    ],
)
def test_a_malformed_rate_is_refused(rate: TaxRate, error: type[DomainError]) -> None:
    with pytest.raises(error):
        check_rate(rate)


def test_a_malformed_registration_is_refused() -> None:
    check_registration(_registration("DE"))
    with pytest.raises(CountryMalformed):
        check_registration(_registration("Germany"))
    with pytest.raises(RegistrationMalformed):
        check_registration(replace(_registration("DE"), number="x" * 41))
    with pytest.raises(RegistrationMalformed):
        check_registration(_registration("DE", until=_START))


def test_a_row_is_what_was_given_also_once_a_later_one_has_ended_it() -> None:
    given = _rate("DE", "19")
    assert replace(given, valid_to=_NOW).is_written_as(given)
    assert not given.is_written_as(replace(given, valid_to=_NOW))
    assert not given.is_written_as(replace(given, percent=Decimal(20)))
