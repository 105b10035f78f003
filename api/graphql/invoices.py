"""Invoices and the lines that explain them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.bill_diff import BillDiff, diff_of
from api.graphql.context import Context
from api.graphql.credit_notes import CreditNote, note_of
from api.graphql.dispute_views import Dispute, dispute_of
from api.graphql.download import InvoiceDocument, document_of
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.loaders import PageOf
from api.graphql.paging import Connection, page
from api.graphql.permissions import guarded_type
from api.graphql.receipt_views import ReceivedPayment, received_of
from api.graphql.refund_views import Refund, refund_of
from api.graphql.scalars import Json, Money, exact, money_of
from api.graphql.subscriptions import Period
from api.graphql.taxes import InvoiceTax, taxes_of
from domain.access.roles import Permission
from domain.customers.customer import CollectionMethod
from domain.invoices import invoice as invoices
from domain.invoices import service
from domain.invoices.billdiff.diff import compare
from domain.invoices.reversal import charged_back
from domain.kernel.ids import CustomerId, InvoiceId
from domain.kernel.money import Money as Amount
from domain.payments import attempt as attempts
from domain.payments.declines import Decline, advice

name_enum(
    invoices.State,
    "InvoiceState",
    "Where an invoice stands.",
    DRAFT="It still grows.",
    OPEN="It is issued and owed.",
    PAID="It is paid in full. Only a bank can take that back.",
    VOID="It was taken back, for ever.",
    UNCOLLECTIBLE="It is owed, and written off.",
    CHARGED_BACK="It was paid, and all or a part of that is lost in a dispute; it is not asked for.",
)
name_enum(
    invoices.VoidReason,
    "VoidReason",
    "Why an invoice was taken back.",
    MISTAKE="It was issued by mistake.",
    DUPLICATE="It was issued twice.",
    FRAUDULENT="The customer never ordered it.",
    ORDER_CHANGE="The customer ordered something else.",
    LAPSED="The change or the subscription that it was for lapsed, as it was not paid in time.",
    OTHER="Another reason.",
)
name_enum(
    invoices.InvoiceKind,
    "InvoiceKind",
    "What a list of lines is.",
    INVOICE="It is owed, and has a number once it is issued.",
    STATEMENT="Its lines are all zero: nothing is owed, and it has no number.",
)
name_enum(
    invoices.LineKind,
    "LineKind",
    "What a line charges.",
    FEE="A fee period, in advance.",
    PRORATION="What a change inside a fee period takes back of the old fee, or adds for the new one.",
    USAGE="Usage, in arrears.",
    CAP="It takes off what lies above a monthly cost cap.",
    ONE_OFF="A one-off charge.",
    TOP_UP="Prepaid credit that is bought into a wallet.",
)
name_enum(
    attempts.AttemptState,
    "PaymentAttemptState",
    "Where a payment attempt stands.",
    PLANNED="It is written down and not sent yet.",
    SENT="It is sent; there is no answer yet.",
    PROCESSING="The bank works on it.",
    ACTION_REQUIRED="The customer has to confirm it at the bank.",
    UNKNOWN="The answer was lost; it is found out.",
    SUCCEEDED="The money came.",
    FAILED="It was declined.",
    SUPERSEDED="Another payment method has taken over.",
    RETURNED="The money had come, and the bank took it back.",
)


@guarded_type(Permission.INVOICE_READ, "What one coupon takes off one line.")
class LineDiscount:
    """A discount."""

    coupon: str = strawberry.field(description="The coupon's key.")
    name: str = strawberry.field(description="For people.")
    amount: Money = strawberry.field(
        description="It has the sign of the line's amount: negative where it goes back with a credit."
    )


@guarded_type(Permission.INVOICE_READ, "One amount on an invoice, and how it came about.")
class InvoiceLine:
    """A line."""

    id: strawberry.ID = strawberry.field(description="`line_…`")
    subscription_id: strawberry.ID | None = strawberry.field(
        description="`sub_…`; null for a top-up, and where a one-off charge is of none."
    )
    kind: invoices.LineKind = strawberry.field(description="What it charges.")
    description: str = strawberry.field(description="For people.")
    period: Period = strawberry.field(description="The time that it charges.")
    quantity: Decimal = strawberry.field(description="In `unit`, exact.")
    unit: str = strawberry.field(
        description="What the quantity counts; of a fee the interval whose price is due so often, as for each seat."
    )
    amount: Money = strawberry.field(description="Before discounts and tax, rounded once.")
    discount: Money = strawberry.field(description="What coupons take off; it never passes the amount.")
    discounts: list[LineDiscount] = strawberry.field(description="Each coupon's part of it, in the order taken.")
    net: Money = strawberry.field(description="The amount less the discount, without any tax.")
    tax: Money = strawberry.field(description="This line's part of the invoice's tax.")
    tax_inclusive: bool = strawberry.field(description="Whether the amount contains the tax.")
    revision: int = strawberry.field(description="0 is the first; each later difference takes the next.")
    derivation: Json = strawberry.field(
        description="How the amount came about: price, quantities, tiers or rates, exact amount, events counted."
    )


@guarded_type(Permission.PAYMENT_READ, "One try to collect an invoice.")
class PaymentAttempt:
    """A payment attempt."""

    id: strawberry.ID = strawberry.field(description="`att_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`, which it was to pay.")
    gateway_payment_id: str | None = strawberry.field(
        description="`pi_…` of Stripe; null before it was sent, and for money that Stripe had no part in."
    )
    number: int = strawberry.field(description="1, 2, 3 … for its invoice.")
    state: attempts.AttemptState = strawberry.field(description="Where it stands.")
    amount: Money = strawberry.field(description="What was to be collected, tax included.")
    method_id: strawberry.ID | None = strawberry.field(
        description="`pm_…` of Tollgate; null for money that came without a try of ours, such as a transfer."
    )
    advice: str | None = strawberry.field(description="What the customer can do, where it was declined.")
    created_at: datetime = strawberry.field(description="When it was planned, in real time.")
    settled_at: datetime | None = strawberry.field(description="When it came to its end, in real time.")
    began_at: datetime = strawberry.field(description="When it was planned, in business time.")
    ended_at: datetime | None = strawberry.field(description="When it came to its end, in business time.")
    declined: strawberry.Private[Decline | None]

    @reading(
        Permission.DUNNING_WRITE,
        "The bank's or the gateway's word for why it was declined, such as insufficient_funds; for staff, because some "
        "are not to be told to whoever holds the card, such as stolen_card. Null where it was not.",
    )
    async def decline_code(self) -> str | None:
        """Name the most exact code there is."""
        return (self.declined.decline_code or self.declined.code) if self.declined else None


@guarded_type(Permission.INVOICE_READ, "What one customer owes in one currency. Once opened only its state changes.")
class Invoice:
    """An invoice."""

    key: strawberry.Private[InvoiceId]
    value: strawberry.Private[invoices.Invoice]
    customer_key: strawberry.Private[CustomerId]
    id: strawberry.ID = strawberry.field(description="`inv_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    kind: invoices.InvoiceKind = strawberry.field(description="Invoice or statement.")
    state: invoices.State = strawberry.field(description="Where it stands.")
    number: str | None = strawberry.field(description="Gap-free per year; null for drafts and statements.")
    currency: str = strawberry.field(description="ISO 4217.")
    created_at: datetime = strawberry.field(description="When it was drafted, in business time.")
    issued_at: datetime | None = strawberry.field(description="When it was opened, in business time.")
    due_at: datetime | None = strawberry.field(description="When it is to be paid, in business time.")
    paid_at: datetime | None = strawberry.field(description="When it was paid, in business time.")
    subtotal: Money = strawberry.field(description="Sum of the lines' amounts, before discounts and tax.")
    discount: Money = strawberry.field(description="What coupons take off the lines.")
    tax: Money = strawberry.field(description="Sum of the taxes.")
    total: Money = strawberry.field(description="What is to be paid in all.")
    amount_due: Money = strawberry.field(description="What is still to be paid.")
    amount_paid: Money = strawberry.field(description="What was paid in money, less what banks took back for good.")
    amount_disputed: Money = strawberry.field(
        description="What of that banks hold until disputes are decided; zero where none is open."
    )
    amount_charged_back: Money = strawberry.field(
        description="What banks took back for good and nobody asks for; zero unless it is charged back."
    )
    credit_applied: Money = strawberry.field(description="What the customer's balances paid when it was opened.")
    credited: Money = strawberry.field(description="What credit notes took off before it was paid.")
    voided_at: datetime | None = strawberry.field(description="When it was taken back, in business time.")
    void_reason: invoices.VoidReason | None = strawberry.field(description="Why it was taken back.")
    written_off_at: datetime | None = strawberry.field(description="When it was given up, in business time.")
    collection_method: CollectionMethod = strawberry.field(
        description="How it is paid; fixed when it was opened, whatever its customer's is later."
    )
    memo: str | None = strawberry.field(
        description="Text on the document; null for a draft, which gets it when opened."
    )
    purchase_order: str | None = strawberry.field(
        description="The customer's numbers of its orders; null for a draft, which gets them when opened."
    )

    @reading(Permission.INVOICE_READ, "Its lines, in the order in which they are printed.")
    async def lines(self, info: Info[Context, None]) -> list[InvoiceLine]:
        """Load them with those of the other invoices of the request."""
        found = await info.context.loaders.lines.load(self.key) or []
        info.context.spend(len(found))
        return [line_of(line) for line in found]

    @reading(Permission.INVOICE_READ, "Why it differs from the invoice before it; null where there is none.")
    async def compared_to(self, info: Info[Context, None]) -> BillDiff | None:
        """Load the earlier ones and the lines of both with those of the other invoices of the request."""
        loaders = info.context.loaders
        before = await loaders.previous_invoices.load(self.key)
        if before is None:
            return None
        old, new = await loaders.lines.load_many([before.id, self.key])
        info.context.spend(len(old or ()) + len(new or ()))
        return diff_of(compare(before, old or [], self.value, new or []))

    @reading(Permission.INVOICE_READ, "Each rate with its base and amount, and each reason for none.")
    async def taxes(self, info: Info[Context, None]) -> list[InvoiceTax]:
        """Load them with those of the other invoices of the request."""
        return taxes_of(self.value, await info.context.loaders.taxes.load(self.key) or [])

    @reading(
        Permission.INVOICE_READ,
        "It as a file; null for drafts and statements, and in the moments after its opening until it is written.",
    )
    async def document(self, info: Info[Context, None]) -> InvoiceDocument | None:
        """Load what is known of it with the other invoices of the request, and sign a link."""
        found = await info.context.loaders.documents.load(self.key)
        return document_of(info.context, found) if found else None

    @reading(Permission.INVOICE_READ, "Its credit notes, the oldest first.")
    async def credit_notes(self, info: Info[Context, None]) -> list[CreditNote]:
        """Load them with those of the other invoices of the request."""
        return [note_of(each) for each in await info.context.loaders.credit_notes_of_invoices.load(self.key) or ()]

    @reading(
        Permission.PAYMENT_READ,
        "Stripe's own page on which it can be paid, also where the bank asks to confirm a payment; null unless it is "
        "open and has reached Stripe.",
    )
    async def payment_page(self, info: Info[Context, None]) -> str | None:
        """Load it with those of the other invoices of the request."""
        if self.state is not invoices.State.OPEN:
            return None
        return await info.context.loaders.payment_pages.load((self.customer_key, self.key))

    @reading(Permission.INVOICE_READ, "What of it was, or is to be, paid back, the oldest first.")
    async def refunds(self, info: Info[Context, None]) -> list[Refund]:
        """Load them with those of the other invoices of the request."""
        found = await info.context.loaders.refunds.load((self.customer_key, self.key)) or []
        return [refund_of(each) for each in found]

    @reading(Permission.PAYMENT_READ, "What of its payments was disputed or returned, the oldest first.")
    async def disputes(self, info: Info[Context, None]) -> list[Dispute]:
        """Load them with those of the other invoices of the request."""
        found = await info.context.loaders.disputes.load((self.customer_key, self.key)) or []
        return [dispute_of(each) for each in found]

    @reading(Permission.PAYMENT_READ, "What came for it another way than through Stripe, as staff recorded it.")
    async def received_payments(self, info: Info[Context, None]) -> list[ReceivedPayment]:
        """Load them with those of the other invoices of the request."""
        found = await info.context.loaders.received.load((self.customer_key, self.key)) or []
        return [received_of(each) for each in found]

    @reading(
        Permission.PAYMENT_READ,
        "What is still to be transferred for an open invoice that was sent: what is due less what has arrived and is "
        "not used, the oldest invoice first. It is paid once nothing is missing; null for any other invoice.",
    )
    async def amount_missing(self, info: Info[Context, None]) -> Money | None:
        """Load it with those of the other invoices of the request."""
        found = await info.context.loaders.missing.load((self.customer_key, self.key))
        return money_of(found) if found is not None else None

    @reading(Permission.PAYMENT_READ, "The tries to collect it, newest first.")
    async def attempts(self, info: Info[Context, None]) -> list[PaymentAttempt]:
        """Load them with those of the other invoices of the request."""
        found = await info.context.loaders.attempts.load((self.customer_key, self.key)) or []
        return [attempt_of(attempt) for attempt in found]


def attempt_of(value: attempts.Attempt) -> PaymentAttempt:
    """Wrap an attempt."""
    return PaymentAttempt(
        id=ids.id_of("attempt", value.id),
        customer_id=ids.id_of("customer", value.customer_id),
        invoice_id=ids.id_of("invoice", value.invoice_id),
        gateway_payment_id=value.gateway_payment_id,
        number=value.number,
        state=value.state,
        amount=money_of(value.amount),
        method_id=ids.id_of("method", value.method_id) if value.method_id else None,
        advice=advice(value.decline) if value.decline else None,
        created_at=value.created_at,
        settled_at=value.settled_at,
        began_at=value.began_at,
        ended_at=value.ended_at,
        declined=value.decline,
    )


def line_of(value: invoices.Line) -> InvoiceLine:
    """Wrap a line."""
    return InvoiceLine(
        id=ids.id_of("line", value.id),
        subscription_id=ids.id_of("subscription", own) if (own := value.identity.subscription_id) else None,
        kind=value.identity.kind,
        description=value.description,
        period=Period(start=value.period.start, end=value.period.end),
        quantity=exact(value.quantity),
        unit=value.unit,
        amount=money_of(value.amount),
        discount=money_of(value.discount),
        discounts=[LineDiscount(coupon=d.coupon, name=d.name, amount=money_of(d.amount)) for d in value.discounts],
        net=money_of(value.net),
        tax=money_of(value.tax),
        tax_inclusive=value.tax_inclusive,
        revision=value.revision,
        derivation=Json(value.derivation),
    )


def invoice_of(value: invoices.Invoice) -> Invoice:
    """Wrap an invoice."""
    return Invoice(
        key=value.id,
        value=value,
        customer_key=value.customer_id,
        id=ids.id_of("invoice", value.id),
        customer_id=ids.id_of("customer", value.customer_id),
        kind=value.kind,
        state=value.state,
        number=value.number,
        currency=value.currency,
        created_at=value.created_at,
        issued_at=value.issued_at,
        due_at=value.due_at,
        paid_at=value.paid_at,
        subtotal=money_of(value.subtotal),
        discount=money_of(value.discount),
        tax=money_of(value.tax),
        total=money_of(value.total),
        amount_due=money_of(value.amount_due),
        amount_paid=money_of(value.amount_paid),
        amount_disputed=money_of(Amount(value.disputed_minor, value.currency)),
        amount_charged_back=money_of(charged_back(value)),
        credit_applied=money_of(value.applied),
        credited=money_of(value.offset),
        voided_at=value.voided_at,
        void_reason=value.void_reason,
        written_off_at=value.written_off_at,
        collection_method=value.collection,
        memo=value.memo,
        purchase_order=value.purchase_order,
    )


async def invoices_of(context: Context, customer_id: CustomerId, first: int, after: str | None) -> Connection[Invoice]:
    """Load a page of one customer's invoices, newest first, with those of the other customers of the request."""

    async def load(last: UUID | None, limit: int) -> list[tuple[UUID, Invoice]]:
        found = await context.loaders.invoices.load(PageOf(customer_id, last, limit)) or []
        return [(each.id, invoice_of(each)) for each in found]

    return await page(context, first, after, load)


@strawberry.type
class InvoiceQuery:
    """Queries about invoices."""

    @reading(Permission.INVOICE_READ, "An invoice, or null.")
    async def invoice(
        self, info: Info[Context, None], id: Annotated[strawberry.ID, strawberry.argument(description="`inv_…`")]
    ) -> Invoice | None:
        """Look one up."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.find_invoice(tx, info.context.call, ids.invoice_id(id))
        return invoice_of(found) if found else None
