"""What becomes of an invoice when a bank takes back what was paid for it, state by state."""

import dataclasses
from typing import Any

import pytest

from domain.invoices import reversal as rules
from domain.invoices.credit_note import CreditKind, Shares, shares_of
from domain.invoices.invoice import (
    FOLLOWING,
    Invoice,
    InvoiceKind,
    InvoiceStateRefused,
    State,
    covered,
    paid,
    too_little,
)
from domain.invoices.reversal import InvoiceDisputed, TooLittleToCollect
from domain.kernel.call import Environment
from domain.kernel.ids import InvoiceId
from domain.kernel.money import Money
from tests import make
from tests.domain.invoices import examples

NOW = make.at("2026-02-01T12:00")


def _usd(minor: int) -> Money:
    return Money(minor, "USD")


def _invoice(state: State = State.PAID, minor: int = 2_900, **more: Any) -> Invoice:
    made = Invoice(
        customer_id=examples.CUSTOMER,
        id=InvoiceId(make.new_id()),
        environment=Environment.TEST,
        currency="USD",
        kind=InvoiceKind.INVOICE,
        state=state,
        number="TEST-2026-000001",
        created_at=NOW,
        grace_ends_at=NOW,
        issued_at=NOW,
        due_at=NOW,
        paid_at=NOW if state in {State.PAID, State.CHARGED_BACK} else None,
        subtotal=_usd(minor),
        discount=_usd(0),
        tax=_usd(0),
        version=1,
    )
    return dataclasses.replace(made, **more)


def _sums(invoice: Invoice) -> tuple[State, int, int, int, int]:
    """Return the state, what is due, paid, disputed and charged back."""
    charged_back = rules.charged_back(invoice).minor
    return invoice.state, invoice.amount_due.minor, invoice.amount_paid.minor, invoice.disputed_minor, charged_back


def test_a_disputed_invoice_stays_paid_and_is_as_before_when_that_is_won() -> None:
    before = _invoice()
    disputed = rules.withheld(before, 2_900)
    assert _sums(disputed) == (State.PAID, 0, 2_900, 2_900, 0)
    assert rules.released(disputed, 2_900) == before


def test_what_is_lost_makes_it_charged_back() -> None:
    lost = rules.lost(rules.withheld(_invoice(), 2_900), 2_900)
    assert _sums(lost) == (State.CHARGED_BACK, 0, 0, 0, 2_900)
    assert lost.paid_at == NOW


def test_a_part_that_is_lost_leaves_the_rest_paid() -> None:
    first = rules.withheld(_invoice(), 1_000)
    both = rules.withheld(first, 500)
    assert rules.countable(both, 2_000) == 1_400  # 29.00 - 10.00 - 5.00
    one = rules.lost(both, 1_000)
    assert _sums(one) == (State.CHARGED_BACK, 0, 1_900, 500, 1_000)
    two = rules.lost(one, 500)
    assert _sums(two) == (State.CHARGED_BACK, 0, 1_400, 0, 1_500)
    # The other way round it comes to the same.
    assert rules.lost(rules.lost(both, 500), 1_000) == two


@pytest.mark.parametrize("state", list(State))
def test_only_what_was_paid_counts(state: State) -> None:
    invoice = _invoice(state, kept_minor=900 if state is State.CHARGED_BACK else 0)
    counted = {State.PAID: 2_900, State.CHARGED_BACK: 900}
    assert rules.countable(invoice, 10_000) == counted.get(state, 0)


@pytest.mark.parametrize("state", [State.OPEN, State.VOID, State.UNCOLLECTIBLE, State.DRAFT])
def test_where_nothing_counts_a_loss_changes_no_state(state: State) -> None:
    before = _invoice(state)
    assert rules.lost(before, 0) == before


def test_a_returned_debit_opens_it_again() -> None:
    returned = rules.returned(rules.withheld(_invoice(), 2_900), 2_900)
    assert _sums(returned) == (State.OPEN, 2_900, 0, 0, 0)
    assert (returned.paid_at, returned.reopened) == (None, 1)
    again = paid(returned, NOW, _usd(2_900))
    assert _sums(again) == (State.PAID, 0, 2_900, 0, 0)
    assert rules.returned(rules.withheld(again, 2_900), 2_900).reopened == 2


@pytest.mark.parametrize(("state", "minor", "opens"), [(State.PAID, 50, True), (State.PAID, 49, False)])
def test_too_little_is_not_asked_for_again(state: State, minor: int, *, opens: bool) -> None:
    assert rules.opens_again(_invoice(state), minor) is opens


@pytest.mark.parametrize("state", [each for each in State if each is not State.PAID])
def test_only_a_paid_invoice_is_opened_by_a_return(state: State) -> None:
    assert not rules.opens_again(_invoice(state), 2_900)


