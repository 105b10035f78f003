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
