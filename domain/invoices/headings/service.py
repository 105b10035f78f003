"""Set net terms, memo and purchase order of a customer's invoices, and say what a draft carries once it is opened."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.customer import CollectionMethod
from domain.customers.erasing import service as erasing
from domain.customers.store import Sight
from domain.db import Tx
from domain.invoices import heading as rules
from domain.invoices import store as invoices
from domain.invoices.heading import NOTHING, Headed, Heading
from domain.invoices.headings import store
from domain.invoices.invoice import Invoice, InvoiceNotFound, InvoiceStateRefused, Line, State
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import CustomerId, InvoiceId, SubscriptionId, encode
from domain.subscriptions import service as subscriptions
from domain.subscriptions.service import SubscriptionNotFound

LOOKUP_MAX = 1_000


async def set_heading(
    tx: Tx, call: Call, customer_id: CustomerId, heading: Heading, *, subscription_id: SubscriptionId | None = None
) -> Heading:
    """Set what the invoices of a customer carry from now on, or those with lines of one subscription; drafts too.

    It replaces what was set. Only for staff: it moves due dates. Safe to repeat. Raises Forbidden, CustomerNotFound,
    CustomerErased, SubscriptionNotFound, NetDaysOutOfBounds, HeadingMalformed.
    """
    call.need(Permission.INVOICE_WRITE)
    if call.scope is not None:
        raise Forbidden(Permission.INVOICE_WRITE)
    return await _set(tx, call, customer_id, rules.check(heading), subscription_id)


async def set_purchase_order(
    tx: Tx, call: Call, customer_id: CustomerId, order: str | None, *, subscription_id: SubscriptionId | None = None
) -> Heading:
    """Set the purchase-order number that a customer wants on its invoices; None takes it away. Safe to repeat.

    Raises Forbidden, CustomerNotFound, CustomerErased, SubscriptionNotFound, HeadingMalformed.
    """
    call.need(Permission.PROFILE_WRITE)
    await customers.load_customer(tx, call, customer_id)
    about = subscription_id or customer_id
    before = (await store.headings_about(tx, customer_id, [about])).get(about, NOTHING)
    after = rules.check(replace(before, purchase_order=order))
    return await _set(tx, call, customer_id, after, subscription_id)


async def _set(
    tx: Tx, call: Call, customer_id: CustomerId, heading: Heading, subscription_id: SubscriptionId | None
) -> Heading:
    await customers.load_customer(tx, call, customer_id)
    await erasing.hold_present(tx, customer_id)
    if subscription_id is not None:
        environment = call.principal.environment
        found = await subscriptions.find_subscription(tx, subscription_id, scope=customer_id, environment=environment)
        if found is None:
            raise SubscriptionNotFound
    named = encode("subscription", subscription_id) if subscription_id else encode("customer", customer_id)
    await _save(tx, call, customer_id, heading, about=subscription_id or customer_id, named=named)
    return heading


async def set_draft_heading(tx: Tx, call: Call, invoice_id: InvoiceId, heading: Heading) -> Heading:
    """Set what one draft carries, before what is set for its subscriptions or customer. Safe to repeat.

    Raises Forbidden, InvoiceNotFound, CustomerErased, InvoiceStateRefused for what is no draft any more,
    NetDaysOutOfBounds, HeadingMalformed.
    """
    call.need(Permission.INVOICE_WRITE)
    sight = Sight(call.scope, call.principal.environment)
    draft = await invoices.find_invoice(tx, invoice_id, sight=sight, lock=True)
    if draft is None:
        raise InvoiceNotFound
    await erasing.hold_present(tx, draft.customer_id)
    if draft.state is not State.DRAFT:
        raise InvoiceStateRefused(draft.state, State.DRAFT)
    checked = rules.check(heading)
    await _save(tx, call, draft.customer_id, checked, about=invoice_id, named=encode("invoice", invoice_id))
    return checked


async def _save(tx: Tx, call: Call, customer_id: CustomerId, heading: Heading, *, about: UUID, named: str) -> None:
    """Write what differs. The audit entry says what was set; the texts may name people."""
    before = (await store.headings_about(tx, customer_id, [about])).get(about, NOTHING)
    if heading == before:
        return
    await store.save_heading(tx, customer_id, about, heading)
    facts = {
        "net_days": heading.net_days,
        "has_memo": heading.memo is not None,
        "has_purchase_order": heading.purchase_order is not None,
    }
    await journal.audit(tx, call, "set_invoice_heading", named, customer_id=customer_id, facts=facts)


async def heading_of_draft(tx: Tx, draft: Invoice, lines: Sequence[Line]) -> Headed:
    """Return what a draft carries if it is opened now, and how it will be paid."""
    named = sorted({each for line in lines if (each := line.identity.subscription_id) is not None})
    about = [draft.id, draft.customer_id, *named]
    found, plan_days = await store.headings_with_plans(tx, draft.customer_id, about, named)
    own, customer = found.get(draft.id, NOTHING), found.get(draft.customer_id, NOTHING)
    on_it = [found.get(each, NOTHING) for each in named]
    collection = await _collection_of(tx, draft.customer_id)
    return rules.heading_of(own, customer, on_it, [plan_days.get(each) for each in named], collection=collection)


async def has_net_terms(tx: Tx, customer_id: CustomerId, subscription_id: SubscriptionId) -> bool:
    """Whether what is invoiced for one subscription is due some time after it is issued."""
    about = [customer_id, subscription_id]
    found, plan_days = await store.headings_with_plans(tx, customer_id, about, [subscription_id])
    customer, own = found.get(customer_id, NOTHING), found.get(subscription_id, NOTHING)
    return await _is_later(tx, customer_id, customer, own, plan_days.get(subscription_id))


async def starts_on_net_terms(tx: Tx, customer_id: CustomerId, plan_days: int | None) -> bool:
    """Whether the first invoice of a subscription to a version with such terms is due some time after it is issued."""
    customer = (await store.headings_about(tx, customer_id, [customer_id])).get(customer_id, NOTHING)
    return await _is_later(tx, customer_id, customer, NOTHING, plan_days)


async def _is_later(tx: Tx, customer_id: CustomerId, customer: Heading, own: Heading, plan_days: int | None) -> bool:
    collection = await _collection_of(tx, customer_id)
    return rules.heading_of(NOTHING, customer, [own], [plan_days], collection=collection).net_days > 0


async def _collection_of(tx: Tx, customer_id: CustomerId) -> CollectionMethod:
    return (await customers.customers_by_id(tx, [customer_id], scope=None))[customer_id].collection


async def headings_by_id(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Heading]:
    """Return what is set for at most LOOKUP_MAX customers or subscriptions that may be seen: one statement."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.headings_by_id(tx, ids)
