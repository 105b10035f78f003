"""Previews: what a change, the next invoice or a new subscription would bill. Nothing is written."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.credit_notes import CreditNoteLine, note_line_of
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Json, Money, exact, money_of
from api.graphql.subscriptions import Period
from api.graphql.usage import Limit, limit_of
from domain.access.roles import Permission
from domain.contracts.changing.wish import Wish
from domain.contracts.ending.wish import CancelCredit, Ending
from domain.contracts.previewing import service
from domain.contracts.previewing.service import NotePreview, Preview
from domain.contracts.starting.wish import Wish as StartWish
from domain.db import Tx
from domain.invoices import invoice as invoices
from domain.kernel import money
from domain.kernel.ids import SubscriptionId
from domain.limits.status import LimitStatus
from domain.payments.methods import service as methods
from domain.subscriptions import change as changes
from domain.subscriptions import schedule
from domain.subscriptions import service as subscriptions


@guarded_type(Permission.INVOICE_READ, "One amount that would be on an invoice, and how it comes about.")
class PreviewLine:
    """A line that is not written."""

    kind: invoices.LineKind = strawberry.field(description="What it charges.")
    description: str = strawberry.field(description="For people.")
    period: Period = strawberry.field(description="The time that it charges.")
    quantity: Decimal = strawberry.field(description="In `unit`, exact; negative where a fee is taken back.")
    unit: str = strawberry.field(
        description="What the quantity counts; of a fee the interval whose price is due so often, as for each seat."
    )
    amount: Money = strawberry.field(description="Before discounts and tax, rounded once.")
    discount: Money = strawberry.field(description="What coupons take off.")
    tax: Money = strawberry.field(description="This line's part of the tax.")
    derivation: Json = strawberry.field(description="How the amount comes about.")


@guarded_type(Permission.INVOICE_READ, "An invoice as it would be. It has no number and is not kept.")
class InvoicePreview:
    """An invoice that is not written."""

    at: datetime = strawberry.field(description="The business time that it is derived for.")
    currency: str = strawberry.field(description="ISO 4217.")
    lines: list[PreviewLine] = strawberry.field(description="In the order in which they would be printed.")
    subtotal: Money = strawberry.field(description="Sum of the lines' amounts, before discounts and tax.")
    discount: Money = strawberry.field(description="What coupons take off the lines.")
    tax: Money = strawberry.field(description="Sum of the taxes.")
    total: Money = strawberry.field(
        description="What it comes to, before customer credit is used; below zero it becomes customer credit."
    )


@guarded_type(Permission.INVOICE_READ, "A credit note as it would lower an unpaid invoice. It has no number.")
class CreditNotePreview:
    """A credit note that is not written."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…` of the unpaid invoice.")
    lines: list[CreditNoteLine] = strawberry.field(description="What it would give back, line by line.")
    total: Money = strawberry.field(description="What it would give back in all, tax included.")
    offset: Money = strawberry.field(description="What of it would lower what is due on the invoice.")
    credited: Money = strawberry.field(description="What of it balances had paid: it would become customer credit.")


@guarded_type(Permission.INVOICE_READ, "What a change would do.")
class ChangePreview:
    """A change that is not made."""

    proration_date: datetime = strawberry.field(
        description="From where on the new fee is charged. Give it to changeSubscription within 15 minutes, and the "
        "change is charged as shown here."
    )
    at: changes.ChangeAt = strawberry.field(description="When it would take effect.")
    direction: changes.Direction = strawberry.field(description="Which way it goes.")
    invoice: InvoicePreview | None = strawberry.field(
        description="The invoice of its net now, or of the renewal at the period's end; null where nothing is due."
    )
    credit_notes: list[CreditNotePreview] = strawberry.field(
        description="By which unpaid invoices would be lowered: what is unused of a fee that was never paid."
    )
    above: strawberry.Private[Sequence[LimitStatus]]

    @reading(
        Permission.USAGE_READ,
        "Limits of the plan that are passed already: at the period's end the change is made only if none is then.",
    )
    async def violations(self) -> list[Limit]:
        """Show them to whoever may read usage as well."""
        return [limit_of(each) for each in self.above]


