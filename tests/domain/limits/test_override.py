"""Overrides: what can be granted, and which of several is in force."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from domain.kernel.ids import CustomerId, ProductId
from domain.limits.override import Override, OverrideMalformed, check, in_force
from tests import make

PRODUCT = ProductId(make.new_id())
MAY, JUNE, JULY = make.at("2026-05-01"), make.at("2026-06-01"), make.at("2026-07-01")


def override(
    amount: str | None = "5",
    *,
    key: str = "calls",
    since: datetime = MAY,
    until: datetime | None = None,
    made: datetime = MAY,
) -> Override:
    """Make an override of a limit."""
    number = None if amount is None else Decimal(amount)
    return Override(
        CustomerId(make.new_id()), make.new_id(), PRODUCT, key, number, since, until, "agreed", "staff", made
    )


@pytest.mark.parametrize("amount", [None, "0", "0.000000000000000001", "99999999999999999999"])
def test_an_amount_is_unlimited_or_what_a_limit_can_hold(amount: str | None) -> None:
    assert check(override(amount))


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity", "100000000000000000000", "0.0000000000000000001"])
def test_any_other_amount_is_refused(amount: str) -> None:
    with pytest.raises(OverrideMalformed):
        check(override(amount))


def test_an_end_before_the_begin_and_a_reason_that_is_none_are_refused() -> None:
    with pytest.raises(OverrideMalformed):
        check(override(since=JUNE, until=JUNE))
    for reason in ("", "x" * 501, "\0"):
        with pytest.raises(OverrideMalformed):
            check(replace(override(), reason=reason))


def test_of_several_in_force_the_one_made_last_holds() -> None:
    first, second = override("1", made=MAY), override("2", made=JUNE)
    ended, coming = override("3", until=JUNE, made=JULY), override("4", since=JULY, made=JULY)
    other = override("9", key="tokens")
    found = in_force([second, first, ended, coming, other], PRODUCT, JUNE)
    assert {key: each.amount for key, each in found.items()} == {"calls": 2, "tokens": 9}
    assert in_force([second], ProductId(make.new_id()), JUNE) == {}
    assert in_force([second, coming], PRODUCT, JULY)["calls"].amount == 4
