"""Money that no invoice could take, as a customer and staff see it."""

from datetime import datetime

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Money, money_of
from domain.access.roles import Permission
from domain.kernel.ids import CustomerId, UnappliedPaymentId
from domain.kernel.money import Money as Amount
from domain.payments.unapplied import payment as rules

name_enum(
    rules.Cause,
    "UnappliedCause",
    "Why an invoice could not take money that came.",
    CLOSED="It was void, or paid otherwise, when the money came.",
    REINSTATED="A bank gave back what had been lost, and the invoice had been asked for again meanwhile.",
)


@guarded_type(Permission.PAYMENT_READ, "What an unapplied payment has paid of another invoice.")
class UnappliedApplication:
    """A part that was applied."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…` that it paid.")
    attempt_id: strawberry.ID = strawberry.field(description="`att_…` that stands for it among the invoice's attempts.")
    amount: Money = strawberry.field(description="All that was due of the invoice.")
    applied_at: datetime = strawberry.field(description="When, in business time.")


@guarded_type(Permission.PAYMENT_READ, "What of an unapplied payment became its customer's credit.")
class UnappliedCredit:
    """A part that was credited."""

    id: strawberry.ID = strawberry.field(description="`uac_…`")
    amount: Money = strawberry.field(description="It pays the customer's next invoices of this currency.")
    credited_at: datetime = strawberry.field(description="When, in business time.")


@guarded_type(
    Permission.PAYMENT_READ, "Money of a customer that is held because the invoice that it came for could not take it."
)
class UnappliedPayment:
    """An unapplied payment."""

    key: strawberry.Private[tuple[CustomerId, UnappliedPaymentId]]
    id: strawberry.ID = strawberry.field(description="`uap_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    invoice_id: strawberry.ID = strawberry.field(description="`inv_…` that it came for.")
    attempt_id: strawberry.ID = strawberry.field(description="`att_…`: the payment that brought it.")
    cause: rules.Cause = strawberry.field(description="Why the invoice could not take it.")
    amount: Money = strawberry.field(description="What came.")
    left: Money = strawberry.field(description="What can still be applied, credited or sent back.")
    refunded: Money = strawberry.field(description="What went back, or is on its way.")
    withheld: Money = strawberry.field(description="What a bank has taken of it for a dispute.")
    booked_at: datetime = strawberry.field(description="When it was booked, in business time.")

    @reading(Permission.PAYMENT_READ, "The invoices that were paid with it, the first one first.")
    async def applications(self, info: Info[Context, None]) -> list[UnappliedApplication]:
        """Load them."""
        found = await info.context.loaders.applications.load(self.key) or []
        return [_application_of(each) for each in found]

    @reading(Permission.PAYMENT_READ, "What of it became the customer's credit, the first part first.")
    async def credits(self, info: Info[Context, None]) -> list[UnappliedCredit]:
        """Load them."""
        found = await info.context.loaders.unapplied_credits.load(self.key) or []
        return [credit_of(each) for each in found]


def unapplied_of(value: rules.UnappliedPayment) -> UnappliedPayment:
    """Wrap an unapplied payment."""
    currency = value.amount.currency
    return UnappliedPayment(
        key=(value.customer_id, value.id),
        id=ids.id_of("unapplied_payment", value.id),
        customer_id=ids.id_of("customer", value.customer_id),
        invoice_id=ids.id_of("invoice", value.invoice_id),
        attempt_id=ids.id_of("attempt", value.attempt_id),
        cause=value.cause,
        amount=money_of(value.amount),
        left=money_of(value.left),
        refunded=money_of(Amount(value.refunded_minor, currency)),
        withheld=money_of(Amount(value.withheld_minor, currency)),
        booked_at=value.booked_at,
    )


def credit_of(value: rules.UnappliedCredit) -> UnappliedCredit:
    """Wrap what became credit."""
    return UnappliedCredit(
        id=ids.id_of("unapplied_credit", value.id), amount=money_of(value.amount), credited_at=value.credited_at
    )


def _application_of(value: rules.Application) -> UnappliedApplication:
    return UnappliedApplication(
        invoice_id=ids.id_of("invoice", value.invoice_id),
        attempt_id=ids.id_of("attempt", value.attempt_id),
        amount=money_of(value.amount),
        applied_at=value.applied_at,
    )
