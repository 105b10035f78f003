"""Staff record money that came another way than through Stripe."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.invoices import Invoice, invoice_of
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.scalars import MoneyInput, money_from
from domain.access.roles import Permission
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices.invoice import InvoiceNotFound
from domain.kernel.ids import InvoiceId
from domain.payments.receiving import receipt, service
from domain.payments.reversing import service as reversing


@guarded_type(Permission.INVOICE_WRITE, "The invoice is paid; Stripe's copy of it is closed in a moment.")
class PaymentRecorded:
    """Success of recordPayment."""

    invoice: Invoice = strawberry.field(description="The paid invoice; `receivedPayments` has what was recorded.")


@strawberry.input(description="What came, how, and for which invoice.")
class RecordPaymentInput:
    """Input of recordPayment."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`, open or written off.")
    amount: MoneyInput = strawberry.field(description="What came: exactly what is due, or was when it was written off.")
    method: receipt.ReceiptMethod = strawberry.field(description="How it came.")
    reference: str = strawberry.field(
        description=f"What names it at the bank or on the cheque, 1 to {receipt.REFERENCE_LENGTH_MAX} characters."
    )
    received_at: datetime = strawberry.field(description="When it came, in business time; not in the future.")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


RecordPaymentResult = Annotated[
    PaymentRecorded | AnyProblem, strawberry.union("RecordPaymentResult", description="What became of recordPayment.")
]


@guarded_type(Permission.INVOICE_WRITE, "The payment does not count any more, and its invoice is open again.")
class RecordedPaymentReversed:
    """Success of reverseRecordedPayment."""

    invoice: Invoice = strawberry.field(description="As it now stands; `receivedPayments` says what was taken back.")


@strawberry.input(description="Which recorded payment is taken back, and why.")
class ReverseRecordedPaymentInput:
    """Input of reverseRecordedPayment."""

    attempt_id: strawberry.ID = strawberry.field(description="`att_…` of one of the invoice's `receivedPayments`.")
    reason: receipt.ReversalReason = strawberry.field(description="Why.")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


ReverseRecordedPaymentResult = Annotated[
    RecordedPaymentReversed | AnyProblem,
    strawberry.union("ReverseRecordedPaymentResult", description="What became of reverseRecordedPayment."),
]


@strawberry.type
class ReceivingMutation:
    """Payments that came another way."""

    @changing(
        Permission.INVOICE_WRITE,
        "Record that an invoice was paid another way than through Stripe. It is paid whole: another amount is refused "
        "(`payment_differs`), so is one whose charge was sent and has not ended (`payment_under_way`); a payment that "
        "waits for its customer gives way. Once per idempotency key.",
    )
    async def record_payment(
        self,
        info: Info[Context, None],
        input: Annotated[RecordPaymentInput, strawberry.argument(description="What came, and for what.")],
    ) -> RecordPaymentResult:
        """Record it; a job closes Stripe's copy."""
        context, runtime, invoice_id = info.context, info.context.runtime, ids.invoice_id(input.invoice_id)
        amount = money_from(input.amount)
        invoice = await service.look_first(runtime.db, runtime.gateway, context.call, invoice_id)

        async def act(tx: Tx) -> tuple[PaymentRecorded, Mapping[str, str]]:
            await service.record_payment(
                tx,
                context.call,
                invoice_id=invoice_id,
                amount=amount,
                method=input.method,
                reference=input.reference,
                received_at=input.received_at,
            )
            kept = {"invoice": str(invoice_id)}
            return await again(tx, kept), kept

        async def again(tx: Tx, kept: Mapping[str, str]) -> PaymentRecorded:
            found = await invoices.find_invoice(tx, context.call, InvoiceId(ids.uuid_of(kept["invoice"])))
            if found is None:
                raise InvoiceNotFound
            return PaymentRecorded(invoice=invoice_of(found))

        wish = Wish(context, "recordPayment", input.idempotency_key, invoice.customer_id, strawberry.asdict(input))
        result = await once(wish, act, again)
        await runtime.wakeups.publish([invoice.customer_id])
        return result

    @changing(
        Permission.INVOICE_WRITE,
        "Take back a payment that was recorded: the cheque bounced, or it was a mistake. The invoice is open again; "
        "where it is due by now, it is dunned from now on. Stripe's copy stays paid, so another one is made. Refused "
        "where it was taken back before (`payment_already_reversed`), a credit note has given back a part of it "
        "(`payment_given_back`), or the invoice is not paid (`invoice_state_refused`). Once per idempotency key.",
    )
    async def reverse_recorded_payment(
        self,
        info: Info[Context, None],
        input: Annotated[ReverseRecordedPaymentInput, strawberry.argument(description="Which, and why.")],
    ) -> ReverseRecordedPaymentResult:
        """Take it back; jobs follow the invoice up."""
        context, runtime, attempt_id = info.context, info.context.runtime, ids.attempt_id(input.attempt_id)
        known = await reversing.look_first(runtime.db, runtime.gateway, context.call, attempt_id)

        async def act(tx: Tx) -> tuple[RecordedPaymentReversed, Mapping[str, str]]:
            done = await reversing.reverse(tx, context.call, attempt_id, reason=input.reason)
            return RecordedPaymentReversed(invoice=invoice_of(done.invoice)), {}

        async def again(tx: Tx, kept: Mapping[str, str]) -> RecordedPaymentReversed:
            del kept
            found = await invoices.find_invoice(tx, context.call, known.invoice_id)
            assert found is not None, "an opened invoice is never deleted"
            return RecordedPaymentReversed(invoice=invoice_of(found))

        wish = Wish(
            context, "reverseRecordedPayment", input.idempotency_key, known.customer_id, strawberry.asdict(input)
        )
        result = await once(wish, act, again)
        await runtime.wakeups.publish([known.customer_id])
        return result