@strawberry.input(description="What would be different; what is left out stays as it is.")
class PreviewChangeInput:
    """Input of previewChange."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    plan: str | None = strawberry.field(description="Key of a plan of the same product.", default=None)
    interval: schedule.Interval | None = strawberry.field(description="How often the fee would be due.", default=None)
    quantity: int | None = strawberry.field(description="Units of the fee, 1 to 1,000,000.", default=None)
    at: changes.ChangeAt | None = strawberry.field(
        description="When. Unless told, an upgrade now and a downgrade at the end of what is paid.", default=None
    )
    proration_date: datetime | None = strawberry.field(
        description="The date of an earlier preview, at most 15 minutes old.", default=None
    )
    newest_version: bool = strawberry.field(
        description="The newest version of the plan, also of the present one, which keeps its own otherwise.",
        default=False,
    )


def preview_of(value: Preview) -> InvoicePreview | None:
    """Wrap an invoice that is not written."""
    if value.invoice is None:
        return None
    invoice = value.invoice
    return InvoicePreview(
        at=value.at,
        currency=invoice.currency,
        lines=[_line(line) for line in value.lines],
        subtotal=money_of(invoice.subtotal),
        discount=money_of(invoice.discount),
        tax=money_of(invoice.tax),
        total=money_of(invoice.total),
    )


def _note(value: NotePreview) -> CreditNotePreview:
    note = value.note
    return CreditNotePreview(
        invoice_id=ids.id_of("invoice", note.invoice_id),
        lines=[note_line_of(line) for line in value.lines],
        total=money_of(note.total),
        offset=money_of(money.Money(note.offset_minor, note.currency)),
        credited=money_of(money.Money(note.credit_minor, note.currency)),
    )


def _line(value: invoices.Line) -> PreviewLine:
    return PreviewLine(
        kind=value.identity.kind,
        description=value.description,
        period=Period(start=value.period.start, end=value.period.end),
        quantity=exact(value.quantity),
        unit=value.unit,
        amount=money_of(value.amount),
        discount=money_of(value.discount),
        tax=money_of(value.tax),
        derivation=Json(value.derivation),
    )


async def _pays_at_once(tx: Tx, context: Context, wanted: SubscriptionId) -> bool:
    """Whether an upgrade would wait for its payment: then it lowers no unpaid invoice until it is paid."""
    found = await subscriptions.find_subscription(
        tx, wanted, scope=context.call.scope, environment=context.call.principal.environment
    )
    return found is not None and await methods.answers_at_once(tx, found.customer_id)


@strawberry.type
class PreviewQuery:
    """Previews."""

    @reading(
        Permission.INVOICE_READ,
        "What changeSubscription would do: the same lines, for the same `prorationDate`. Refused as that would be.",
    )
    async def preview_change(
        self,
        info: Info[Context, None],
        input: Annotated[PreviewChangeInput, strawberry.argument(description="Which one, and what would change.")],
    ) -> ChangePreview:
        """Preview a change."""
        context, wanted = info.context, ids.subscription_id(input.subscription_id)
        async with context.runtime.db.transaction() as tx:
            pays = await _pays_at_once(tx, context, wanted)
            wish = Wish(
                input.plan, input.interval, input.quantity, input.at, input.proration_date, pays, input.newest_version
            )
            found = await service.preview_change(tx, context.call, subscription_id=wanted, wish=wish)
        return ChangePreview(
            proration_date=found.decision.charged_from,
            at=found.decision.at,
            direction=found.decision.direction,
            invoice=preview_of(found.preview),
            credit_notes=[_note(each) for each in found.notes],
            above=found.decision.violations,
        )

    @reading(
        Permission.INVOICE_READ,
        "The last invoice if the subscription were cancelled like that; the next one where the end lies beyond it. "
        "Null where nothing would be due. Refused as cancelSubscription would be.",
    )
    async def preview_cancel(
        self,
        info: Info[Context, None],
        *,
        subscription_id: Annotated[strawberry.ID, strawberry.argument(description="`sub_…`")],
        at_period_end: Annotated[bool, strawberry.argument(description="As in cancelSubscription.")] = True,
        cancel_at: Annotated[datetime | None, strawberry.argument(description="As in cancelSubscription.")] = None,
        credit: Annotated[CancelCredit | None, strawberry.argument(description="As in cancelSubscription.")] = None,
    ) -> InvoicePreview | None:
        """Preview an end."""
        wanted, wish = ids.subscription_id(subscription_id), Ending(at_period_end, cancel_at, credit=credit)
        async with info.context.runtime.db.transaction() as tx:
            found = await service.preview_cancel(tx, info.context.call, subscription_id=wanted, wish=wish)
        return preview_of(found)

    @reading(
        Permission.INVOICE_READ,
        "The next invoice of a subscription as it stands now: what falls due at its next boundary, with the usage "
        "counted so far. Null where nothing would be due.",
    )
    async def preview_invoice(
        self,
        info: Info[Context, None],
        subscription_id: Annotated[strawberry.ID, strawberry.argument(description="`sub_…`")],
    ) -> InvoicePreview | None:
        """Preview the next invoice."""
        wanted = ids.subscription_id(subscription_id)
        async with info.context.runtime.db.transaction() as tx:
            found = await service.preview_invoice(tx, info.context.call, subscription_id=wanted)
        return preview_of(found)

    @reading(
        Permission.INVOICE_READ,
        "What subscribe would invoice at once, or scheduleSubscription at its instant. Null where that is nothing, as "
        "for a trial. Refused as that would be.",
    )
    async def preview_subscribe(
        self,
        info: Info[Context, None],
        *,
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
        product: Annotated[str, strawberry.argument(description="The product's key.")],
        plan: Annotated[str, strawberry.argument(description="The plan's key.")],
        interval: Annotated[schedule.Interval, strawberry.argument(description="How often the fee is due.")],
        currency: Annotated[str, strawberry.argument(description="ISO 4217.")] = "USD",
        bill_day: Annotated[int | None, strawberry.argument(description="As in subscribe.")] = None,
        calendar: Annotated[bool, strawberry.argument(description="As in subscribe.")] = False,
        trial_days: Annotated[int | None, strawberry.argument(description="As in subscribe.")] = None,
        starts_at: Annotated[datetime | None, strawberry.argument(description="As in subscribe.")] = None,
        promotion_code: Annotated[
            str | None, strawberry.argument(description="As in subscribe, by whoever may redeem it.")
        ] = None,
        quantity: Annotated[int, strawberry.argument(description="As in subscribe.")] = 1,
    ) -> InvoicePreview | None:
        """Preview a start."""
        context = info.context
        async with context.runtime.db.transaction() as tx:
            found = await service.preview_subscribe(
                tx,
                context.call,
                customer_id=ids.customer_id(customer_id),
                product_key=product,
                plan_key=plan,
                interval=interval,
                currency=currency,
                wish=StartWish(trial_days, starts_at, bill_day, calendar, promotion_code, quantity),
            )
        return preview_of(found)
