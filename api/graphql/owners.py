"""Whose a document, a payment or a subscription is: the way back from what a list of all customers shows.

Customers lead to their invoices and payments, so these types cannot name the customer where they are made: the fields
are added here, before the schema is put together.
"""

from typing import Any

from strawberry.types import Info
from strawberry.types.base import get_object_definition
from strawberry.types.field import StrawberryField

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.credit_notes import CreditNote
from api.graphql.customers import Customer, customer_of
from api.graphql.dispute_views import Dispute
from api.graphql.dunning import DunningCase
from api.graphql.fields import reading
from api.graphql.invoices import Invoice, PaymentAttempt, invoice_of
from api.graphql.ledger import LedgerEntry
from api.graphql.starts import ScheduledStart
from api.graphql.subscriptions import Subscription
from api.graphql.unapplied_views import UnappliedPayment
from domain.access.roles import Permission

OF_CUSTOMERS = (
    CreditNote,
    Dispute,
    DunningCase,
    Invoice,
    LedgerEntry,
    PaymentAttempt,
    ScheduledStart,
    Subscription,
    UnappliedPayment,
)
OF_INVOICES = (CreditNote, Dispute, DunningCase, PaymentAttempt)


async def _customer(self: Any, info: Info[Context, None]) -> Customer | None:
    """Load it with those of the other objects of the request."""
    found = await info.context.loaders.customers.load(ids.customer_id(self.customer_id))
    return customer_of(found) if found else None


async def _invoice(self: Any, info: Info[Context, None]) -> Invoice | None:
    """Load it with those of the other objects of the request."""
    found = await info.context.loaders.invoices_by_id.load(ids.invoice_id(self.invoice_id))
    return invoice_of(found) if found else None


def _add(kind: type, name: str, made: Any) -> None:
    assert isinstance(made, StrawberryField), "the decorator makes a field"
    made.python_name, made.origin = name, kind
    get_object_definition(kind, strict=True).fields.append(made)


def name_owners() -> None:
    """Give the types their fields. Once, before the schema is made."""
    for kind in OF_CUSTOMERS:
        _add(kind, "customer", reading(Permission.CUSTOMER_READ, "Whose it is.")(_customer))
    for kind in OF_INVOICES:
        _add(kind, "invoice", reading(Permission.INVOICE_READ, "The invoice that it is about.")(_invoice))
