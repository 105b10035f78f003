"""What is left of money that no invoice could take, whatever is applied, sent back or taken by a bank."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.invoices.invoice import State
from domain.kernel.call import Environment
from domain.kernel.ids import AttemptId, UnappliedPaymentId, encode
from domain.kernel.money import Money
from domain.payments.refund import RefundMalformed, RefundUnsupported
from domain.payments.unapplied import payment as rules
from domain.payments.unapplied.payment import Cause, UnappliedPayment, UnappliedPaymentSpent
from tests import make
from tests.domain.payments.examples import CUSTOMER, INVOICE, NOON, invoice


def _usd(minor: int) -> Money:
    return Money(minor, "USD")


def held(**more: Any) -> UnappliedPayment:
    """Make 29.00 that came for a void invoice."""
    made = UnappliedPayment(
        customer_id=CUSTOMER,
        id=UnappliedPaymentId(make.new_id()),
        environment=Environment.TEST,
        invoice_id=INVOICE,
        attempt_id=AttemptId(make.new_id()),
        cause=Cause.CLOSED,
        amount=_usd(2_900),
        gateway_payment_id="pi_1",
        booked_at=NOON,
        created_at=NOON,
    )
    return dataclasses.replace(made, **more)


@pytest.mark.parametrize(
    ("state", "takes"),
    [
        (State.OPEN, True),
        (State.UNCOLLECTIBLE, True),
        (State.CHARGED_BACK, True),
        (State.PAID, False),
        (State.VOID, False),
        (State.DRAFT, False),
    ],
)
def test_only_what_is_owed_or_was_given_up_takes_money(state: State, *, takes: bool) -> None:
    assert rules.takes_money(invoice(state=state)) is takes


def test_an_invoice_is_paid_whole_by_what_is_enough() -> None:
    due = invoice(tax=_usd(0), subtotal=_usd(2_000))
    assert rules.payable(held(), due) == _usd(2_000)
    # 29.00 - 10.00 are less than 20.00: all that is left is named in the refusal.
    assert rules.payable(held(refunded_minor=1_000), due) == _usd(1_900)
    assert rules.payable(held(amount=Money(5_000, "EUR")), due) == Money(5_000, "EUR")


def test_what_goes_is_no_more_than_what_is_left() -> None:
    part = rules.applied(held(), _usd(2_000))
    assert part.left == _usd(900)
    with pytest.raises(UnappliedPaymentSpent) as refused:
        rules.applied(part, _usd(901))
    assert (refused.value.left, refused.value.currency) == ("9.00", "USD")
    sent, amount = rules.refunding(part, None)
    assert (amount, sent.left) == (_usd(900), _usd(0))
    with pytest.raises(UnappliedPaymentSpent):
        rules.refunding(sent, None)
    assert rules.refund_failed(sent, 900) == part


def test_a_part_or_all_that_is_left_becomes_credit() -> None:
    part, amount = rules.crediting(held(), _usd(2_000))
    assert (amount, part.credited_minor, part.left) == (_usd(2_000), 2_000, _usd(900))
    rest, amount = rules.crediting(part, None)
    assert (amount, rest.credited_minor, rest.left) == (_usd(900), 2_900, _usd(0))
    # A bank that takes the money finds nothing left.
    assert rules.withheld(rest, 2_900) == (rest, 0)


@pytest.mark.parametrize("wanted", [_usd(0), _usd(-1), _usd(2_901), Money(100, "EUR")])
def test_what_is_not_left_becomes_no_credit(wanted: Money) -> None:
    with pytest.raises(UnappliedPaymentSpent) as refused:
        rules.crediting(held(), wanted)
    assert (refused.value.left, refused.value.currency) == ("29.00", "USD")


@pytest.mark.parametrize("wanted", [_usd(0), _usd(-1), Money(100, "EUR")])
def test_a_refund_is_above_zero_in_the_currency_of_what_came(wanted: Money) -> None:
    with pytest.raises(RefundMalformed):
        rules.refunding(held(), wanted)


def test_what_did_not_come_through_the_gateway_is_not_sent_back_through_it() -> None:
    with pytest.raises(RefundUnsupported):
        rules.refunding(held(gateway_payment_id=None), None)


def test_a_bank_takes_what_is_left_and_gives_it_back() -> None:
    used = rules.applied(held(), _usd(2_000))
    taken, minor = rules.withheld(used, 2_900)
    assert (minor, taken.left) == (900, _usd(0))
    assert rules.released(taken, 900) == used
    assert rules.withheld(taken, 100) == (taken, 0)


def test_staff_are_told_whose_money_it_is_and_why_it_is_kept() -> None:
    told = rules.facts_of(held())
    assert (told["amount"], told["currency"], told["customer_id"]) == ("29.00", "USD", encode("customer", CUSTOMER))
    assert "void" in told["why"]
    assert "dispute" in rules.facts_of(held(cause=Cause.REINSTATED))["why"]


_STEPS = st.tuples(st.sampled_from(["apply", "refund", "fail", "take", "release", "credit"]), st.integers(1, 4_000))


@given(st.lists(_STEPS, max_size=20))
def test_the_parts_never_pass_the_whole_and_none_is_below_zero(steps: list[tuple[str, int]]) -> None:
    now = held()
    for what, minor in steps:
        try:
            if what == "apply":
                now = rules.applied(now, _usd(minor))
            elif what == "refund":
                now, _ = rules.refunding(now, _usd(minor))
            elif what == "credit":
                now, _ = rules.crediting(now, _usd(minor))
            elif what == "fail":
                now = rules.refund_failed(now, min(minor, now.refunded_minor))
            elif what == "take":
                now, _ = rules.withheld(now, minor)
            else:
                now = rules.released(now, min(minor, now.withheld_minor))
        except UnappliedPaymentSpent:
            continue
        parts = (now.applied_minor, now.refunded_minor, now.withheld_minor, now.credited_minor, now.left.minor)
        assert min(parts) >= 0
        assert sum(parts) == 2_900
