"""How long something is overdue, and what receivables add up to."""

from datetime import timedelta
from uuid import UUID

import pytest

from domain.kernel.ids import CustomerId, InvoiceId, encode
from domain.kernel.money import Money
from domain.payments.ageing.age import Age, Cause, Owed, Receivables, add_up, age_of, cause_of
from tests import make

_ADA = CustomerId(UUID(int=1))
_DUE = make.at("2026-01-31")


@pytest.mark.parametrize(
    ("days", "age"),
    [
        (-10, Age.CURRENT),
        (0, Age.CURRENT),
        (1, Age.DAYS_1_30),
        (30, Age.DAYS_1_30),
        (31, Age.DAYS_31_60),
        (60, Age.DAYS_31_60),
        (61, Age.DAYS_61_90),
        (90, Age.DAYS_61_90),
        (91, Age.OLDER),
    ],
)
def test_an_age_is_counted_in_full_days(days: int, age: Age) -> None:
    at = _DUE + timedelta(days=days)
    assert (age_of(_DUE, at), age_of(_DUE, at + timedelta(hours=23, minutes=59))) == (age, age)


@pytest.mark.parametrize("noun", ["invoice", "credit_note", "refund", "dispute", "attempt"])
def test_what_an_entry_is_about_is_read_from_its_id(noun: str) -> None:
    about = encode(noun, UUID(int=17))
    assert cause_of(_ADA, about) == cause_of(_ADA, f"{about}:2") == Cause(_ADA, noun, UUID(int=17))


def test_what_is_owed_is_added_up_by_currency_and_age_and_what_is_owed_back_apart() -> None:
    def owed(minor: int, currency: str, days: int) -> Owed:
        return Owed(_ADA, InvoiceId(UUID(int=2)), _DUE - timedelta(days=days), Money(minor, currency))

    found = add_up(
        [owed(100, "USD", 0), owed(200, "USD", 45), owed(300, "USD", 45), owed(-50, "USD", 45), owed(7, "EUR", 400)],
        _DUE,
    )
    nothing = dict.fromkeys(Age, 0)
    assert found == [
        Receivables("EUR", {**nothing, Age.OLDER: 7}, 0, 1),
        Receivables("USD", {**nothing, Age.CURRENT: 100, Age.DAYS_31_60: 500}, 50, 3),
    ]
    # 100 + 500 - 50.
    assert [each.total for each in found] == [7, 550]
    assert add_up([], _DUE) == []
