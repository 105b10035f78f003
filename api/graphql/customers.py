"""Customers, and all that belongs to one."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.alerts import Alert, AlertPreference, alerts_of, preference_type_of
from api.graphql.clocks import TestClock, clock_of
from api.graphql.context import Context
from api.graphql.credit_notes import CreditNote, credit_notes_of
from api.graphql.fields import changing, reading
from api.graphql.headings import InvoiceHeading, heading_about
from api.graphql.invoices import Invoice, invoices_of
from api.graphql.journal import BillingEvent, billing_events_of
from api.graphql.naming import Names, named
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.payments import PaymentMethod, method_of
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.profiles import BillingProfile, profile_of
from api.graphql.scalars import Money, money_of
from api.graphql.starts import ScheduledStart, start_of
from api.graphql.subscriptions import Subscription, subscription_of
from domain.access.roles import Permission
from domain.alerts.preference import Preference
from domain.customers import customer as customers
from domain.customers import service
from domain.customers.naming import service as naming
from domain.customers.profiles.profile import Profile
from domain.kernel.call import Environment
from domain.kernel.ids import ClockId, CustomerId


@guarded_type(Permission.CUSTOMER_READ, "Who buys from the merchant.")
class Customer:
    """A customer."""

    key: strawberry.Private[CustomerId]
    clock_key: strawberry.Private[ClockId | None]
    id: strawberry.ID = strawberry.field(description="`cus_…`")
    environment: Environment = strawberry.field(description="Live or test, for life.")
    external_id: str | None = strawberry.field(description="The merchant's own id, unique in its environment.")
    name: str = strawberry.field(description="Who it is; stored encrypted.")
    email: str = strawberry.field(description="Where notices go; stored encrypted.")
    zone: str = strawberry.field(description="IANA time zone of its calendar, such as Europe/Berlin.")
    locale: str = strawberry.field(description="Language of its notices, such as en or de-CH.")
    country: str | None = strawberry.field(description="ISO 3166 country, two letters.")
    consolidates: bool = strawberry.field(
        description="Whether what falls due of its subscriptions at the same instant is on one invoice."
    )
    created_at: datetime = strawberry.field(description="When it was created, in real time.")
    erased_at: datetime | None = strawberry.field(
        description="When who it is was erased, in real time; name and address say nothing since."
    )
    collection_method: customers.CollectionMethod = strawberry.field(
        description="How invoices that are opened from now on are paid."
    )

    @reading(
        Permission.PAYMENT_READ,
        "What it has transferred and no invoice has used yet, by currency; it pays the next sent invoice that it "
        "covers.",
    )
    async def cash_balances(self, info: Info[Context, None]) -> list[Money]:
        """Load them with those of other customers of the request."""
        return [money_of(each) for each in await info.context.loaders.cash.load(self.key) or ()]

    @reading(Permission.CLOCK_READ, "The test clock it is bound to, if any.")
    async def clock(self, info: Info[Context, None]) -> TestClock | None:
        """Load the clock with others of the same request."""
        found = await info.context.loaders.clocks.load(self.clock_key) if self.clock_key else None
        return clock_of(found) if found else None

    @reading(Permission.SUBSCRIPTION_READ, "Its subscriptions, ended ones too, newest first, at most 100.")
    async def subscriptions(self, info: Info[Context, None]) -> list[Subscription]:
        """Load them with those of other customers of the request."""
        return [subscription_of(each) for each in await info.context.loaders.subscriptions.load(self.key) or ()]

    @reading(
        Permission.SUBSCRIPTION_READ,
        "Starts of subscriptions that were scheduled, those that are over too, newest first, at most 100.",
    )
    async def scheduled_starts(self, info: Info[Context, None]) -> list[ScheduledStart]:
        """Load them with those of other customers of the request."""
        return [start_of(each) for each in await info.context.loaders.starts.load(self.key) or ()]

    @reading(Permission.INVOICE_READ, "Its invoices and statements, newest first.")
    async def invoices(
        self, info: Info[Context, None], first: First = PAGE_DEFAULT, after: After = None
    ) -> Connection[Invoice]:
        """Load a page."""
        return await invoices_of(info.context, self.key, first, after)

    @reading(Permission.INVOICE_READ, "Its credit notes, newest first.")
    async def credit_notes(
        self, info: Info[Context, None], first: First = PAGE_DEFAULT, after: After = None
    ) -> Connection[CreditNote]:
        """Load a page."""
        return await credit_notes_of(info.context, self.key, first, after)

    @reading(
        Permission.INVOICE_READ,
        "What it holds from credit notes and unapplied payments, by currency; it pays the next invoices.",
    )
    async def credit(self, info: Info[Context, None]) -> list[Money]:
        """Load it with that of other customers of the request."""
        return [money_of(each) for each in await info.context.loaders.credit.load(self.key) or ()]

    @reading(Permission.PAYMENT_READ, "What it pays with, the default one first, at most 50.")
    async def payment_methods(self, info: Info[Context, None]) -> list[PaymentMethod]:
        """Load them with those of other customers of the request."""
        return [method_of(each) for each in await info.context.loaders.methods.load(self.key) or ()]

    @reading(Permission.INVOICE_READ, "What happened to its money and subscriptions, newest first.")
    async def billing_events(
        self, info: Info[Context, None], first: First = PAGE_DEFAULT, after: After = None
    ) -> Connection[BillingEvent]:
        """Load a page."""
        return await billing_events_of(info.context, self.key, first, after)

    @reading(Permission.PROFILE_READ, "What invoices and taxes need to know of it.")
    async def billing_profile(self, info: Info[Context, None]) -> BillingProfile:
        """Load it with those of other customers of the request."""
        return profile_of(await info.context.loaders.profiles.load(self.key) or Profile(self.key))

    @reading(Permission.INVOICE_READ, "What its invoices carry besides their lines.")
    async def invoice_heading(self, info: Info[Context, None]) -> InvoiceHeading:
        """Load it with those of other customers of the request."""
        return await heading_about(info.context, self.key)

    @reading(Permission.ALERT_READ, "Alerts about its limits, newest first.")
    async def alerts(
        self,
        info: Info[Context, None],
        unread_only: Annotated[bool, strawberry.argument(description="Only those not marked read.")] = False,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[Alert]:
        """Load a page."""
        return await alerts_of(info.context, self.key, first, after, unread_only=unread_only)

    @reading(Permission.ALERT_READ, "What it wants to be told.")
    async def alert_preference(self, info: Info[Context, None]) -> AlertPreference:
        """Load it with those of other customers of the request."""
        found = await info.context.loaders.preferences.load(self.key)
        return preference_type_of(found or Preference(self.key))


def customer_of(value: customers.Customer) -> Customer:
    """Wrap a customer."""
    return Customer(
        key=value.id,
        clock_key=value.clock_id,
        id=ids.id_of("customer", value.id),
        environment=value.environment,
        external_id=value.external_id,
        name=value.name,
        email=value.email,
        zone=value.zone,
        locale=value.locale,
        country=value.country,
        consolidates=value.consolidates,
        created_at=value.created_at,
        erased_at=value.erased_at,
        collection_method=value.collection,
    )


@guarded_type(Permission.CUSTOMER_WRITE, "The customer was created.")
class CustomerCreated:
    """Success of createCustomer."""

    customer: Customer = strawberry.field(description="The new customer.")


@strawberry.input(description="A new customer.")
class CreateCustomerInput:
    """Input of createCustomer."""

    environment: Environment = strawberry.field(description="Live or test, for life.")
    name: str = strawberry.field(description="1 to 200 characters; stored encrypted.")
    email: str = strawberry.field(description="Where notices go; stored encrypted.")
    zone: str = strawberry.field(description="IANA time zone, such as Europe/Berlin.", default="UTC")
    locale: str = strawberry.field(description="Language tag, such as en or de-CH.", default="en")
    country: str | None = strawberry.field(description="ISO 3166, two capital letters.", default=None)
    external_id: str | None = strawberry.field(
        description="The merchant's own id, unique in the environment: creating it again is refused.", default=None
    )
    clock_id: strawberry.ID | None = strawberry.field(
        description="A test clock to bind to, for test customers.", default=None
    )


CreateCustomerResult = Annotated[
    CustomerCreated | AnyProblem, strawberry.union("CreateCustomerResult", description="What became of createCustomer.")
]


@guarded_type(Permission.PROFILE_WRITE, "The customer is as it was given.")
class CustomerChanged:
    """Success of changeCustomer."""

    changed: strawberry.Private[customers.Customer]

    @reading(Permission.CUSTOMER_READ, "As it now is.")
    async def customer(self) -> Customer:
        """Show it to whoever may read customers as well."""
        return customer_of(self.changed)


@strawberry.input(description="What is to change of a customer; what is null stays as it is.")
class ChangeCustomerInput:
    """Input of changeCustomer."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    name: str | None = strawberry.field(
        description="1 to 200 characters; on documents that are issued from now on.", default=None
    )
    email: str | None = strawberry.field(
        description="Where notices go from now on, also where the address before had bounced.", default=None
    )
    external_id: str | None = strawberry.field(
        description="The merchant's own id, unique in the environment; only staff and keys of the merchant set it.",
        default=None,
    )


