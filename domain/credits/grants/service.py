"""Grant units, void grants, and replay what usage takes of them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from domain.access.roles import Permission
from domain.credits import unit_grant as rules
from domain.credits.burn import Book, Used, replay
from domain.credits.grants import store
from domain.credits.unit_grant import (
    GRANTS_MAX,
    GrantMalformed,
    GrantNotFound,
    Refill,
    TakingLine,
    TooManyGrants,
    UnitGrant,
)
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, GrantId, InvoiceId, MeterId, SegmentId, SubscriptionId, encode
from domain.kernel.values import dataclass
from domain.plans.plan import Catalogue
from domain.plans.price import MODELS
from domain.subscriptions import service as subscriptions
from domain.subscriptions.service import SubscriptionNotFound
from domain.subscriptions.subscription import Segment, Subscription

USES_SHOWN_MAX = 100


@dataclass(frozen=True, slots=True)
class Terms:
    """What staff say of a new grant; see `UnitGrant`. Without `effective_at` it begins with the present hour."""

    meter_key: str
    name: str
    amount: Decimal
    priority: int = rules.PRIORITY_DEFAULT
    effective_at: datetime | None = None
    expires_at: datetime | None = None
    rollover_max: Decimal | None = None
    rollover_min: Decimal = Decimal(0)
    refill: Refill | None = None


@dataclass(frozen=True, slots=True)
class GrantUse:
    """What one invoice took of a grant; below zero where a later difference gave it back."""

    grant_id: GrantId
    invoice_id: InvoiceId
    quantity: Decimal
    used_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """A grant with its balance now, usage that is not billed yet included, and what invoices took of it."""

    grant: UnitGrant
    balance: Fraction
    uses: tuple[GrantUse, ...]


async def create_grant(
    tx: Tx, call: Call, subscription_id: SubscriptionId, terms: Terms, catalogue: Catalogue
) -> UnitGrant:
    """Grant a subscription units of a meter. Usage of the present usage period may take from them.

    Raises Forbidden, SubscriptionNotFound, CustomerErased, GrantMalformed, TooManyGrants.
    """
    call.need(Permission.CREDIT_WRITE)
    own = call.principal.environment
    found = await subscriptions.find_subscription(tx, subscription_id, scope=call.scope, environment=own)
    if found is None:
        raise SubscriptionNotFound
    await erasing.hold_present(tx, found.customer_id)
    now = await customers.business_now(tx, call, found.customer_id)
    new = UnitGrant(
        customer_id=found.customer_id,
        id=GrantId(call.new_id()),
        subscription_id=found.id,
        meter_id=_meter_id(catalogue, found, terms.meter_key),
        name=terms.name,
        amount=terms.amount,
        priority=terms.priority,
        effective_at=rules.hour_of(terms.effective_at or now, found.zone),
        expires_at=rules.next_hour(terms.expires_at, found.zone) if terms.expires_at else None,
        voided_at=None,
        rollover_max=terms.rollover_max,
        rollover_min=terms.rollover_min,
        refill=terms.refill,
        zone=found.zone,
        created_at=call.at,
    )
    if terms.effective_at is None or terms.effective_at >= found.period.start:
        # A period may begin inside of an hour, which is cut there.
        new = replace(new, effective_at=max(new.effective_at, found.period.start))
    rules.check_grant(new, found.period.start)
    if len(await store.list_grants(tx, found.customer_id, subscription_ids=[found.id])) >= GRANTS_MAX:
        raise TooManyGrants(GRANTS_MAX)
    await store.insert_grant(tx, new)
    await _note(tx, call, now, new, is_new=True)
    return new


def _meter_id(catalogue: Catalogue, subscription: Subscription, key: str) -> MeterId:
    """Return a meter whose usage can be taken from a grant: its hours add up, and its prices are by the unit.

    Raises GrantMalformed.
    """
    found = [meter for meter in catalogue.meters_of(subscription.product_id) if meter.key == key]
    if len(found) != 1 or found[0].aggregation not in rules.ADDITIVE:
        raise GrantMalformed("it needs a meter that counts or sums up")
    prices = (price for version in catalogue.versions.values() for price in version.prices)
    models = {
        MODELS[price.model]
        for price in prices
        if price.meter_id == found[0].id and price.currency == subscription.currency
    }
    if any(model.by_event or model.by_combination or model.for_cost for model in models):
        raise GrantMalformed("the meter is priced by the event, by its dimensions or by cost")
    return found[0].id


async def void_grant(tx: Tx, call: Call, customer_id: CustomerId, grant_id: GrantId) -> UnitGrant:
    """Take what is left of a grant at the next full hour. What it gave stays; safe to repeat.

    Raises Forbidden, CustomerNotFound, GrantNotFound.
    """
    call.need(Permission.CREDIT_WRITE)
    now = await customers.business_now(tx, call, customer_id)
    found = [each for each in await store.list_grants(tx, customer_id) if each.id == grant_id]
    if not found:
        raise GrantNotFound
    if found[0].voided_at is not None:
        return found[0]
    after = replace(found[0], voided_at=rules.next_hour(now, found[0].zone))
    await store.save_voiding(tx, after)
    await _note(tx, call, now, after, is_new=False)
    return after


async def _note(tx: Tx, call: Call, now: datetime, about: UnitGrant, *, is_new: bool) -> None:
    facts = {"grant_id": encode("grant", about.id), "subscription_id": encode("subscription", about.subscription_id)}
    action, event_type = ("grant_units", "units_granted") if is_new else ("void_grant", "grant_voided")
    text = f"{about.name} {'granted' if is_new else 'voided'}"
    await journal.tell(tx, call, now, about.customer_id, event_type, description=text, metadata=facts)
    await journal.audit(tx, call, action, facts["grant_id"], customer_id=about.customer_id, facts=facts)


async def list_grants(tx: Tx, call: Call, customer_id: CustomerId) -> list[Standing]:
    """Return a customer's grants, oldest first, with their balances and the newest USES_SHOWN_MAX uses.

    Raises Forbidden, CustomerNotFound.
    """
    call.need(Permission.CREDIT_READ)
    return await _standing(tx, call, customer_id)


async def load_grant(tx: Tx, call: Call, customer_id: CustomerId, grant_id: GrantId) -> Standing:
    """Return one grant to a use case that has checked its own permission. Raises CustomerNotFound, GrantNotFound."""
    for found in await _standing(tx, call, customer_id):
        if found.grant.id == grant_id:
            return found
    raise GrantNotFound


async def _standing(tx: Tx, call: Call, customer_id: CustomerId) -> list[Standing]:
    now = await customers.business_now(tx, call, customer_id)
    grants = await store.list_grants(tx, customer_id)
    books = await _books(tx, customer_id, grants, now)
    rows = await store.list_uses(tx, customer_id, limit=USES_SHOWN_MAX)
    uses = [GrantUse(row.grant_id, row.invoice_id, row.quantity, row.used_at) for row in rows]
    return [
        Standing(
            each,
            books[each.subscription_id, each.meter_id].balances[str(each.id)],
            tuple(use for use in uses if use.grant_id == each.id),
        )
        for each in grants
    ]


async def taken_by_segment(
    tx: Tx, customer_id: CustomerId, subscription_ids: Collection[SubscriptionId], until: datetime
) -> dict[SegmentId, dict[MeterId, dict[str, Fraction]]]:
    """Return what the usage of each segment before an instant takes of grants, by meter and grant.

    One statement where there are no grants.
    """
    grants = await store.list_grants(tx, customer_id, subscription_ids=subscription_ids)
    found: dict[SegmentId, dict[MeterId, dict[str, Fraction]]] = {}
    for (_, meter_id), book in (await _books(tx, customer_id, grants, until)).items():
        for move in book.moves:
            if move.key and move.amount < 0:
                taken = found.setdefault(SegmentId(UUID(move.key)), {}).setdefault(meter_id, {})
                taken[move.grant_id] = taken.get(move.grant_id, Fraction(0)) - move.amount
    return found


async def _books(
    tx: Tx, customer_id: CustomerId, grants: Sequence[UnitGrant], until: datetime
) -> dict[tuple[SubscriptionId, MeterId], Book]:
    """Replay the usage of each subscription's meters with grants, up to an instant."""
    if not grants:
        return {}
    segments = await subscriptions.segments_of(tx, {each.subscription_id for each in grants})
    owner = {segment.id: own for own, listed in segments.items() for segment in listed}
    usage: dict[tuple[SubscriptionId, MeterId], list[Used]] = {}
    meters = {each.meter_id for each in grants}
    for segment_id, meter_id, hour_at, quantity in await store.list_hours(tx, customer_id, list(owner), meters):
        usage.setdefault((owner[segment_id], meter_id), []).append(Used(hour_at, Fraction(quantity), str(segment_id)))
    found = {}
    for key in {(each.subscription_id, each.meter_id) for each in grants}:
        own = [each for each in grants if (each.subscription_id, each.meter_id) == key]
        found[key] = _replayed(own, usage.get(key, []), segments[key[0]], until)
    return found


