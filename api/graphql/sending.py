"""Whether a customer's invoices are charged or sent."""

from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing, reading
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from domain.access.roles import Permission
from domain.customers.collecting import service
from domain.customers.customer import CollectionMethod
from domain.invoices.heading import SENT_NET_DAYS_DEFAULT
from domain.payments.transfer import GatewayAccount
from domain.payments.transferring import service as transferring

CURRENCY_LETTERS = 3


@guarded_type(Permission.PAYMENT_READ, "One thing that a bank asks for.")
class TransferDetail:
    """A name and a value."""

    name: str = strawberry.field(description="Stripe's word: account_number, routing_number, iban, bic …")
    value: str = strawberry.field(description="What to give for it.")


@guarded_type(Permission.PAYMENT_READ, "The account that one customer transfers to: what comes there is theirs.")
class BankTransferInstructions:
    """Where to transfer to."""

    currency: str = strawberry.field(description="ISO 4217; money in another one cannot come there.")
    country: str = strawberry.field(description="ISO 3166 country of the bank, two letters.")
    bank_name: str | None = strawberry.field(description="The bank.")
    last4: str = strawberry.field(description="The last characters of the account's number, as mails name it.")
    details: list[TransferDetail] = strawberry.field(description="All that a transfer needs, in order.")


def _instructions_of(value: GatewayAccount) -> BankTransferInstructions:
    return BankTransferInstructions(
        currency=value.currency,
        country=value.country,
        bank_name=value.bank_name,
        last4=value.last4,
        details=[TransferDetail(name=name, value=shown) for name, shown in value.details],
    )


@strawberry.type
class SendingQuery:
    """Queries about transfers."""

    @reading(
        Permission.PAYMENT_READ,
        "Where a customer transfers to, as Stripe says now; nothing of it is kept but bank, country and last digits. "
        "Null where Stripe takes no transfers in the currency, and before a first invoice was sent.",
    )
    async def bank_transfer_instructions(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
        currency: Annotated[str, strawberry.argument(description="ISO 4217, such as USD.")] = "USD",
    ) -> BankTransferInstructions | None:
        """Ask Stripe."""
        runtime = info.context.runtime
        found = await transferring.instructions(
            runtime.db,
            runtime.gateway,
            info.context.call,
            customer_id=ids.customer_id(customer_id),
            currency=currency.upper()[:CURRENCY_LETTERS],
        )
        return _instructions_of(found) if found is not None else None


@guarded_type(Permission.INVOICE_READ, "Invoices are paid like this from now on, or were already.")
class CollectionMethodSet:
    """Success of setCollectionMethod."""

    collection_method: CollectionMethod = strawberry.field(description="How the customer's next invoices are paid.")


@strawberry.input(description="Whose invoices, and how they are paid from now on.")
class SetCollectionMethodInput:
    """Input of setCollectionMethod."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    collection_method: CollectionMethod = strawberry.field(description="How.")


SetCollectionMethodResult = Annotated[
    CollectionMethodSet | AnyProblem,
    strawberry.union("SetCollectionMethodResult", description="What became of setCollectionMethod."),
]


@strawberry.type
class SendingMutation:
    """Changes of how invoices are paid."""

    @changing(
        Permission.INVOICE_WRITE,
        "Set whether a customer's invoices are charged or sent to be paid by transfer. What is open stays as it was "
        f"opened. A sent invoice is due by its net terms (setInvoiceHeading), else after {SENT_NET_DAYS_DEFAULT} days; "
        "a top-up is always charged. Staff only; audited; safe to repeat.",
    )
    async def set_collection_method(
        self,
        info: Info[Context, None],
        input: Annotated[SetCollectionMethodInput, strawberry.argument(description="Whose, and how.")],
    ) -> SetCollectionMethodResult:
        """Set it."""
        customer_id = ids.customer_id(input.customer_id)
        async with info.context.runtime.db.transaction() as tx:
            after = await service.set_collection(tx, info.context.call, customer_id, input.collection_method)
        return CollectionMethodSet(collection_method=after.collection)
