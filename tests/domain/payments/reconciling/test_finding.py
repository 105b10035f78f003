"""What counts as a difference, and which ones are left to a person."""

import dataclasses
from typing import Any

import pytest

from domain.invoices.invoice import State
from domain.kernel.money import Money
from domain.payments.attempt import AttemptState, Trigger
from domain.payments.listed import GatewayDispute, GatewayHolder, GatewayPayment, GatewayRefund
from domain.payments.port import GatewayInvoice, GatewayInvoiceState, GatewayMethod, PayOutcome, PayState
from domain.payments.push import Push, PushState
from domain.payments.reconciling import finding
from domain.payments.reconciling.finding import Found
from domain.payments.refund import RefundState
from domain.payments.transfer import GatewayCash
from tests.domain.payments.examples import CUSTOMER, NOON, attempt, dispute, invoice, method
from tests.domain.payments.test_refund import refund

_OURS = invoice()


def _copy(**changed: Any) -> GatewayInvoice:
    """Make the copy of the invoice: open, with all of it due."""
    made = GatewayInvoice(
        id="in_1",
        state=GatewayInvoiceState.OPEN,
        currency=_OURS.currency,
        total_minor=_OURS.total.minor,
        tax_minor=_OURS.tax.minor,
        remaining_minor=_OURS.total.minor,
        outcome=None,
        gateway_customer_id="cus_1",
        customer_id=_OURS.customer_id,
        invoice_id=_OURS.id,
    )
    return dataclasses.replace(made, **changed)


def _push(state: PushState = PushState.PUSHED, **changed: Any) -> Push:
    return Push(_OURS.customer_id, _OURS.id, 1, state, "in_1", NOON, **changed)


def _shown(found: list[Found]) -> list[tuple[str, str]]:
    return [(each.kind.value, each.remedy.value) for each in found]


def test_a_copy_as_ours_is_no_difference() -> None:
    assert finding.about_invoice(_OURS, _push(), None, _copy()) == []


def test_a_copy_that_is_being_made_is_left_alone() -> None:
    assert finding.about_invoice(_OURS, _push(PushState.PUSHING), None, _copy(total_minor=1)) == []


@pytest.mark.parametrize(
    ("changed", "kind", "theirs"),
    [
        ({"currency": "EUR"}, "invoice_currency", "EUR"),
        ({"total_minor": 1}, "invoice_total", "0.01 USD"),
        ({"tax_minor": 7}, "invoice_tax", "0.07 USD"),
        ({"remaining_minor": 1}, "invoice_due", "0.01 USD"),
    ],
)
def test_each_sum_is_compared_and_left_to_a_person(changed: dict[str, Any], kind: str, theirs: str) -> None:
    found = finding.about_invoice(_OURS, _push(), None, _copy(**changed))
    [wanted] = [each for each in found if each.kind == kind]
    assert (wanted.theirs, wanted.remedy, wanted.about) == (theirs, "person", "in_1")


@pytest.mark.parametrize(
    ("ours", "theirs", "remedy"),
    [
        # News that was lost.
        (State.OPEN, GatewayInvoiceState.PAID, "follow_invoice"),
        (State.VOID, GatewayInvoiceState.OPEN, "collect"),
        (State.UNCOLLECTIBLE, GatewayInvoiceState.OPEN, "collect"),
        # Money, or what was given up, is nobody's to change silently.
        (State.OPEN, GatewayInvoiceState.VOID, "person"),
        (State.OPEN, GatewayInvoiceState.DRAFT, "person"),
        (State.PAID, GatewayInvoiceState.OPEN, "person"),
        (State.VOID, GatewayInvoiceState.PAID, "person"),
        (State.UNCOLLECTIBLE, GatewayInvoiceState.PAID, "person"),
    ],
)
def test_only_lost_news_of_a_state_is_followed(ours: State, theirs: GatewayInvoiceState, remedy: str) -> None:
    found = finding.about_invoice(dataclasses.replace(_OURS, state=ours), _push(), None, _copy(state=theirs))
    assert _shown(found) == [("invoice_state", remedy)]
    assert (found[0].ours, found[0].theirs) == (ours.value, theirs.value)


def test_a_copy_of_a_void_invoice_is_not_closed_while_money_may_be_on_its_way() -> None:
    void = dataclasses.replace(_OURS, state=State.VOID)
    running = attempt(AttemptState.PROCESSING)
    assert _shown(finding.about_invoice(void, _push(), running, _copy())) == [("invoice_state", "person")]
    moving = _copy(outcome=PayOutcome(PayState.PROCESSING))
    assert _shown(finding.about_invoice(void, _push(), None, moving)) == [("invoice_state", "person")]


