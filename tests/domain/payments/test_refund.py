"""How much may be refunded, from which payment, and how a refund ends."""

import dataclasses
from typing import Any

import pytest

from domain.kernel.call import Environment
from domain.kernel.ids import CreditNoteId, RefundId
from domain.kernel.money import Money
from domain.payments import refund as rules
from domain.payments.listed import GatewayRefund
from domain.payments.refund import (
    PARTS_MAX,
    PaidIn,
    Refund,
    RefundMalformed,
    RefundReason,
    RefundState,
    RefundStatus,
    RefundTooLarge,
    RefundUnsupported,
)
from tests import make
from tests.domain.payments.examples import CUSTOMER, INVOICE, NOON

NOTE = CreditNoteId(make.new_id())
LATER = make.at("2026-01-16T12:00")


def refund(minor: int, state: RefundState = RefundState.SENT, **more: Any) -> Refund:
    """Make a refund of the note."""
    made = Refund(
        customer_id=CUSTOMER,
        id=RefundId(make.new_id()),
        credit_note_id=NOTE,
        invoice_id=INVOICE,
        environment=Environment.TEST,
        gateway_payment_id="pi_1",
        amount=Money(minor, "USD"),
        reason=RefundReason.DUPLICATE,
        key="k",
        state=state,
        created_at=NOON,
        ordered_at=NOON,
        sent_at=NOON,
    )
    return dataclasses.replace(made, **more)


def seen(status: str, failure: str | None = None) -> GatewayRefund:
    """Make what the gateway shows."""
    return GatewayRefund("re_1", status, "USD", 500, "pi_1", NOON, failure=failure)


def test_all_that_is_left_of_a_note_is_refunded_where_no_amount_is_named() -> None:
    # 9.00 owed, 2.00 unknown and 3.00 gone, 4.00 failed: 4.00 are left.
    before = [
        refund(200, RefundState.UNKNOWN),
        refund(300, RefundState.SUCCEEDED),
        refund(400, RefundState.FAILED),
        refund(100, credit_note_id=CreditNoteId(make.new_id())),
    ]
    assert rules.amount_of(Money(900, "USD"), NOTE, None, before) == Money(400, "USD")
    assert rules.amount_of(Money(900, "USD"), NOTE, Money(400, "USD"), before) == Money(400, "USD")
    with pytest.raises(RefundTooLarge) as refused:
        rules.amount_of(Money(900, "USD"), NOTE, Money(401, "USD"), before)
    assert (refused.value.left, refused.value.currency) == ("4.00", "USD")


def test_a_note_that_owes_nothing_more_is_not_refunded() -> None:
    with pytest.raises(RefundTooLarge):
        rules.amount_of(Money(0, "USD"), NOTE, None, [])


@pytest.mark.parametrize("wanted", [Money(0, "USD"), Money(-1, "USD"), Money(1, "EUR")])
def test_a_refund_is_above_zero_and_in_the_currency_of_its_note(wanted: Money) -> None:
    with pytest.raises(RefundMalformed):
        rules.amount_of(Money(900, "USD"), NOTE, wanted, [])


def test_a_refund_is_taken_from_as_few_payments_as_can_be_those_with_most_left_first() -> None:
    payments = [PaidIn("pi_1", 1_000), PaidIn("pi_2", 600), PaidIn("pi_3", 600)]
    # Of the first 7.00 are gone, and a failed refund took nothing: 3.00, 6.00 and 6.00 are left, 15.00 in all.
    gone = [refund(700), refund(900, RefundState.FAILED)]

    def parts(minor: int) -> list[tuple[str, int]]:
        found = rules.parts_of(Money(minor, "USD"), payments, gone)
        return [(each.gateway_payment_id, each.amount_minor) for each in found]

    assert parts(600) == [("pi_2", 600)]
    assert parts(601) == [("pi_2", 600), ("pi_3", 1)]
    assert parts(1_500) == [("pi_2", 600), ("pi_3", 600), ("pi_1", 300)]
    with pytest.raises(RefundUnsupported):
        parts(1_501)
    with pytest.raises(RefundUnsupported):
        rules.parts_of(Money(1, "USD"), [], [])


def test_a_refund_that_needs_too_many_payments_is_refused() -> None:
    payments = [PaidIn(f"pi_{number}", 100) for number in range(PARTS_MAX + 1)]
    assert len(rules.parts_of(Money(100 * PARTS_MAX, "USD"), payments, [])) == PARTS_MAX
    with pytest.raises(RefundUnsupported):
        rules.parts_of(Money(100 * PARTS_MAX + 1, "USD"), payments, [])


@pytest.mark.parametrize(
    ("status", "state", "told"),
    [
        ("pending", RefundState.PENDING, RefundStatus.PENDING),
        ("requires_action", RefundState.PENDING, RefundStatus.PENDING),
        ("succeeded", RefundState.SUCCEEDED, RefundStatus.SUCCEEDED),
        ("failed", RefundState.FAILED, RefundStatus.FAILED),
        ("canceled", RefundState.FAILED, RefundStatus.FAILED),
    ],
)
def test_the_gateways_words_become_ours(status: str, state: RefundState, told: RefundStatus) -> None:
    after = rules.settle(refund(500), seen(status), LATER, NOON)
    assert (after.state, after.status, after.gateway_refund_id) == (state, told, "re_1")
    assert after.settled_at == (None if state is RefundState.PENDING else LATER)
    assert rules.settle(after, seen(status), LATER, NOON) == after


def test_a_refund_that_succeeded_can_only_fail_later_and_a_failed_one_stays_so() -> None:
    gone = rules.settle(refund(500), seen("succeeded"), NOON, NOON)
    assert rules.settle(gone, seen("pending"), LATER, LATER) == gone
    failed = rules.settle(gone, seen("failed", "lost_or_stolen_card"), LATER, LATER)
    assert (failed.state, failed.failure, failed.ended_at) == (RefundState.FAILED, "lost_or_stolen_card", LATER)
    assert rules.settle(failed, seen("succeeded"), LATER, LATER) == failed
    assert rules.fail(failed, "other", LATER, LATER) == failed


def test_not_knowing_undoes_nothing_that_is_known() -> None:
    assert rules.lose(refund(500)).state is RefundState.UNKNOWN
    for state in (RefundState.PENDING, RefundState.SUCCEEDED, RefundState.FAILED):
        assert rules.lose(refund(500, state)).state is state


def test_a_planned_refund_is_marked_as_sent() -> None:
    sent = rules.send(refund(500, RefundState.PLANNED, sent_at=None), LATER)
    assert (sent.state, sent.sent_at, sent.status) == (RefundState.SENT, LATER, RefundStatus.PENDING)


def test_the_key_names_the_environment_and_the_refund() -> None:
    made = refund(500)
    key = rules.refund_key(Environment.LIVE, made.id)
    assert key.startswith("live:refund:rfd_")
