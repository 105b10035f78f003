"""The list of money that no invoice could take, and what staff do with it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, TypeVar
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing, reading
from api.graphql.invoices import Invoice, invoice_of
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.refund_views import Refund, refund_of
from api.graphql.scalars import MoneyInput, money_from
from api.graphql.unapplied_views import UnappliedCredit, UnappliedPayment, credit_of, unapplied_of
from domain.access.roles import Permission
from domain.db import Tx
from domain.invoices import service as invoices
from domain.kernel.ids import RefundId
from domain.payments import refund as refunds
from domain.payments.applying import service as applying
from domain.payments.refunding import store as refund_store
from domain.payments.unapplied import payment as rules
from domain.payments.unapplied import service
from domain.payments.unapplied.store import list_credits_of

T = TypeVar("T")


@guarded_type(Permission.INVOICE_WRITE, "The invoice is paid; Stripe's copy of it is closed in a moment.")
class UnappliedPaymentApplied:
    """Success of applyUnappliedPayment."""

    held: strawberry.Private[UnappliedPayment]
    invoice: Invoice = strawberry.field(description="The paid invoice.")

    @reading(Permission.PAYMENT_READ, "The unapplied payment as it now stands.")
    async def payment(self) -> UnappliedPayment:
        """Show what is left of it."""
        return self.held


@guarded_type(Permission.INVOICE_WRITE, "It is the customer's credit, and pays the next invoices.")
class UnappliedPaymentCredited:
    """Success of creditUnappliedPayment."""

    held: strawberry.Private[UnappliedPayment]
    made: strawberry.Private[UnappliedCredit]

    @reading(Permission.PAYMENT_READ, "The unapplied payment as it now stands.")
    async def payment(self) -> UnappliedPayment:
        """Show what is left of it."""
        return self.held

    @reading(Permission.PAYMENT_READ, "What became credit.")
    async def credit(self) -> UnappliedCredit:
        """Show it."""
        return self.made


@guarded_type(Permission.INVOICE_WRITE, "The refund is ordered; it is sent in a moment, and booked when it succeeded.")
class UnappliedRefundOrdered:
    """Success of refundUnappliedPayment."""

    held: strawberry.Private[UnappliedPayment]
    refund: Refund = strawberry.field(description="The refund. Where it fails, its amount is left again.")

    @reading(Permission.PAYMENT_READ, "The unapplied payment as it now stands.")
    async def payment(self) -> UnappliedPayment:
        """Show what is left of it."""
        return self.held


@strawberry.input(description="Which money, and which invoice it pays.")
class ApplyUnappliedPaymentInput:
    """Input of applyUnappliedPayment."""

    unapplied_payment_id: strawberry.ID = strawberry.field(description="`uap_…`")
    invoice_id: strawberry.ID = strawberry.field(
        description="`inv_…` of the same customer and currency, open or written off, of which no more is due than left."
    )
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which money becomes credit, and how much of it.")
class CreditUnappliedPaymentInput:
    """Input of creditUnappliedPayment."""

    unapplied_payment_id: strawberry.ID = strawberry.field(description="`uap_…`")
    amount: MoneyInput | None = strawberry.field(
        default=None, description="Above zero, at most what is left; absent means all of that."
    )
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which money goes back, how much of it, and why.")
class RefundUnappliedPaymentInput:
    """Input of refundUnappliedPayment."""

    unapplied_payment_id: strawberry.ID = strawberry.field(description="`uap_…`")
    amount: MoneyInput | None = strawberry.field(
        default=None, description="Above zero, at most what is left; absent means all of that."
    )
    reason: refunds.RefundReason = strawberry.field(description="Why.")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


ApplyUnappliedPaymentResult = Annotated[
    UnappliedPaymentApplied | AnyProblem,
    strawberry.union("ApplyUnappliedPaymentResult", description="What became of applyUnappliedPayment."),
]
CreditUnappliedPaymentResult = Annotated[
    UnappliedPaymentCredited | AnyProblem,
    strawberry.union("CreditUnappliedPaymentResult", description="What became of creditUnappliedPayment."),
]
RefundUnappliedPaymentResult = Annotated[
    UnappliedRefundOrdered | AnyProblem,
    strawberry.union("RefundUnappliedPaymentResult", description="What became of refundUnappliedPayment."),
]


@strawberry.type
class UnappliedQuery:
    """Queries of unapplied payments."""

    @reading(Permission.PAYMENT_READ, "Unapplied payments that the caller may see, newest first.")
    async def unapplied_payments(
        self,
        info: Info[Context, None],
        *,
        customer_id: Annotated[strawberry.ID | None, strawberry.argument(description="Those of one customer.")] = None,
        open_only: Annotated[bool, strawberry.argument(description="Those of which something is left.")] = False,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[UnappliedPayment]:
        """List a page."""
        context = info.context
        customer = ids.customer_id(customer_id) if customer_id is not None else None

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, UnappliedPayment]]:
            async with context.runtime.db.transaction() as tx:
                found = await service.list_payments(
                    tx, context.call, customer_id=customer, open_only=open_only, before=last, limit=limit
                )
            return [(each.id, unapplied_of(each)) for each in found]

        return await page(context, first, after, load)


async def _once_told(
    context: Context,
    mutation: str,
    held: rules.UnappliedPayment,
    given: ApplyUnappliedPaymentInput | CreditUnappliedPaymentInput | RefundUnappliedPaymentInput,
    *,
    act: Callable[[Tx], Awaitable[tuple[T, Mapping[str, str]]]],
    again: Callable[[Tx, Mapping[str, str]], Awaitable[T]],
) -> T | AnyProblem:
    """Do one of the things below once, as `once` does, and wake those up who watch the customer."""
    goes_back = isinstance(given, RefundUnappliedPaymentInput)
    wish = Wish(
        context, mutation, given.idempotency_key, held.customer_id, strawberry.asdict(given), of_erased=goes_back
    )
    result = await once(wish, act, again)
    await context.runtime.wakeups.publish([held.customer_id])
    return result


@strawberry.type
class UnappliedMutation:
    """What staff do with unapplied payments."""

    @changing(
        Permission.INVOICE_WRITE,
        "Pay an invoice with money that another one could not take. It is paid whole: where less is left than is due, "
        "it is refused (`payment_differs`); so is one whose charge was sent and has not ended (`payment_under_way`). "
        "Once per idempotency key.",
    )
    async def apply_unapplied_payment(
        self,
        info: Info[Context, None],
        input: Annotated[ApplyUnappliedPaymentInput, strawberry.argument(description="Which, and to which invoice.")],
    ) -> ApplyUnappliedPaymentResult:
        """Apply it; a job closes Stripe's copy."""
        context, runtime, invoice_id = info.context, info.context.runtime, ids.invoice_id(input.invoice_id)
        payment_id = ids.unapplied_payment_id(input.unapplied_payment_id)
        held = await applying.look_first(runtime.db, runtime.gateway, context.call, payment_id, invoice_id)

        async def act(tx: Tx) -> tuple[UnappliedPaymentApplied, Mapping[str, str]]:
            await applying.apply(tx, context.call, payment_id, invoice_id)
            return await again(tx, {}), {}

        async def again(tx: Tx, kept: Mapping[str, str]) -> UnappliedPaymentApplied:
            del kept
            paid = await invoices.find_invoice(tx, context.call, invoice_id)
            assert paid is not None, "a paid invoice is never deleted"
            stands = await service.load_payment(tx, held.customer_id, payment_id)
            return UnappliedPaymentApplied(held=unapplied_of(stands), invoice=invoice_of(paid))

        return await _once_told(context, "applyUnappliedPayment", held, input, act=act, again=again)

    @changing(
        Permission.INVOICE_WRITE,
        "Make money that no invoice could take, or a part of it, its customer's credit: that pays the next invoices of "
        "its currency by itself, as the credit of a credit note does, and does not expire. More than is left is "
        "refused (`unapplied_payment_spent`). Once per idempotency key.",
    )
    async def credit_unapplied_payment(
        self,
        info: Info[Context, None],
        input: Annotated[CreditUnappliedPaymentInput, strawberry.argument(description="Which, and how much.")],
    ) -> CreditUnappliedPaymentResult:
        """Credit it."""
        context, payment_id = info.context, ids.unapplied_payment_id(input.unapplied_payment_id)
        amount = money_from(input.amount) if input.amount is not None else None
        async with context.runtime.db.transaction() as tx:
            held = await applying.find_payment(tx, context.call, payment_id)

        async def act(tx: Tx) -> tuple[UnappliedPaymentCredited, Mapping[str, str]]:
            made = await applying.credit(tx, context.call, payment_id, amount=amount)
            kept = {"credit": str(made.id)}
            return await again(tx, kept), kept

        async def again(tx: Tx, kept: Mapping[str, str]) -> UnappliedPaymentCredited:
            key, wanted = (held.customer_id, payment_id), ids.uuid_of(kept["credit"])
            [made] = [each for each in (await list_credits_of(tx, [key]))[key] if each.id == wanted]
            stands = await service.load_payment(tx, held.customer_id, payment_id)
            return UnappliedPaymentCredited(held=unapplied_of(stands), made=credit_of(made))

        return await _once_told(context, "creditUnappliedPayment", held, input, act=act, again=again)

    @changing(
        Permission.INVOICE_WRITE,
        "Send money that no invoice could take back to where it came from, or a part of it. More than is left is "
        "refused (`unapplied_payment_spent`); so is what did not come through Stripe (`refund_unsupported`). Once per "
        "idempotency key.",
    )
    async def refund_unapplied_payment(
        self,
        info: Info[Context, None],
        input: Annotated[RefundUnappliedPaymentInput, strawberry.argument(description="Which, how much, and why.")],
    ) -> RefundUnappliedPaymentResult:
        """Order it; a job sends it."""
        context, payment_id = info.context, ids.unapplied_payment_id(input.unapplied_payment_id)
        amount = money_from(input.amount) if input.amount is not None else None
        async with context.runtime.db.transaction() as tx:
            held = await applying.find_payment(tx, context.call, payment_id)

        async def act(tx: Tx) -> tuple[UnappliedRefundOrdered, Mapping[str, str]]:
            ordered = await applying.refund(tx, context.call, payment_id, amount=amount, reason=input.reason)
            kept = {"refund": str(ordered.id)}
            return await again(tx, kept), kept

        async def again(tx: Tx, kept: Mapping[str, str]) -> UnappliedRefundOrdered:
            [ordered] = await refund_store.list_refunds(tx, held.customer_id, [RefundId(ids.uuid_of(kept["refund"]))])
            stands = await service.load_payment(tx, held.customer_id, payment_id)
            return UnappliedRefundOrdered(held=unapplied_of(stands), refund=refund_of(ordered))

        return await _once_told(context, "refundUnappliedPayment", held, input, act=act, again=again)