def test_staff_ask_for_what_was_lost_and_no_more() -> None:
    lost = rules.lost(rules.withheld(_invoice(), 1_000), 1_000)
    later = make.at("2026-03-01")
    asked = rules.asked_again(lost)
    assert _sums(asked) == (State.OPEN, 1_000, 1_900, 0, 0)
    assert (asked.due_at, asked.paid_at, asked.reopened) == (NOW, None, 1)
    again = paid(asked, later, _usd(1_000))
    assert _sums(again) == (State.PAID, 0, 2_900, 0, 0)


def test_a_recorded_payment_that_is_taken_back_leaves_all_of_it_due() -> None:
    opened = rules.taken_back(_invoice(), 2_900)
    assert _sums(opened) == (State.OPEN, 2_900, 0, 0, 0)
    assert (opened.due_at, opened.paid_at, opened.reopened) == (NOW, None, 1)
    assert _sums(paid(opened, NOW, _usd(2_900))) == (State.PAID, 0, 2_900, 0, 0)


@pytest.mark.parametrize("state", [each for each in State if each is not State.PAID])
def test_only_of_a_paid_invoice_a_payment_is_taken_back(state: State) -> None:
    with pytest.raises(InvoiceStateRefused):
        rules.taken_back(_invoice(state), 2_900)


def test_a_disputed_or_tiny_payment_is_not_taken_back() -> None:
    with pytest.raises(InvoiceDisputed):
        rules.taken_back(rules.withheld(_invoice(), 100), 2_900)
    with pytest.raises(TooLittleToCollect) as refused:
        rules.taken_back(_invoice(minor=49), 49)
    assert (refused.value.amount, refused.value.currency) == ("0.49", "USD")


@pytest.mark.parametrize("state", [each for each in State if each is not State.CHARGED_BACK])
def test_nothing_else_is_asked_for_again(state: State) -> None:
    with pytest.raises(InvoiceStateRefused):
        rules.asked_again(_invoice(state))


def test_what_is_disputed_or_too_little_is_not_asked_for_again() -> None:
    with pytest.raises(InvoiceDisputed):
        rules.asked_again(_invoice(State.CHARGED_BACK, disputed_minor=1))
    with pytest.raises(TooLittleToCollect):
        rules.asked_again(_invoice(State.CHARGED_BACK, kept_minor=2_851))
    assert too_little(_invoice(State.OPEN, kept_minor=2_851))


def test_what_comes_back_after_all_makes_it_paid_once_nothing_is_missing() -> None:
    lost = rules.lost(rules.lost(rules.withheld(_invoice(), 1_500), 1_000), 500)
    part = rules.reinstated(lost, 1_000)
    assert _sums(part) == (State.CHARGED_BACK, 0, 2_400, 0, 500)
    whole = rules.reinstated(part, 500)
    assert _sums(whole) == (State.PAID, 0, 2_900, 0, 0)
    assert whole.kept_minor == 0


@pytest.mark.parametrize("state", [State.OPEN, State.PAID, State.VOID, State.UNCOLLECTIBLE])
def test_what_comes_back_of_one_that_is_asked_for_or_paid_again_changes_nothing(state: State) -> None:
    before = _invoice(state)
    assert rules.reinstated(before, 2_900) == before


def test_paid_is_left_for_charged_back_or_open_alone() -> None:
    assert FOLLOWING[State.PAID] == {State.CHARGED_BACK, State.OPEN}
    assert FOLLOWING[State.CHARGED_BACK] == {State.PAID, State.OPEN}
    assert [state for state, after in FOLLOWING.items() if State.CHARGED_BACK in after] == [State.PAID]


def test_a_note_lowers_what_was_lost_before_it_gives_money_back() -> None:
    lost = rules.lost(rules.withheld(_invoice(), 1_000), 1_000)
    # 10.00 are lost and 19.00 are here: of a note of 15.00 the customer gets 5.00.
    assert shares_of(lost, 1_500, CreditKind.REFUND) == Shares(1_000, 0, 500, 0)
    settled = covered(dataclasses.replace(lost, offset_minor=1_000), NOW)
    assert _sums(settled) == (State.PAID, 0, 1_900, 0, 0)


def test_what_is_disputed_is_not_given_back_too() -> None:
    disputed = rules.withheld(_invoice(), 1_000)
    assert shares_of(disputed, 1_900, CreditKind.REFUND) == Shares(0, 0, 1_900, 0)
    for kind in (CreditKind.REFUND, CreditKind.CUSTOMER_CREDIT):
        with pytest.raises(InvoiceDisputed):
            shares_of(disputed, 1_901, kind)
    # 5.00 went back before.
    with pytest.raises(InvoiceDisputed):
        shares_of(disputed, 1_401, CreditKind.REFUND, moved_minor=500)
