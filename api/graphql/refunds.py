"""Staff pay back what a credit note owes."""

from collections.abc import Mapping
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.refund_views import Refund, refund_of
from api.graphql.scalars import MoneyInput, money_from
from domain.access.roles import Permission
from domain.db import Tx
from domain.kernel.ids import RefundId
from domain.payments import refund as refunds
from domain.payments.refunding import service, store


@guarded_type(Permission.INVOICE_WRITE, "The refund is ordered; it is sent in a moment, and booked when it succeeded.")
class RefundOrdered:
    """Success of refundCreditNote."""

    refund: Refund = strawberry.field(description="The refund.")


@strawberry.input(description="What to pay back, and why.")
class RefundCreditNoteInput:
    """Input of refundCreditNote."""

    credit_note_id: strawberry.ID = strawberry.field(description="`cn_…` of kind REFUND.")
    amount: MoneyInput | None = strawberry.field(
        default=None, description="Above zero, at most what is left of the note's `refund`; absent means all of that."
    )
    reason: refunds.RefundReason = strawberry.field(description="Why.")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


RefundCreditNoteResult = Annotated[
    RefundOrdered | AnyProblem,
    strawberry.union("RefundCreditNoteResult", description="What became of refundCreditNote."),
]


@strawberry.type
class RefundMutation:
    """Refunds."""

    @changing(
        Permission.INVOICE_WRITE,
        "Pay back what a credit note owes, or a part of it, by the payment that had come through Stripe. More than is "
        "left is refused (`refund_too_large`); so is what no such payment covers (`refund_unsupported`). Once per "
        "idempotency key.",
    )
    async def refund_credit_note(
        self,
        info: Info[Context, None],
        input: Annotated[RefundCreditNoteInput, strawberry.argument(description="Of which note, how much, and why.")],
    ) -> RefundCreditNoteResult:
        """Order it; a job sends it."""
        context, note_id = info.context, ids.credit_note_id(input.credit_note_id)
        async with context.runtime.db.transaction() as tx:
            note = await service.find_note(tx, context.call, note_id)
        amount = money_from(input.amount) if input.amount is not None else None

        async def act(tx: Tx) -> tuple[RefundOrdered, Mapping[str, str]]:
            ordered = await service.order(tx, context.call, note_id, amount=amount, reason=input.reason)
            return RefundOrdered(refund=refund_of(ordered)), {"refund": str(ordered.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> RefundOrdered:
            found = await store.find_refund(tx, note.customer_id, RefundId(ids.uuid_of(kept["refund"])))
            assert found is not None, "refunds are never deleted"
            return RefundOrdered(refund=refund_of(found))

        wish = Wish(context, "refundCreditNote", input.idempotency_key, note.customer_id, strawberry.asdict(input))
        result = await once(wish, act, again)
        await context.runtime.wakeups.publish([note.customer_id])
        return result