def test_a_credit_note_that_has_not_followed_yet_is_sent_again() -> None:
    credited = dataclasses.replace(_OURS, offset_minor=100)
    assert _shown(finding.about_invoice(credited, _push(), None, _copy())) == [("invoice_due", "collect")]
    followed = _push(credited_minor=100)
    assert _shown(finding.about_invoice(credited, followed, None, _copy())) == [("invoice_due", "person")]


def test_a_copy_that_is_not_there_is_missing_unless_it_was_deleted_with_ours() -> None:
    assert _shown(finding.about_invoice(_OURS, _push(), None, None)) == [("invoice_missing", "person")]
    void = dataclasses.replace(_OURS, state=State.VOID)
    assert finding.about_invoice(void, _push(PushState.CLOSED), None, None) == []
    assert _shown(finding.about_invoice(_OURS, _push(PushState.CLOSED), None, None)) == [("invoice_missing", "person")]


def test_an_invoice_that_names_ours_and_is_not_its_copy_is_unknown() -> None:
    [found] = finding.about_unknown_invoice(_copy(id="in_2"), _push())
    assert (found.kind, found.about, found.ours) == ("invoice_unknown", "in_2", "in_1")
    [lost] = finding.about_unknown_invoice(_copy(id="in_2"), None)
    assert lost.ours == "none"
    assert finding.about_unknown_invoice(_copy(id="in_2", state=GatewayInvoiceState.VOID), None) == []
    assert finding.about_unknown_invoice(_copy(id="in_2", invoice_id=None), None) == []


def _payment(**changed: Any) -> GatewayPayment:
    made = GatewayPayment("inpay_1", "paid", "USD", 2900, "in_1", "pi_1")
    return dataclasses.replace(made, **changed)


def test_money_is_compared_with_the_attempt_that_brought_it() -> None:
    paid = attempt(AttemptState.SUCCEEDED, gateway_payment_id="pi_1")
    assert finding.about_payment(_payment(), _OURS, [paid]) == []
    assert finding.about_payment(_payment(status="open"), _OURS, []) == []
    # Money from elsewhere has an attempt without the gateway's id.
    assert finding.about_payment(_payment(), _OURS, [dataclasses.replace(paid, gateway_payment_id=None)]) == []
    assert _shown(finding.about_payment(_payment(), _OURS, [attempt(AttemptState.SENT)])) == [
        ("payment_unknown", "follow_invoice")
    ]
    twice = dataclasses.replace(paid, gateway_payment_id="pi_0")
    assert _shown(finding.about_payment(_payment(), _OURS, [twice])) == [("payment_unknown", "person")]
    [differs] = finding.about_payment(_payment(paid_minor=1), _OURS, [paid])
    assert (differs.kind, differs.theirs, differs.remedy) == ("payment_amount", "0.01 USD", "person")


def test_what_staff_recorded_came_by_no_payment_there() -> None:
    recorded = attempt(AttemptState.SUCCEEDED, trigger=Trigger.STAFF)
    # The gateway took money as well: it is followed, and kept unapplied.
    assert _shown(finding.about_payment(_payment(), _OURS, [recorded])) == [("payment_unknown", "follow_invoice")]
    paid = dataclasses.replace(_OURS, state=State.PAID)
    assert _shown(finding.about_invoice(paid, _push(), recorded, _copy())) == [("invoice_state", "collect")]
    assert finding.about_invoice(paid, _push(PushState.CLOSED), recorded, None) == []
    closed = _copy(state=GatewayInvoiceState.PAID, remaining_minor=0)
    assert finding.about_invoice(paid, _push(PushState.CLOSED), recorded, closed) == []


@pytest.mark.parametrize("state", [AttemptState.SUCCEEDED, AttemptState.RETURNED])
def test_a_void_invoice_whose_copy_was_paid_is_as_it_has_to_be_once_the_money_is_kept(state: AttemptState) -> None:
    void, paid = dataclasses.replace(_OURS, state=State.VOID), _copy(state=GatewayInvoiceState.PAID)
    assert finding.about_invoice(void, _push(PushState.CLOSED), attempt(state), paid) == []
    recorded = dataclasses.replace(attempt(state), trigger=Trigger.STAFF)
    assert _shown(finding.about_invoice(void, _push(), recorded, paid)) == [("invoice_state", "person")]


