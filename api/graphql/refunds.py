"""Staff pay back what a credit note owes."""

from collections.abc import Mapping, Sequence
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

# Between the ids that are kept for an idempotency key.
_SEPARATOR = ","


@guarded_type(Permission.INVOICE_WRITE, "The refund is ordered; it is sent in a moment, and booked when it succeeded.")
class RefundOrdered:
    """Success of refundCreditNote."""

    refund: Refund = strawberry.field(
        description="The refund; the largest of them where several payments have to give it."
    )
    refunds: list[Refund] = strawberry.field(
        description="All that were ordered, at most 10: one for each payment that gives a part. Each is sent and fails "
        "by itself; what failed is owed again."
    )


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


def _told(ordered: Sequence[refunds.Refund]) -> RefundOrdered:
    """Wrap what was ordered, the largest first."""
    shown = [refund_of(each) for each in sorted(ordered, key=lambda each: (-each.amount.minor, each.id))]
    return RefundOrdered(refund=shown[0], refunds=shown)


@strawberry.type
class RefundMutation:
    """Refunds."""

    @changing(
        Permission.INVOICE_WRITE,
        "Pay back what a credit note owes, or a part of it, by the payments that had come through Stripe: those with "
        "most left first, as few as can be. More than is left is refused (`refund_too_large`); so is what such "
        "payments do not cover (`refund_unsupported`). Once per idempotency key.",
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
            return _told(ordered), {"refund": _SEPARATOR.join(str(each.id) for each in ordered)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> RefundOrdered:
            wanted = [RefundId(ids.uuid_of(each)) for each in kept["refund"].split(_SEPARATOR)]
            found = await store.list_refunds(tx, note.customer_id, wanted)
            assert len(found) == len(wanted), "refunds are never deleted"
            return _told(found)

        given = strawberry.asdict(input)
        wish = Wish(context, "refundCreditNote", input.idempotency_key, note.customer_id, given, of_erased=True)
        result = await once(wish, act, again)
        await context.runtime.wakeups.publish([note.customer_id])
        return result
