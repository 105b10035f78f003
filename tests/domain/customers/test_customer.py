"""What may be said of a customer."""

from dataclasses import replace

import pytest

from domain.customers.customer import (
    ClockNeedsTestCustomer,
    CountryMalformed,
    Customer,
    EmailMalformed,
    ExternalIdMalformed,
    LocaleMalformed,
    NameMalformed,
    ZoneUnknown,
    check_customer,
    check_zone,
    fold_email,
)
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError
from domain.kernel.ids import ClockId, CustomerId
from tests import make

_ADA = Customer(
    id=CustomerId(make.new_id()),
    environment=Environment.TEST,
    external_id="crm-1",
    name="Ada Lovelace",
    email="ada@example.com",
    zone="Europe/London",
    locale="en-GB",
    country="GB",
    clock_id=ClockId(make.new_id()),
    created_at=make.at("2026-01-15"),
    version=1,
)


@pytest.mark.parametrize(
    "customer",
    [
        _ADA,
        replace(_ADA, external_id=None, country=None, clock_id=None, environment=Environment.LIVE),
        replace(_ADA, name="李 小龍", email="o'brien+bills@mail.example.co.uk", locale="zh-Hant-TW"),
        replace(_ADA, name="a" * 200, email="root@localhost", locale="de", zone="UTC"),
    ],
)
def test_a_sound_customer_is_accepted(customer: Customer) -> None:
    check_customer(customer)


@pytest.mark.parametrize(
    ("customer", "error"),
    [
        (replace(_ADA, name=""), NameMalformed),
        (replace(_ADA, name="a" * 201), NameMalformed),
        (replace(_ADA, name="a\x00b"), NameMalformed),
        (replace(_ADA, name="a\ud800"), NameMalformed),
        (replace(_ADA, name="a\nBcc: b"), NameMalformed),
        (replace(_ADA, email="ada"), EmailMalformed),
        (replace(_ADA, email="ada@"), EmailMalformed),
        (replace(_ADA, email="ada@example..com"), EmailMalformed),
        (replace(_ADA, email="ada@x.com\r\nBcc: b@x.com"), EmailMalformed),
        (replace(_ADA, email="ada@x.com, b@x.com"), EmailMalformed),
        (replace(_ADA, email="Ada <ada@x.com>"), EmailMalformed),
        (replace(_ADA, email="a" * 243 + "@example.com"), EmailMalformed),  # 255 characters
        (replace(_ADA, external_id=""), ExternalIdMalformed),
        (replace(_ADA, external_id="x" * 256), ExternalIdMalformed),
        (replace(_ADA, locale="english!"), LocaleMalformed),
        (replace(_ADA, locale=""), LocaleMalformed),
        (replace(_ADA, country="gb"), CountryMalformed),
        (replace(_ADA, country="GBR"), CountryMalformed),
        (replace(_ADA, environment=Environment.LIVE), ClockNeedsTestCustomer),
    ],
)
def test_a_malformed_one_is_refused_without_repeating_its_values(customer: Customer, error: type[DomainError]) -> None:
    with pytest.raises(error) as refused:
        check_customer(customer)
    assert "ada" not in str(refused.value).lower()


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Asia/Kathmandu"])
def test_zones_of_the_database_are_known(zone: str) -> None:
    assert check_zone(zone) == zone


@pytest.mark.parametrize(
    "zone",
    ["", "Europe", "Europe/Atlantis", "europe/berlin", "../etc/passwd", "/etc/localtime", "localtime", "Factory"],
)
def test_an_unknown_zone_is_an_error(zone: str) -> None:
    with pytest.raises(ZoneUnknown):
        check_zone(zone)


def test_a_long_unknown_zone_is_shown_in_part() -> None:
    with pytest.raises(ZoneUnknown) as refused:
        check_zone("x" * 10_000)
    assert len(refused.value.zone) == 64


def test_addresses_are_looked_up_in_any_case() -> None:
    assert fold_email(" Ada@Example.COM ") == fold_email("ada@example.com") == "ada@example.com"


def test_a_customer_does_not_show_its_personal_values() -> None:
    assert "Ada" not in repr(_ADA)
    assert "ada@" not in repr(_ADA)
