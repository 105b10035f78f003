"""What open invoices still wait for, of what a customer has transferred."""

from typing import Any

import pytest

from domain.customers.customer import CollectionMethod
from domain.invoices.invoice import InvoiceKind, State
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId, encode
from domain.kernel.money import Money
from domain.payments.transferring.cash import Awaited, account_key, is_transferred, missing
from tests import make
from tests.domain.payments.examples import invoice

_ADA = CustomerId(make.new_id())
_FIRST, _SECOND, _EUROS = (InvoiceId(make.new_id()) for _ in range(3))
_AWAITED = [
    Awaited(_ADA, _FIRST, Money(2_900, "USD")),
    Awaited(_ADA, _EUROS, Money(1_000, "EUR")),
    Awaited(_ADA, _SECOND, Money(9_900, "USD")),
]


@pytest.mark.parametrize(
    ("available", "first", "second"),
    [
        ({}, 2_900, 9_900),
        # 20.00 of 29.00 has come: 9.00 are missing.
        ({"USD": 2_000}, 900, 9_900),
        # 29.00 and 1.00 of the next.
        ({"USD": 3_000}, 0, 9_800),
        ({"USD": 20_000}, 0, 0),
        # Nothing was transferred, and more went back than had come.
        ({"USD": -500}, 2_900, 9_900),
    ],
)
def test_what_has_come_is_taken_off_the_oldest_invoice_first(
    available: dict[str, int], first: int, second: int
) -> None:
    found = missing(_AWAITED, available)
    assert (found[_FIRST], found[_SECOND]) == (Money(first, "USD"), Money(second, "USD"))
    assert found[_EUROS] == Money(1_000, "EUR")


def test_an_account_is_asked_for_by_customer_and_currency() -> None:
    assert account_key(Environment.TEST, _ADA, "USD") == f"test:funding:{encode('customer', _ADA)}:USD"


@pytest.mark.parametrize(
    ("changed", "is_told"),
    [
        ({}, True),
        # What became of it later changes nothing of its document.
        ({"state": State.PAID}, True),
        ({"state": State.VOID}, True),
        ({"state": State.DRAFT}, False),
        ({"collection": CollectionMethod.CHARGE}, False),
        ({"kind": InvoiceKind.STATEMENT}, False),
        # 34.51 less 34.01 are the least that can be paid; one cent less is not asked for.
        ({"applied_minor": 3_401}, True),
        ({"applied_minor": 3_402}, False),
    ],
)
def test_only_a_sent_invoice_of_which_enough_is_left_is_transferred(changed: dict[str, Any], *, is_told: bool) -> None:
    assert is_transferred(invoice(**{"collection": CollectionMethod.SEND, **changed})) is is_told
