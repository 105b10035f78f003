"""Values for the pure tests of collection."""

import dataclasses
from datetime import datetime
from typing import Any

from domain.invoices.invoice import Invoice, InvoiceKind, State
from domain.kernel.call import Environment
from domain.kernel.ids import AttemptId, CustomerId, DisputeId, InvoiceId, MethodId
from domain.kernel.money import Money
from domain.payments.attempt import ENDED, Attempt, AttemptState, Trigger
from domain.payments.declines import Decline, DeclineClass
from domain.payments.dispute import Dispute, Stance
from domain.payments.method import PaymentMethod
from domain.payments.port import GatewayInvoice, GatewayInvoiceState
from domain.payments.push import Push, PushState
from tests import make

CUSTOMER = CustomerId(make.new_id())
INVOICE = InvoiceId(make.new_id())
NOON = make.at("2026-01-15T12:00")


def invoice(**more: Any) -> Invoice:
    """Make an open invoice: 29.00 net and 5.51 tax (19 %) are 34.51."""
    made = Invoice(
        customer_id=CUSTOMER,
        id=INVOICE,
        environment=Environment.TEST,
        currency="USD",
        kind=InvoiceKind.INVOICE,
        state=State.OPEN,
        number="TEST-2026-000001",
        created_at=NOON,
        grace_ends_at=NOON,
        issued_at=NOON,
        due_at=NOON,
        paid_at=None,
        subtotal=Money(2_900, "USD"),
        discount=Money(0, "USD"),
        tax=Money(551, "USD"),
        version=1,
    )
    return dataclasses.replace(made, **more)


def method(created_at: datetime = NOON, *, is_default: bool = False, **more: Any) -> PaymentMethod:
    """Make a card."""
    made = PaymentMethod(
        CUSTOMER, MethodId(make.new_id()), "pm_1", "card", "visa", "4242", 12, 2030, "f", is_default, created_at, None
    )
    return dataclasses.replace(made, **more)


def attempt(state: AttemptState, method_id: MethodId | None = None, **more: Any) -> Attempt:
    """Make an attempt that was sent at noon."""
    failed = Decline(DeclineClass.SOFT, "card_declined")
    made = Attempt(
        customer_id=CUSTOMER,
        id=AttemptId(make.new_id()),
        invoice_id=INVOICE,
        number=1,
        method_id=method_id,
        amount=Money(2900, "USD"),
        key="test:pay:inv:1",
        state=state,
        decline=failed if state is AttemptState.FAILED else None,
        gateway_payment_id=None,
        created_at=NOON,
        sent_at=NOON,
        settled_at=NOON if state in ENDED else None,
        trigger=Trigger.BILLING,
        began_at=NOON,
        ended_at=NOON if state in ENDED else None,
    )
    return dataclasses.replace(made, **more)


def push(state: PushState, number: int = 1) -> Push:
    """Make the record of a copy that was begun at noon."""
    return Push(CUSTOMER, INVOICE, number, state, "in_1" if state is PushState.PUSHED else None, NOON)


def seen(**more: Any) -> GatewayInvoice:
    """Make a paid copy over 29.00 USD as the gateway shows it."""
    made = GatewayInvoice(
        id="in_1",
        state=GatewayInvoiceState.PAID,
        currency="USD",
        total_minor=2_900,
        tax_minor=0,
        remaining_minor=0,
        outcome=None,
        gateway_customer_id="cus_1",
        customer_id=CUSTOMER,
        invoice_id=INVOICE,
    )
    return dataclasses.replace(made, **more)


def dispute(stance: Stance = Stance.INQUIRY, **more: Any) -> Dispute:
    """Make a dispute of 29.00, of which nothing is booked."""
    made = Dispute(
        customer_id=CUSTOMER,
        id=DisputeId(make.new_id()),
        invoice_id=INVOICE,
        attempt_id=AttemptId(make.new_id()),
        environment=Environment.TEST,
        gateway_dispute_id="dp_1",
        gateway_payment_id="pi_1",
        amount=Money(2_900, "USD"),
        reason="fraudulent",
        status="",
        stance=stance,
        disputed_at=NOON,
        evidence_due_at=None,
        created_at=NOON,
        opened_at=NOON,
    )
    return dataclasses.replace(made, **more)
