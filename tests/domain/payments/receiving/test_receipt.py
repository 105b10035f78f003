"""What may be recorded about money that came another way."""

import dataclasses
from datetime import datetime, timedelta

import pytest

from domain.invoices.invoice import InvoiceStateRefused, PaymentDiffers, PaymentUnderWay, State
from domain.kernel.money import Money
from domain.payments.attempt import AttemptState
from domain.payments.receiving.receipt import ReceiptMalformed, check_owed, check_reference
from tests.domain.payments.examples import NOON, attempt, invoice

# 29.00, of which balances paid 4.00 and credit notes took 5.00: 20.00 is due.
_OPEN = invoice(tax=Money(0, "USD"), applied_minor=400, offset_minor=500)
_DUE = Money(2_000, "USD")


@pytest.mark.parametrize("state", [State.OPEN, State.UNCOLLECTIBLE])
def test_all_that_is_due_is_taken_also_of_what_was_written_off(state: State) -> None:
    check_owed(dataclasses.replace(_OPEN, state=state), None, _DUE)


@pytest.mark.parametrize("state", [State.DRAFT, State.PAID, State.VOID])
def test_nothing_is_recorded_for_what_is_not_owed(state: State) -> None:
    with pytest.raises(InvoiceStateRefused):
        check_owed(dataclasses.replace(_OPEN, state=state), None, _DUE)


@pytest.mark.parametrize("amount", [Money(1_999, "USD"), Money(2_001, "USD"), Money(2_000, "EUR")])
def test_an_invoice_is_paid_whole_and_in_its_currency(amount: Money) -> None:
    with pytest.raises(PaymentDiffers) as refused:
        check_owed(_OPEN, None, amount)
    assert (refused.value.due, refused.value.due_currency) == ("20.00", "USD")


@pytest.mark.parametrize("state", [AttemptState.SENT, AttemptState.UNKNOWN, AttemptState.PROCESSING])
def test_a_charge_that_was_sent_has_to_end_first(state: AttemptState) -> None:
    with pytest.raises(PaymentUnderWay):
        check_owed(_OPEN, attempt(state), _DUE)


@pytest.mark.parametrize("state", [AttemptState.PLANNED, AttemptState.ACTION_REQUIRED, AttemptState.FAILED])
def test_an_attempt_by_which_no_money_moves_gives_way(state: AttemptState) -> None:
    check_owed(_OPEN, attempt(state), _DUE)


def test_a_reference_is_trimmed() -> None:
    assert check_reference("  Cheque 17 ", NOON, NOON) == "Cheque 17"
    assert check_reference("x" * 140, NOON - timedelta(days=400), NOON) == "x" * 140


@pytest.mark.parametrize(
    ("reference", "received_at"),
    [
        (" ", NOON),
        ("x" * 141, NOON),
        ("a\x00b", NOON),
        ("Cheque 17", NOON + timedelta(seconds=1)),
        ("Cheque 17", NOON.replace(tzinfo=None)),
    ],
)
def test_a_receipt_has_a_short_reference_and_no_future_date(reference: str, received_at: datetime) -> None:
    with pytest.raises(ReceiptMalformed):
        check_reference(reference, received_at, NOON)
