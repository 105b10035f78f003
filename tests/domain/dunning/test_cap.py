"""How often a card may be charged."""

import pytest

from domain.dunning.cap import CAPS, Cap, allowed_at, longest
from tests import make

_NOON = make.at("2026-03-10T12:00")


def test_a_retry_waits_a_day_after_any_charge_and_a_person_does_not() -> None:
    tries = [make.at("2026-03-10T00:00")]
    assert allowed_at(CAPS, "visa", tries, _NOON, automatic=True) == make.at("2026-03-11T00:00")
    assert allowed_at(CAPS, "visa", tries, _NOON, automatic=False) == _NOON
    # The day is over at its last instant.
    assert allowed_at(CAPS, "visa", tries, make.at("2026-03-11"), automatic=True) == make.at("2026-03-11")


def test_the_ninth_charge_in_thirty_days_waits_for_the_first_to_be_thirty_days_old() -> None:
    tries = [make.at(f"2026-03-{day:02}") for day in range(1, 9)]
    assert allowed_at(CAPS, None, tries[1:], _NOON, automatic=False) == _NOON
    assert allowed_at(CAPS, None, tries, _NOON, automatic=False) == make.at("2026-03-31")


@pytest.mark.parametrize(("brand", "allowed"), [("mastercard", "2026-03-11T06:00"), ("visa", "2026-03-10T12:00")])
def test_a_cap_of_one_network_bounds_no_other(brand: str, allowed: str) -> None:
    caps = (Cap("mastercard", 24, 2),)
    tries = [make.at("2026-03-10T06:00"), make.at("2026-03-10T07:00")]
    assert allowed_at(caps, brand, tries, _NOON, automatic=False) == make.at(allowed)


def test_charges_count_as_far_back_as_the_widest_cap() -> None:
    assert longest(CAPS).days == 30
    assert longest(()).days == 0