def _replayed(grants: Sequence[UnitGrant], usage: Sequence[Used], segments: Sequence[Segment], until: datetime) -> Book:
    """Replay from the usage period of the first grant on: its open overage may be absorbed."""
    first = min(grant.effective_at for grant in grants)
    starts = sorted({segment.period.start for segment in segments})
    start = max((each for each in starts if each <= first), default=first)
    resets = [each for each in starts if each > start]
    return replay([rules.burning(each) for each in grants], usage, start=start, until=until, resets=resets)


async def use(
    tx: Tx, now: datetime, customer_id: CustomerId, invoice_id: InvoiceId, lines: Sequence[TakingLine]
) -> None:
    """Write what lines take of grants as their invoice is opened: the whole of each, less what was taken before."""
    if not lines:
        return
    before = await store.sum_uses(tx, customer_id, {line.segment_id for line in lines})
    grants = {str(each.id): each for each in await store.list_grants(tx, customer_id)}
    uses = []
    for line in lines:
        own = (line.segment_id, line.price_id)
        earlier = {str(key[2]): quantity for key, quantity in before.items() if key[:2] == own}
        for grant_id in sorted({*line.taken, *earlier}, key=lambda each: rules.burning(grants[each]).burn_key):
            quantity = line.taken.get(grant_id, Decimal(0)) - earlier.get(grant_id, Decimal(0))
            if quantity:
                uses.append((grants[grant_id], line, quantity))
    if uses:
        await store.insert_uses(tx, now, invoice_id, uses)


async def give_back(tx: Tx, now: datetime, customer_id: CustomerId, invoice_id: InvoiceId) -> None:
    """Give back what a voided invoice took of grants. Safe to repeat."""
    await store.return_uses(tx, customer_id, invoice_id, now)
