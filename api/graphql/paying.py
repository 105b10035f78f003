"""Pay an open invoice now."""

from collections.abc import Mapping
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.invoices import PaymentAttempt, attempt_of
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.db import Tx
from domain.dunning.paying import service
from domain.invoices import service as invoices
from domain.invoices.invoice import InvoiceNotFound
from domain.kernel.ids import AttemptId
from domain.payments import store


@guarded_type(Permission.PAYMENT_WRITE, "The payment is ordered, or one was under way already.")
class PaymentOrdered:
    """Success of payInvoice."""

    attempt: PaymentAttempt = strawberry.field(
        description="The attempt. It is charged in a moment: ask for the invoice, or watch invoiceChanged."
    )


PayInvoiceResult = Annotated[
    PaymentOrdered | AnyProblem, strawberry.union("PayInvoiceResult", description="What became of payInvoice.")
]


@strawberry.input(description="Which open invoice to pay, and by which method.")
class PayInvoiceInput:
    """Input of payInvoice."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`")
    method_id: strawberry.ID | None = strawberry.field(
        description="`pm_…` of Tollgate; the default method where it is left out.", default=None
    )
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.type
class PayingMutation:
    """Payments that a person orders."""

    @changing(
        Permission.PAYMENT_WRITE,
        "Pay an open invoice now, within what card networks allow; it uses no retry of dunning. While a payment is "
        "under way that one is returned. Once per idempotency key.",
    )
    async def pay_invoice(
        self,
        info: Info[Context, None],
        input: Annotated[PayInvoiceInput, strawberry.argument(description="Which, and by what.")],
    ) -> PayInvoiceResult:
        """Order the attempt."""
        context, invoice_id = info.context, ids.invoice_id(input.invoice_id)
        method_id = ids.method_id(input.method_id) if input.method_id is not None else None
        async with context.runtime.db.transaction() as tx:
            wanted = await invoices.find_invoice(tx, context.call, invoice_id)
        if wanted is None:
            raise InvoiceNotFound

        async def act(tx: Tx) -> tuple[PaymentOrdered, Mapping[str, str]]:
            ordered = await service.pay_now(tx, context.call, invoice_id=invoice_id, method_id=method_id)
            return PaymentOrdered(attempt=attempt_of(ordered)), {"attempt": str(ordered.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> PaymentOrdered:
            found = await store.find_attempt(tx, wanted.customer_id, AttemptId(ids.uuid_of(kept["attempt"])))
            assert found is not None, "attempts are never deleted"
            return PaymentOrdered(attempt=attempt_of(found))

        wish = Wish(context, "payInvoice", input.idempotency_key, wanted.customer_id, strawberry.asdict(input))
        done = await once(wish, act, again)
        await context.runtime.wakeups.publish([wanted.customer_id])
        return done