ChangeCustomerResult = Annotated[
    CustomerChanged | AnyProblem, strawberry.union("ChangeCustomerResult", description="What became of changeCustomer.")
]


@strawberry.type
class CustomerQuery:
    """Queries about customers."""

    @reading(Permission.CUSTOMER_READ, "A customer, or null.")
    async def customer(
        self, info: Info[Context, None], id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")]
    ) -> Customer | None:
        """Look one up."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.find_customer(tx, info.context.call, ids.customer_id(id))
        return customer_of(found) if found else None

    @reading(Permission.CUSTOMER_READ, "Customers that the caller may see, newest first.")
    async def customers(
        self,
        info: Info[Context, None],
        *,
        environment: Annotated[
            Environment | None, strawberry.argument(description="Those of one environment only.")
        ] = None,
        external_id: Annotated[
            str | None, strawberry.argument(description="The one with this id of the merchant's own.")
        ] = None,
        email: Annotated[
            str | None, strawberry.argument(description="Those with this address, in any case of letters.")
        ] = None,
        gateway_id: Annotated[
            str | None,
            strawberry.argument(
                description="The one with this at Stripe, by its whole id: the customer `cus_…`, a payment `pi_…`, an "
                "invoice `in_…`, a payment method `pm_…`, a refund `re_…`, a dispute, a subscription `sub_…`. A charge "
                "`ch_…` is not kept: Stripe shows the payment that it is of. Needs payment:read as well."
            ),
        ] = None,
        document_number: Annotated[
            str | None,
            strawberry.argument(
                description="The one whose invoice or credit note has this whole number. Needs invoice:read as well."
            ),
        ] = None,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[Customer]:
        """List a page."""
        call, names = info.context.call, Names(external_id, gateway_id, document_number)

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, Customer]]:
            async with info.context.runtime.db.transaction() as tx:
                if names.are_given:
                    listed = await named(tx, call, names, environment, email) if last is None else []
                else:
                    listed = await service.list_customers(
                        tx,
                        call,
                        environment=environment,
                        email=email,
                        after=CustomerId(last) if last else None,
                        limit=limit,
                    )
            return [(each.id, customer_of(each)) for each in listed]

        return await page(info.context, first, after, load)


@strawberry.type
class CustomerMutation:
    """Changes of customers."""

    @changing(
        Permission.CUSTOMER_WRITE,
        "Create a customer. Give an external id to have a repetition refused.",
    )
    async def create_customer(
        self,
        info: Info[Context, None],
        input: Annotated[CreateCustomerInput, strawberry.argument(description="The new customer.")],
    ) -> CreateCustomerResult:
        """Create it."""
        async with info.context.runtime.db.transaction() as tx:
            created = await service.create_customer(
                tx,
                info.context.call,
                environment=input.environment,
                name=input.name,
                email=input.email,
                zone=input.zone,
                locale=input.locale,
                country=input.country,
                external_id=input.external_id,
                clock_id=ids.clock_id(input.clock_id) if input.clock_id else None,
            )
        return CustomerCreated(customer=customer_of(created))

    @changing(
        Permission.PROFILE_WRITE,
        "Change a customer's name, address for notices or external id. What was issued stays as it is. Audited.",
    )
    async def change_customer(
        self,
        info: Info[Context, None],
        input: Annotated[ChangeCustomerInput, strawberry.argument(description="Who, and what changes.")],
    ) -> ChangeCustomerResult:
        """Change it."""
        async with info.context.runtime.db.transaction() as tx:
            changed = await naming.change_customer(
                tx,
                info.context.call,
                ids.customer_id(input.customer_id),
                name=input.name,
                email=input.email,
                external_id=input.external_id,
            )
        return CustomerChanged(changed=changed)