def test_an_invoice_shows_its_money_once_it_is_paid() -> None:
    assert finding.payment_of(_copy()) is None
    assert finding.payment_of(_copy(state=GatewayInvoiceState.PAID)) is None
    outcome = PayOutcome(PayState.PAID, gateway_payment_id="pi_1")
    paid = _copy(state=GatewayInvoiceState.PAID, paid_minor=5, outcome=outcome)
    assert finding.payment_of(paid) == GatewayPayment("in_1", "paid", "USD", 5, "in_1", "pi_1")
    outside = dataclasses.replace(paid, outcome=None)
    assert finding.payment_of(outside) == GatewayPayment("in_1", "paid", "USD", 5, "in_1", None)


def _there(status: str, minor: int = 250) -> GatewayRefund:
    return GatewayRefund("re_1", status, "USD", minor, "pi_1", NOON)


@pytest.mark.parametrize(
    ("status", "is_ours", "count"),
    [("succeeded", True, 1), ("pending", True, 1), ("failed", True, 0), ("canceled", True, 0), ("succeeded", False, 0)],
)
def test_a_refund_of_our_money_of_which_nothing_tells_is_found(status: str, count: int, *, is_ours: bool) -> None:
    found = finding.about_refund(_there(status), None, _OURS.customer_id if is_ours else None)
    assert [each.theirs for each in found] == [f"{status} 2.50 USD"] * count


@pytest.mark.parametrize(
    ("ours", "status", "remedy"),
    [
        (RefundState.SUCCEEDED, "succeeded", None),
        (RefundState.PENDING, "requires_action", None),
        (RefundState.FAILED, "canceled", None),
        (RefundState.UNKNOWN, "pending", "follow_refund"),
        (RefundState.PENDING, "succeeded", "follow_refund"),
        (RefundState.SUCCEEDED, "failed", "follow_refund"),
        # What we have given up, or have booked as gone, is not undone by itself.
        (RefundState.FAILED, "succeeded", "person"),
        (RefundState.SUCCEEDED, "pending", "person"),
    ],
)
def test_news_of_a_refund_that_was_lost_is_followed_and_the_rest_left(
    ours: RefundState, status: str, remedy: str | None
) -> None:
    found = finding.about_refund(_there(status), refund(250, ours, gateway_refund_id="re_1"), None)
    assert [(each.kind.value, each.ours, each.theirs, each.remedy.value) for each in found] == (
        [("refund_state", ours.value, status, remedy)] if remedy else []
    )


def test_another_amount_of_a_refund_is_left_to_a_person() -> None:
    [found] = finding.about_refund(
        _there("succeeded"), refund(200, RefundState.SUCCEEDED, gateway_refund_id="re_1"), None
    )
    assert (found.kind, found.ours, found.theirs, found.remedy) == (
        "refund_amount",
        "2.00 USD",
        "2.50 USD",
        "person",
    )


def test_a_second_refund_there_in_the_name_of_one_of_ours_is_unknown() -> None:
    ours = refund(250, RefundState.SUCCEEDED, gateway_refund_id="re_0")
    [found] = finding.about_refund(_there("succeeded"), ours, None)
    assert (found.kind, found.about, found.customer_id) == ("refund_unknown", "re_1", ours.customer_id)


def test_a_refund_that_is_not_there_is_left_to_a_person() -> None:
    found = finding.about_missing_refund(refund(250, RefundState.SUCCEEDED, gateway_refund_id="re_1"))
    assert (found.kind, found.about, found.ours, found.theirs) == (
        "refund_missing",
        "re_1",
        "succeeded 2.50 USD",
        "none",
    )


def test_methods_are_compared_both_ways_and_by_what_may_change() -> None:
    owner = _OURS.customer_id
    same, gone, renewed = (method(gateway_method_id=name) for name in ("pm_same", "pm_gone", "pm_renewed"))
    there = [_attached("pm_same"), _attached("pm_new"), _attached("pm_renewed", exp_year=2031)]
    found = finding.about_methods(owner, [same, gone, renewed], there)
    assert [(each.about, each.kind.value, each.remedy.value) for each in found] == [
        ("pm_gone", "method_missing", "follow_method"),
        ("pm_new", "method_unknown", "follow_method"),
        ("pm_renewed", "method_details", "follow_method"),
    ]
    assert (found[2].ours, found[2].theirs) == ("4242 12/2030", "4242 12/2031")
    bank = dataclasses.replace(same, exp_month=None, exp_year=None, last4=None)
    assert finding.about_methods(owner, [bank], [_attached("pm_same", exp_month=None, exp_year=None, last4=None)]) == []


