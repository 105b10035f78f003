"""Routes of subscriptions, usage and invoices (REQUIREMENTS B8).

    GET  /api/billing/plans          what is sold
    GET  /api/billing/subscription   the live subscription of a product, or the newest that has ended
    POST /api/billing/subscribe      {"plan": "starter", "interval": "month"}
    PUT  /api/billing/subscription   {"plan": "professional", "at": "now"}
    POST /api/billing/cancel         {"at_period_end": true, "reason": "unused"}
    GET  /api/billing/usage          what was used of each limit in the present usage period
    GET  /api/billing/invoices       newest first

They act on the caller's customer; whoever is bound to none, such as staff, names one with `?customer=`. `?product=` is
edge where it is left out; of invoices it names those with a line of a product, and all are listed without it. A POST or
PUT with the header Idempotency-Key takes effect once for each key, which is kept for 30 days; without one a second
subscribe is refused, and to cancel or to change to the same again charges nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from api.instants import is_instant
from api.rest.billing_documents import change_document, invoices_document, subscription_document, usage_document
from api.rest.documents import plans_document
from api.rest.reads import Asked, ParameterRefused, Read
from api.rest.writes import Write, once
from domain.access.roles import Permission
from domain.contracts import service as contracts
from domain.contracts.changing.wish import Wish as ChangeWish
from domain.contracts.replanning import service as replanning
from domain.contracts.starting.wish import Wish
from domain.customers import service as customers
from domain.customers.service import CustomerNotFound
from domain.db import Tx
from domain.invoices.listing import service as invoices
from domain.invoices.listing.filter import InvoiceFilter
from domain.kernel.ids import ChangeId, CustomerId, InvoiceId, ProductId, SubscriptionId, decode, encode
from domain.limits import service as limits
from domain.payments.methods import service as methods
from domain.subscriptions import service as subscriptions
from domain.subscriptions.change import ChangeAt
from domain.subscriptions.changes import service as changes
from domain.subscriptions.lifecycle import CancelReason
from domain.subscriptions.schedule import Interval
from domain.subscriptions.service import SubscriptionNotFound
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usage

PRODUCT_DEFAULT = "edge"
PAGE_DEFAULT, PAGE_MAX = 20, 100


class SubscribeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to subscribe to; `bill_day`, `calendar`, `promotion_code` and `quantity` as in the mutation subscribe."""

    plan: str
    interval: Interval = Interval.MONTH
    currency: str = "USD"
    bill_day: int | None = None
    calendar: bool = False
    promotion_code: str | None = None
    quantity: int = 1


class ChangeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different, and when; what is left out stays as it is. As in the mutation changeSubscription."""

    plan: str | None = None
    interval: Interval | None = None
    quantity: int | None = None
    at: ChangeAt | None = None
    proration_date: datetime | None = None


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When to end, and why."""

    at_period_end: bool = True
    cancel_at: datetime | None = None
    reason: CancelReason | None = None
    feedback: str | None = None


async def plans(asked: Asked) -> object:
    """Return the plans of a product, lowest rank first."""
    catalogue = await asked.serving.runtime.catalogue()
    return plans_document(catalogue, catalogue.sold_plans_of(catalogue.product(_product(asked)).id))


async def subscription(asked: Asked) -> object:
    """Return the subscription of a product."""
    customer_id, product_id = customer_of(asked), await _product_id(asked)
    catalogue = await asked.serving.runtime.catalogue()
    async with asked.serving.runtime.db.transaction() as tx:
        await customers.load_customer(tx, asked.call, customer_id)
        found = await _subscription(tx, customer_id, product_id)
    return subscription_document(catalogue, found)


async def used(asked: Asked) -> object:
    """Return what was used of each limit."""
    customer_id, product_id = customer_of(asked), await _product_id(asked)
    catalogue = await asked.serving.runtime.catalogue()
    async with asked.serving.runtime.db.transaction() as tx:
        await customers.load_customer(tx, asked.call, customer_id)
        found = await subscriptions.find_live(tx, customer_id, product_id)
        if found is None:
            raise SubscriptionNotFound
        counted = await usage.current_usage(tx, customer_id, found)
        now = await customers.business_now(tx, asked.call, customer_id)
        overrides = await limits.overrides_in_force(tx, customer_id, product_id, now)
    return usage_document(catalogue, found, limits.limits_of(catalogue, found, counted, overrides))


async def issued(asked: Asked) -> object:
    """Return a page of invoices, of one product only where it is named."""
    customer_id, limit = customer_of(asked), asked.whole("limit", PAGE_DEFAULT, least=1, most=PAGE_MAX)
    before = asked.text("before")
    last = InvoiceId(decode("invoice", before)) if before else None
    wanted = InvoiceFilter(customer_id=customer_id, product=asked.text("product"))
    async with asked.serving.runtime.db.transaction() as tx:
        found = await invoices.list_invoices(tx, asked.call, wanted, before=last, limit=limit + 1)
    page = found[:limit]
    return invoices_document(page, encode("invoice", page[-1].id) if len(found) > limit else None)


