"""States of an invoice, what becomes of a draft, and numbers."""

from dataclasses import replace
from decimal import Decimal

import pytest

from domain.invoices.invoice import (
    FOLLOWING,
    Identity,
    Invoice,
    InvoiceKind,
    InvoiceStateRefused,
    Line,
    LineKind,
    Opening,
    PaymentDiffers,
    State,
    minimum,
    number_text,
    opened,
    opening_of,
    paid,
    stated,
)
from domain.kernel.call import Environment
from domain.kernel.ids import InvoiceId, LineId, SubscriptionId
from domain.kernel.money import Money
from domain.kernel.period import Period
from tests import make
from tests.domain.invoices import examples

_NOW = make.at("2026-02-01")


def _draft(total_minor: int = 2900, currency: str = "USD") -> Invoice:
    return Invoice(
        customer_id=examples.CUSTOMER,
        id=InvoiceId(make.new_id()),
        environment=Environment.TEST,
        currency=currency,
        kind=InvoiceKind.INVOICE,
        state=State.DRAFT,
        number=None,
        created_at=_NOW,
        grace_ends_at=_NOW,
        issued_at=None,
        due_at=None,
        paid_at=None,
        subtotal=Money(total_minor, currency),
        discount=Money(0, currency),
        tax=Money(0, currency),
        version=1,
    )


def _lines(draft: Invoice, *amounts: int) -> list[Line]:
    period = Period(make.at("2026-01-01"), _NOW)
    identity = Identity(LineKind.USAGE, SubscriptionId(make.new_id()), None, None, period)
    return [
        Line(
            LineId(make.new_id()),
            draft.id,
            draft.customer_id,
            identity,
            0,
            "usage",
            Decimal(1),
            "USD",
            Money(amount, draft.currency),
            Money(0, draft.currency),
            {},
        )
        for amount in amounts
    ]


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ([], Opening.WAIT),
        ([0, 0], Opening.STATEMENT),
        ([49], Opening.WAIT),  # the gateway charges 0.50 USD or more
        ([50], Opening.INVOICE),
        ([0, 2900], Opening.INVOICE),
        ([-100], Opening.WAIT),
        ([321, -321], Opening.WAIT),  # nothing to pay, but not all lines are zero
    ],
)
def test_what_becomes_of_a_draft(amounts: list[int], expected: Opening) -> None:
    draft = _draft(sum(amounts))
    assert opening_of(draft, _lines(draft, *amounts)) is expected


def test_each_currency_has_its_own_minimum() -> None:
    assert [minimum(currency).minor for currency in ("USD", "EUR", "JPY", "GBP", "HUF")] == [50, 50, 50, 30, 17_500]


def test_opening_gives_the_number_and_makes_it_due_at_once() -> None:
    after = opened(_draft(), _NOW, "2026-000001")
    assert (after.state, after.number, after.issued_at, after.due_at) == (State.OPEN, "2026-000001", _NOW, _NOW)
    assert (after.amount_due, after.amount_paid) == (Money(2900, "USD"), Money(0, "USD"))


def test_a_statement_is_paid_and_has_no_number() -> None:
    after = stated(_draft(0), _NOW)
    assert (after.kind, after.state, after.number, after.due_at) == (InvoiceKind.STATEMENT, State.PAID, None, None)


def test_a_paid_invoice_absorbs_late_and_repeated_news() -> None:
    after = paid(opened(_draft(), _NOW, "1"), _NOW, Money(2900, "USD"))
    assert (after.state, after.paid_at, after.amount_due.minor, after.amount_paid.minor) == (State.PAID, _NOW, 0, 2900)
    assert paid(after, make.at("2026-03-01"), Money(1, "USD")) is after


@pytest.mark.parametrize("state", [State.DRAFT, State.VOID])
def test_what_is_not_owed_can_not_be_paid(state: State) -> None:
    with pytest.raises(InvoiceStateRefused):
        paid(replace(_draft(), state=state), _NOW, Money(2900, "USD"))


@pytest.mark.parametrize("amount", [Money(2899, "USD"), Money(2901, "USD"), Money(2900, "EUR")])
def test_another_amount_than_the_total_is_refused(amount: Money) -> None:
    with pytest.raises(PaymentDiffers, match=r"29\.00"):
        paid(opened(_draft(), _NOW, "1"), _NOW, amount)


@pytest.mark.parametrize("state", [State.OPEN, State.PAID, State.VOID, State.UNCOLLECTIBLE])
def test_only_a_draft_is_opened(state: State) -> None:
    with pytest.raises(InvoiceStateRefused):
        opened(replace(_draft(), state=state), _NOW, "1")


def test_paid_and_void_are_final() -> None:
    assert {state for state, following in FOLLOWING.items() if not following} == {State.PAID, State.VOID}


def test_numbers_name_the_year_and_test_customers() -> None:
    assert number_text(Environment.TEST, 2026, 1) == "TEST-2026-000001"
    assert number_text(Environment.LIVE, 2026, 999_999) == "2026-999999"
    assert number_text(Environment.LIVE, 2026, 1_000_000) == "2026-1000000"