def test_money_that_was_transferred_and_is_not_booked_is_followed() -> None:
    moved = [
        GatewayCash("ccsbtxn_2", "applied_to_payment", -2_900, "USD", "pi_1", NOON),
        GatewayCash("ccsbtxn_1", "funded", 3_000, "USD", None, NOON),
    ]
    assert finding.about_cash(CUSTOMER, "cus_1", moved, {"ccsbtxn_1", "ccsbtxn_2"}) == []
    [found] = finding.about_cash(CUSTOMER, "cus_1", moved, {"ccsbtxn_1"})
    assert (found.kind, found.about, found.theirs, found.remedy) == (
        "cash_unknown",
        "cus_1",
        "-29.00 USD",
        "follow_cash",
    )


def _attached(method_id: str, **changed: Any) -> GatewayMethod:
    made = GatewayMethod(method_id, "card", "visa", "4242", 12, 2030, "fp", "cus_1")
    return dataclasses.replace(made, **changed)


def test_a_customer_there_is_the_one_that_ours_has_and_holds_no_balance() -> None:
    owner = _OURS.customer_id
    assert finding.about_holder(GatewayHolder("cus_1", owner, 0, None), "cus_1") == []
    assert finding.about_holder(GatewayHolder("cus_1", None, 0, None), "cus_1") == []
    twice = finding.about_holder(GatewayHolder("cus_2", owner, -500, "USD"), "cus_1")
    assert [(each.kind.value, each.ours, each.theirs) for each in twice] == [
        ("customer_unknown", "cus_1", "cus_2"),
        ("customer_balance", "0", "-5.00 USD"),
    ]
    [lost] = finding.about_holder(GatewayHolder("cus_2", owner, 0, None), None)
    assert (lost.ours, lost.remedy) == ("none", "person")
    missing = finding.about_missing_customer("cus_1", owner)
    assert (missing.kind, missing.theirs) == ("customer_missing", "none")


def test_a_dispute_of_a_payment_of_ours_is_compared_with_our_row() -> None:
    owner = _OURS.customer_id
    seen = GatewayDispute("dp_1", "lost", "fraudulent", "USD", 3_451, "pi_1", NOON)
    known = dispute(status="needs_response", amount=Money(3_451, "USD"))
    assert finding.about_dispute(seen, None, None) == []
    assert finding.about_dispute(seen, dataclasses.replace(known, status="lost"), owner) == []
    [unknown] = finding.about_dispute(seen, None, owner)
    assert (unknown.kind, unknown.theirs, unknown.remedy) == ("dispute_unknown", "lost 34.51 USD", "follow_dispute")
    [moved] = finding.about_dispute(seen, known, owner)
    assert (moved.kind, moved.ours, moved.remedy) == ("dispute_status", "needs_response 34.51 USD", "follow_dispute")
    less = dataclasses.replace(known, status="lost", amount=Money(3_450, "USD"))
    [other] = finding.about_dispute(seen, less, owner)
    assert (other.kind, other.ours, other.remedy) == ("dispute_amount", "lost 34.50 USD", "person")


def test_a_copy_that_was_paid_before_its_invoice_was_asked_for_again_stays_paid() -> None:
    paid = _copy(state=GatewayInvoiceState.PAID)
    assert finding.about_past(_OURS, paid) == []
    [odd] = finding.about_past(_OURS, _copy(state=GatewayInvoiceState.VOID))
    assert (odd.kind, odd.ours, odd.theirs, odd.remedy) == ("invoice_state", "paid", "void", "person")
    # Charged back here, it is paid there.
    back = dataclasses.replace(_OURS, state=State.CHARGED_BACK, paid_at=NOON)
    assert finding.about_invoice(back, _push(), None, paid) == []


def test_money_that_a_bank_returned_is_known_there_as_a_payment() -> None:
    payment = GatewayPayment("inpay_1", "paid", "USD", 3_451, "in_1", "pi_1")
    returned = attempt(AttemptState.RETURNED, amount=Money(3_451, "USD"), gateway_payment_id="pi_1")
    assert finding.about_payment(payment, _OURS, [returned]) == []
