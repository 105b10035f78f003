"""What may be recorded about money that came another way."""

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.invoices.credit_note import CreditKind, CreditNote, CreditReason
from domain.invoices.invoice import InvoiceStateRefused, PaymentDiffers, PaymentUnderWay, State
from domain.kernel.call import Environment
from domain.kernel.ids import AttemptId, CreditNoteId
from domain.kernel.money import Money
from domain.payments.attempt import AttemptState
from domain.payments.push import PushState
from domain.payments.receiving.receipt import (
    CopyNotClosed,
    PaymentAlreadyReversed,
    PaymentGivenBack,
    ReceiptMalformed,
    ReceiptMethod,
    Received,
    ReversalReason,
    check_owed,
    check_reference,
    check_reversible,
    undone,
)
from tests import make
from tests.domain.payments.examples import CUSTOMER, INVOICE, NOON, attempt, invoice, push

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


_PAID = invoice(state=State.PAID, paid_at=NOON)


def _received(**more: Any) -> Received:
    """Make a cheque over 29.00 that was recorded at noon."""
    made = Received(
        customer_id=CUSTOMER,
        attempt_id=AttemptId(make.new_id()),
        invoice_id=INVOICE,
        amount=Money(2_900, "USD"),
        method=ReceiptMethod.CHEQUE,
        reference="Cheque 17",
        received_at=NOON,
        recorded_at=NOON,
        created_at=NOON,
    )
    return dataclasses.replace(made, **more)


def _note(issued_at: datetime, **where: int) -> CreditNote:
    """Make a note over 9.00 whose money went somewhere."""
    parts = {f"{each}_minor": where.get(each, 0) for each in ("offset", "credit", "refund", "wallet")}
    return CreditNote(
        customer_id=CUSTOMER,
        id=CreditNoteId(make.new_id()),
        invoice_id=INVOICE,
        environment=Environment.TEST,
        currency="USD",
        number="TEST-CN-2026-000001",
        kind=CreditKind.REFUND,
        reason=CreditReason.GOODWILL,
        issued_at=issued_at,
        subtotal=Money(900, "USD"),
        discount=Money(0, "USD"),
        tax=Money(0, "USD"),
        tax_included_minor=0,
        **parts,
    )


def test_a_recorded_payment_is_taken_back_once() -> None:
    gone = undone(_received(), NOON + timedelta(days=3), ReversalReason.BOUNCED)
    assert (gone.reversed_at, gone.reversal) == (NOON + timedelta(days=3), ReversalReason.BOUNCED)
    check_reversible(_received(), _PAID, None, [])
    with pytest.raises(PaymentAlreadyReversed):
        check_reversible(gone, _PAID, None, [])


@pytest.mark.parametrize("state", [each for each in State if each is not State.PAID])
def test_only_of_a_paid_invoice_a_payment_is_taken_back(state: State) -> None:
    with pytest.raises(InvoiceStateRefused):
        check_reversible(_received(), invoice(state=state), None, [])


@pytest.mark.parametrize("where", ["credit", "refund", "wallet"])
def test_what_a_note_has_given_back_since_cannot_be_taken_back(where: str) -> None:
    with pytest.raises(PaymentGivenBack) as refused:
        check_reversible(_received(), _PAID, None, [_note(NOON, **{where: 900})])
    assert refused.value.number == "TEST-CN-2026-000001"


def test_what_was_taken_off_before_it_was_paid_hinders_nothing() -> None:
    earlier = NOON - timedelta(hours=1)
    check_reversible(_received(), _PAID, None, [_note(earlier, credit=900), _note(NOON, offset=900)])


@pytest.mark.parametrize(
    ("state", "is_closed"),
    [(PushState.WAITING, True), (PushState.CLOSED, True), (PushState.PUSHED, False), (PushState.PUSHING, False)],
)
def test_only_one_copy_asks_for_money(state: PushState, *, is_closed: bool) -> None:
    if is_closed:
        check_reversible(_received(), _PAID, push(state), [])
        return
    with pytest.raises(CopyNotClosed):
        check_reversible(_received(), _PAID, push(state), [])
