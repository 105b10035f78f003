"""One-off charges: what staff charge a customer once, with the next invoice or at once."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing, reading
from api.graphql.invoices import Invoice, invoice_of
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.scalars import Cost, Money, MoneyInput, cost_of, exact, money_from, money_of
from api.graphql.subscriptions import Period
from domain.access.roles import Permission
from domain.contracts.charging import service as charging
from domain.customers.service import CustomerNotFound
from domain.db import Tx
from domain.invoices import invoice as invoices
from domain.invoices import one_off_charge as rules
from domain.invoices import service as invoice_service
from domain.invoices.one_off import service
from domain.invoices.one_off_charge import UNIT_DEFAULT, ChargeMalformed, ChargeWish
from domain.kernel import money
from domain.kernel.ids import CustomerId, InvoiceId, OneOffChargeId, decode

name_enum(
    rules.ChargeState,
    "OneOffChargeState",
    "Where a one-off charge stands.",
    PENDING="It waits for the next invoice of its customer and currency, or is on a draft.",
    INVOICED="Its line stands on an opened invoice.",
    CANCELED="It was taken back before it was invoiced.",
)


@guarded_type(Permission.CHARGE_READ, "What a customer is charged once, beside plans and usage. It is never changed.")
class OneOffCharge:
    """A charge."""

    id: strawberry.ID = strawberry.field(description="`oneoff_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    state: rules.ChargeState = strawberry.field(description="Where it stands.")
    description: str = strawberry.field(description="What the customer reads on the invoice.")
    quantity: Decimal = strawberry.field(description="In `unit`, exact.")
    unit: str = strawberry.field(description="What the quantity counts.")
    unit_price: Cost = strawberry.field(description="For one, exact.")
    amount: Money = strawberry.field(description="Quantity times unit price, rounded once; before discounts and tax.")
    tax_code: str | None = strawberry.field(description="What is sold, to taxes; null: nothing in particular.")
    discountable: bool = strawberry.field(description="Whether coupons reduce it.")
    subscription_id: strawberry.ID | None = strawberry.field(description="`sub_…` that it is of; null: of none.")
    service: Period = strawberry.field(description="What time it is for; an instant is one second.")
    created_at: datetime = strawberry.field(description="In business time.")
    canceled_at: datetime | None = strawberry.field(description="When it was taken back, in business time.")
    invoice_id: strawberry.ID | None = strawberry.field(description="`inv_…` that it stands on, once that is opened.")


@guarded_type(Permission.CHARGE_READ, "The charge, as it now is.")
class OneOffChargeSaved:
    """Success of what makes or cancels a charge."""

    charge: OneOffCharge = strawberry.field(description="The charge.")
    shown: strawberry.Private[invoices.Invoice | None]

    @reading(
        Permission.INVOICE_READ,
        "What it was invoiced on at once, or the draft that it was taken off. Still a draft where too little is due on "
        "it, or its taxes are being asked for; null where it waits for the next invoice.",
    )
    async def invoice(self) -> Invoice | None:
        """Show it."""
        return invoice_of(self.shown) if self.shown else None


@strawberry.input(description="An exact amount for one, which may have more digits than its currency.")
class UnitPriceInput:
    """What one costs."""

    amount: Decimal = strawberry.field(description='Major units, such as "0.0125"; 0 or more, at most 18 decimals.')
    currency: str = strawberry.field(description="ISO 4217, such as USD.")


@strawberry.input(description="What is to be charged: an amount, or a quantity at a unit price.")
class CreateOneOffChargeInput:
    """Input of createOneOffCharge."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    description: str = strawberry.field(description="1 to 300 characters; the customer reads them on the invoice.")
    amount: MoneyInput | None = strawberry.field(description="All of it, 0 or more; or `unitPrice`.", default=None)
    unit_price: UnitPriceInput | None = strawberry.field(description="For one; or `amount`.", default=None)
    quantity: Decimal | None = strawberry.field(
        description="Beside `unitPrice`: above 0, at most 1000000000; 1 without one.", default=None
    )
    unit: str = strawberry.field(
        description="What the quantity counts, 1 to 40 characters, such as `hour`.", default=UNIT_DEFAULT
    )
    tax_code: str | None = strawberry.field(
        description="What is sold, to taxes; without one its subscription's, else nothing in particular.", default=None
    )
    discountable: bool = strawberry.field(
        description="Whether coupons reduce it; those of single products or plans never do.", default=True
    )
    subscription_id: strawberry.ID | None = strawberry.field(
        description="`sub_…` of the customer that it is of, in the same currency.", default=None
    )
    service_start: datetime | None = strawberry.field(
        description="When its service begins, or the instant that it is for; now without one.", default=None
    )
    service_end: datetime | None = strawberry.field(
        description="When its service ends, after `serviceStart`; without one it is for an instant.", default=None
    )
    invoice_now: bool = strawberry.field(
        description="Whether it is invoiced at once, with all that waits for the next invoice of its currency. "
        "Otherwise it comes with that one.",
        default=False,
    )
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which charge is to be taken back.")
class CancelOneOffChargeInput:
    """Input of cancelOneOffCharge."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    id: strawberry.ID = strawberry.field(description="`oneoff_…`")


CreateOneOffChargeResult = Annotated[
    OneOffChargeSaved | AnyProblem,
    strawberry.union("CreateOneOffChargeResult", description="What became of createOneOffCharge."),
]
CancelOneOffChargeResult = Annotated[
    OneOffChargeSaved | AnyProblem,
    strawberry.union("CancelOneOffChargeResult", description="What became of cancelOneOffCharge."),
]


@strawberry.type
class OneOffChargeQuery:
    """Queries about one-off charges."""

    @reading(
        Permission.CHARGE_READ,
        "A customer's one-off charges for staff, newest first; null for an unknown customer. The customer itself sees "
        "them on previews and invoices.",
    )
    async def one_off_charges(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
        state: Annotated[
            rules.ChargeState | None, strawberry.argument(description="Only those that stand there; null: all.")
        ] = None,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[OneOffCharge] | None:
        """Load a page."""
        context, owner = info.context, ids.customer_id(customer_id)

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, OneOffCharge]]:
            before = OneOffChargeId(last) if last else None
            async with context.runtime.db.transaction() as tx:
                found = await service.list_charges(tx, context.call, owner, state=state, before=before, limit=limit)
            return [(each.id, charge_of(each)) for each in found]

        try:
            return await page(context, first, after, load)
        except CustomerNotFound:
            return None


@strawberry.type
class OneOffChargeMutation:
    """Changes of one-off charges by staff."""

    @changing(
        Permission.CHARGE_WRITE,
        "Charge a customer once, with the next invoice of its currency or at once. Once per idempotency key.",
    )
    async def create_one_off_charge(
        self,
        info: Info[Context, None],
        input: Annotated[CreateOneOffChargeInput, strawberry.argument(description="What is charged.")],
    ) -> CreateOneOffChargeResult:
        """Make it."""
        context, customer = info.context, ids.customer_id(input.customer_id)

        async def act(tx: Tx) -> tuple[OneOffChargeSaved, Mapping[str, str]]:
            made, invoice = await charging.charge(
                tx, context.call, customer_id=customer, wish=_wish(input), at_once=input.invoice_now
            )
            kept = {"charge": str(made.id)} | ({"invoice": str(invoice.id)} if invoice else {})
            return OneOffChargeSaved(charge=charge_of(made), shown=invoice), kept

        async def again(tx: Tx, kept: Mapping[str, str]) -> OneOffChargeSaved:
            charge_id = OneOffChargeId(ids.uuid_of(kept["charge"]))
            made = await service.load_charge(tx, context.call, customer, charge_id)
            return OneOffChargeSaved(charge=charge_of(made), shown=await _kept(tx, customer, kept))

        wish = Wish(context, "createOneOffCharge", input.idempotency_key, customer, strawberry.asdict(input))
        result = await once(wish, act, again)
        await context.runtime.wakeups.publish([customer])
        return result

    @changing(
        Permission.CHARGE_WRITE,
        "Take back a charge that stands on no opened invoice, and its line off the draft. Safe to repeat.",
    )
    async def cancel_one_off_charge(
        self,
        info: Info[Context, None],
        input: Annotated[CancelOneOffChargeInput, strawberry.argument(description="Which one.")],
    ) -> CancelOneOffChargeResult:
        """Cancel it."""
        context, customer = info.context, ids.customer_id(input.customer_id)
        charge_id = OneOffChargeId(decode(rules.NOUN, input.id))
        async with context.runtime.db.transaction() as tx:
            canceled, draft = await charging.cancel_charge(tx, context.call, customer_id=customer, charge_id=charge_id)
        await context.runtime.wakeups.publish([customer])
        return OneOffChargeSaved(charge=charge_of(canceled), shown=draft)


def charge_of(value: rules.OneOffCharge) -> OneOffCharge:
    """Wrap a charge."""
    wish = value.wish
    return OneOffCharge(
        id=ids.id_of(rules.NOUN, value.id),
        customer_id=ids.id_of("customer", value.customer_id),
        state=value.state,
        description=wish.description,
        quantity=exact(wish.quantity),
        unit=wish.unit,
        unit_price=cost_of(money.Cost(wish.unit_price, wish.currency)),
        amount=money_of(value.amount),
        tax_code=wish.tax_code,
        discountable=wish.discountable,
        subscription_id=ids.id_of("subscription", wish.subscription_id) if wish.subscription_id else None,
        service=Period(start=value.service.start, end=value.service.end),
        created_at=value.created_at,
        canceled_at=value.canceled_at,
        invoice_id=ids.id_of("invoice", value.invoice_id) if value.invoice_id else None,
    )


async def _kept(tx: Tx, customer: CustomerId, kept: Mapping[str, str]) -> invoices.Invoice | None:
    """Return the invoice that an earlier call came to, as it now is."""
    if "invoice" not in kept:
        return None
    invoice_id = InvoiceId(ids.uuid_of(kept["invoice"]))
    return (await invoice_service.invoices_by_id(tx, [invoice_id], scope=customer)).get(invoice_id)


def _wish(input: CreateOneOffChargeInput) -> ChargeWish:
    """Read what is to be charged. Raises IdMalformed, CurrencyUnknown, AmountMalformed, ChargeMalformed."""
    price, currency = _price(input)
    return ChargeWish(
        currency=currency,
        description=input.description,
        unit_price=price,
        quantity=Decimal(1) if input.quantity is None else input.quantity,
        unit=input.unit,
        tax_code=input.tax_code,
        discountable=input.discountable,
        subscription_id=ids.subscription_id(input.subscription_id) if input.subscription_id else None,
        service_start_at=input.service_start,
        service_end_at=input.service_end,
    )


def _price(input: CreateOneOffChargeInput) -> tuple[Decimal, str]:
    if (input.amount is None) == (input.unit_price is None):
        raise ChargeMalformed("it needs either an amount or a unit price")
    if input.unit_price is not None:
        return input.unit_price.amount, input.unit_price.currency
    assert input.amount is not None, "one of both is given"
    if input.quantity is not None:
        raise ChargeMalformed("a quantity goes with a unit price")
    whole = money_from(input.amount)
    return Decimal(whole.major), whole.currency
