"""Payment methods. Card numbers never come here: a method is made at Stripe and named by its id."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.once import KEY_DESCRIPTION, Wish, once_outside
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.db import Tx
from domain.kernel.ids import MethodId
from domain.payments import method as methods
from domain.payments import service, store


@guarded_type(Permission.PAYMENT_READ, "What a customer pays with, as far as it may be known.")
class PaymentMethod:
    """A payment method."""

    id: strawberry.ID = strawberry.field(description="`pm_…` of Tollgate.")
    kind: str = strawberry.field(description="Stripe's word: card, us_bank_account, customer_balance …")
    brand: str | None = strawberry.field(description="The card's network, or the bank's name.")
    last4: str | None = strawberry.field(description="The last four digits.")
    exp_month: int | None = strawberry.field(description="Month in which a card expires, 1 to 12.")
    exp_year: int | None = strawberry.field(description="Year in which a card expires, four digits.")
    is_default: bool = strawberry.field(description="Whether invoices are charged to it.")
    is_blocked: bool = strawberry.field(
        description="Whether the bank, or an ended mandate, does not let it be charged any more."
    )
    created_at: datetime = strawberry.field(description="When it was attached, in real time.")


def method_of(value: methods.PaymentMethod) -> PaymentMethod:
    """Wrap a payment method."""
    return PaymentMethod(
        id=ids.id_of("method", value.id),
        kind=value.kind,
        brand=value.brand,
        last4=value.last4,
        exp_month=value.exp_month,
        exp_year=value.exp_year,
        is_default=value.is_default,
        is_blocked=value.blocked is not None,
        created_at=value.created_at,
    )


@guarded_type(Permission.PAYMENT_WRITE, "The method is attached; the first one becomes the default.")
class PaymentMethodAttached:
    """Success of attachPaymentMethod."""

    method: PaymentMethod = strawberry.field(description="The method.")


@strawberry.input(description="A method that was made at Stripe, for example by Stripe's own form in the browser.")
class AttachPaymentMethodInput:
    """Input of attachPaymentMethod."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    gateway_method_id: str = strawberry.field(description="Stripe's id, `pm_…`.")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


AttachPaymentMethodResult = Annotated[
    PaymentMethodAttached | AnyProblem,
    strawberry.union("AttachPaymentMethodResult", description="What became of attachPaymentMethod."),
]


@strawberry.type
class PaymentMutation:
    """Changes of payment methods."""

    @changing(
        Permission.PAYMENT_WRITE,
        "Attach a payment method. What is open and unpaid is then collected. Once per idempotency key.",
    )
    async def attach_payment_method(
        self,
        info: Info[Context, None],
        input: Annotated[AttachPaymentMethodInput, strawberry.argument(description="Whose, and which one.")],
    ) -> AttachPaymentMethodResult:
        """Attach it; the gateway's own key makes a repeated call find the same method."""
        context, customer = info.context, ids.customer_id(input.customer_id)

        async def act() -> tuple[PaymentMethodAttached, Mapping[str, str]]:
            attached = await service.attach_method(
                context.runtime.db,
                context.runtime.gateway,
                context.call,
                customer_id=customer,
                gateway_method_id=input.gateway_method_id,
            )
            return PaymentMethodAttached(method=method_of(attached)), {"method": str(attached.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> PaymentMethodAttached:
            method_id = MethodId(ids.uuid_of(kept["method"]))
            found = await store.methods_by_id(tx, [method_id], scope=customer)
            return PaymentMethodAttached(method=method_of(found[method_id]))

        wish = Wish(context, "attachPaymentMethod", input.idempotency_key, customer, strawberry.asdict(input))
        return await once_outside(wish, act, again)