async def subscribe(asked: Asked, body: SubscribeBody) -> object:
    """Subscribe."""
    customer_id = customer_of(asked)

    async def act(tx: Tx) -> Mapping[str, str]:
        started = await contracts.subscribe(
            tx,
            asked.call,
            customer_id=customer_id,
            product_key=_product(asked),
            plan_key=body.plan,
            interval=body.interval,
            currency=body.currency,
            wish=Wish(
                bill_day=body.bill_day,
                calendar=body.calendar,
                promotion_code=body.promotion_code,
                quantity=body.quantity,
            ),
        )
        return {"subscription": str(started.id)}

    return await _once(asked, "subscribe", customer_id, body, act)


async def change(asked: Asked, body: ChangeBody) -> object:
    """Change the subscription of a product, in one transaction with its invoice."""
    customer_id, product_id = customer_of(asked), await _product_id(asked)
    _check_instant("proration_date", body.proration_date)

    async def act(tx: Tx) -> Mapping[str, str]:
        found = await _subscription(tx, customer_id, product_id)
        wish = ChangeWish(
            plan_key=body.plan,
            interval=body.interval,
            quantity=body.quantity,
            at=body.at,
            prorate_at=body.proration_date,
            pays_at_once=await methods.answers_at_once(tx, customer_id),
        )
        done = await replanning.change(tx, asked.call, subscription_id=found.id, wish=wish)
        return {"subscription": str(found.id), "change": str(done.change.id)}

    return await _once(asked, "change", customer_id, body, act)


async def cancel(asked: Asked, body: CancelBody) -> object:
    """End the subscription of a product."""
    customer_id, product_id = customer_of(asked), await _product_id(asked)
    _check_instant("cancel_at", body.cancel_at)

    async def act(tx: Tx) -> Mapping[str, str]:
        found = await _subscription(tx, customer_id, product_id)
        ended = await contracts.cancel(
            tx,
            asked.call,
            subscription_id=found.id,
            at_period_end=body.at_period_end,
            at=body.cancel_at,
            reason=body.reason,
            feedback=body.feedback,
        )
        return {"subscription": str(ended.id)}

    return await _once(asked, "cancel", customer_id, body, act)


async def _once(
    asked: Asked,
    name: str,
    customer_id: CustomerId,
    body: msgspec.Struct,
    act: Callable[[Tx], Awaitable[Mapping[str, str]]],
) -> object:
    """Act on a subscription once, and return it as it then stands, or stands now where the key was used before.

    `act` returns the ids of the subscription and, if it made one, of the change, which is then part of the answer.
    """
    given = {**msgspec.to_builtins(body), "product": _product(asked)}
    kept = await once(asked, f"rest:{name}", customer_id, given, act)
    await asked.serving.runtime.wakeups.publish([customer_id])
    catalogue = await asked.serving.runtime.catalogue()
    async with asked.serving.runtime.db.transaction() as tx:
        wanted = SubscriptionId(UUID(kept["subscription"]))
        found = await subscriptions.find_subscription(tx, wanted, scope=customer_id)
        assert found is not None, "subscriptions are never deleted"
        document = subscription_document(catalogue, found)
        if "change" in kept:
            made = await changes.find(tx, customer_id, ChangeId(UUID(kept["change"])))
            assert made is not None, "changes are never deleted"
            document["change"] = change_document(catalogue, made)
    return document


def _check_instant(name: str, given: datetime | None) -> None:
    """Refuse an instant that does not say its zone, or is far from now. Raises ParameterRefused."""
    if given is not None and not is_instant(given):
        raise ParameterRefused(name, "an instant with its zone, such as 2026-02-28T00:00:00Z")


async def _subscription(tx: Tx, customer_id: CustomerId, product_id: ProductId) -> Subscription:
    """Return the live subscription of a product, else the newest. Raises SubscriptionNotFound."""
    mine = [each for each in await subscriptions.list_subscriptions(tx, customer_id) if each.product_id == product_id]
    for each in (*(one for one in mine if one.is_live), *mine):
        return each
    raise SubscriptionNotFound


def _product(asked: Asked) -> str:
    return asked.text("product") or PRODUCT_DEFAULT


async def _product_id(asked: Asked) -> ProductId:
    return (await asked.serving.runtime.catalogue()).product(_product(asked)).id


def customer_of(asked: Asked) -> CustomerId:
    """Return the customer that the request is about. Raises CustomerNotFound, ParameterRefused, IdMalformed."""
    own, named = asked.call.scope, asked.text("customer")
    if named is None:
        if own is None:
            raise ParameterRefused("customer", "needed here: whose subscription it is about, `cus_…`")
        return own
    wanted = CustomerId(decode("customer", named))
    if own not in {None, wanted}:
        raise CustomerNotFound
    return wanted


BILLING = (
    Read("/api/billing/plans", Permission.CATALOGUE_READ, plans),
    Read("/api/billing/subscription", Permission.SUBSCRIPTION_READ, subscription),
    Read("/api/billing/usage", Permission.USAGE_READ, used),
    Read("/api/billing/invoices", Permission.INVOICE_READ, issued),
    Write("/api/billing/subscribe", Permission.SUBSCRIPTION_WRITE, SubscribeBody, subscribe),
    Write("/api/billing/subscription", Permission.SUBSCRIPTION_WRITE, ChangeBody, change, "PUT"),
    Write("/api/billing/cancel", Permission.SUBSCRIPTION_WRITE, CancelBody, cancel),
)
