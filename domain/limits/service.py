"""Show where a subscription stands against its limits, grant overrides, and explain decisions.

Checks and reservations before a call are `reserving/service.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, ProductId, encode
from domain.kernel.money import exact_text
from domain.limits import store
from domain.limits.account import Basis, allowances_of
from domain.limits.comparing import terms_of
from domain.limits.explanation import Decision
from domain.limits.leasing import store as leasing_store
from domain.limits.output_limit import output_limit_of
from domain.limits.override import (
    OVERRIDES_MAX,
    LimitUnknown,
    Override,
    TooManyOverrides,
    Wish,
    catalogue_limits,
    check,
    in_force,
)
from domain.limits.passing import service as passing
from domain.limits.settling import store as settling_store
from domain.limits.status import LimitStatus
from domain.limits.unsettled import store as unsettled_store
from domain.plans.plan import Catalogue
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Subscription
from domain.usage.reading import Usage

# How long what is past its use can still be looked at.
LEASES_KEPT = timedelta(hours=1)
RESERVATIONS_KEPT = timedelta(days=35)
DECISIONS_KEPT = timedelta(days=90)
SWEEP_MAX = 5_000
# As many as the watched customers of one process, and more.
GRANTED_MAX = 20_000


def limits_of(
    catalogue: Catalogue,
    subscription: Subscription,
    usage: Usage,
    overrides: Mapping[str, Override],
) -> list[LimitStatus]:
    """Compare a usage period with every limit that checks answer by, in the order of the plan.

    That is the plan version now in force, or under restricted access the free plan. The whole period counts, also what
    was used under another version. A cost cap counts list price times markup; in a plan that includes its usage (a
    markup of 0) it counts the list price.
    """
    return [each.status(usage) for each in terms_of(catalogue, subscription, overrides)]


async def output_limit(tx: Tx, catalogue: Catalogue, customer_id: CustomerId, event_type: str) -> int | None:
    """Return the output limit of a call of a type that states none, by the customer's plan.

    None where the plan names none, and where nothing is subscribed: then nothing may be called either.
    """
    products = {meter.product_id for meter in catalogue.meters_for(event_type)}
    for product_id in products:
        subscription = await subscriptions.find_live(tx, customer_id, product_id)
        if subscription is not None:
            return output_limit_of(catalogue.version(subscription.plan_version_id))
    return None


async def set_override(tx: Tx, call: Call, catalogue: Catalogue, customer_id: CustomerId, wish: Wish) -> Override:
    """Grant a customer another amount of one limit.

    A later override replaces an earlier one while it is in force; processes that check know of it within seconds.
    Raises Forbidden, CustomerNotFound, CustomerErased, ProductNotFound, LimitUnknown, OverrideMalformed,
    TooManyOverrides.
    """
    call.need(Permission.LIMIT_WRITE)
    product = catalogue.product(wish.product)
    customer = await erasing.load_present(tx, call, customer_id)
    now = await customers.business_now(tx, call, customer_id)
    if wish.key not in catalogue_limits(catalogue, product.id):
        raise LimitUnknown(wish.product, wish.key)
    made = check(
        Override(
            customer_id,
            call.new_id(),
            product.id,
            wish.key,
            wish.amount,
            wish.from_at or now,
            wish.until_at,
            wish.reason,
            call.principal.id,
            call.at,
        )
    )
    # Whoever shows limits reads overrides again where the customer is read anew. Two at once follow one another by it.
    await customers.touch(tx, customer_id)
    if await store.count_overrides(tx, customer_id) >= OVERRIDES_MAX:
        raise TooManyOverrides(OVERRIDES_MAX)
    await store.insert_override(tx, made)
    for at in (max(made.from_at, now), made.until_at):
        if at is not None and at >= now:
            job = jobs.CheckOverride(customer_id)
            await journal.stage(tx, call, job, customer_id=customer_id, clock_id=customer.clock_id, run_at=at)
    facts = {
        "product": wish.product,
        "key": made.key,
        "amount": None if made.amount is None else exact_text(made.amount),
        "from_at": made.from_at.isoformat(),
        "until_at": made.until_at.isoformat() if made.until_at else None,
    }
    about = encode("override", made.id)
    await journal.audit(tx, call, "set_limit_override", about, customer_id=customer_id, facts=facts)
    return made


async def passings(
    tx: Tx,
    catalogue: Catalogue,
    subscription: Subscription,
    used: Usage,
    overrides: Mapping[str, Override],
    *,
    at: datetime | None,
) -> dict[str, datetime]:
    """Return when soft limits were first passed in the present usage period, by their keys; new ones are noted.

    The hours of grace of checks, reservations and alerts run from there. `at`: see passing/service.py.
    """
    found = await subscriptions.segments_of(tx, [subscription.id], ending_after=subscription.period.start)
    own = tuple(each for each in found[subscription.id] if each.period == subscription.period)
    allowances = allowances_of(catalogue, subscription, overrides)
    return await passing.passings(tx, catalogue, Basis(subscription, own), allowances, used, at=at)


async def overrides_in_force(
    tx: Tx, customer_id: CustomerId, product_id: ProductId, now: datetime
) -> dict[str, Override]:
    """Return the override of each limit of a product that holds at an instant of business time, by its key."""
    return in_force(await store.list_overrides(tx, customer_id, limit=OVERRIDES_MAX), product_id, now)


class Granted:
    """The overrides that a process has read, of the `most` customers that it read any of last."""

    def __init__(self, most: int = GRANTED_MAX) -> None:
        self._most = most
        self._known: dict[object, Sequence[Override]] = {}

    async def load(self, tx: Tx, of: Sequence[tuple[CustomerId, object]]) -> list[Sequence[Override]]:
        """Return all overrides of each customer, for `in_force`. The caller has checked the scopes.

        Each comes with what was read of it before, an object that is the very same for as long as the customer's row
        is: `set_override` writes that anew. One statement, for those alone that have another one than the last time; a
        customer has at most OVERRIDES_MAX.
        """
        known = {epoch: self._known[epoch] for _, epoch in of if epoch in self._known}
        missing = {customer_id: epoch for customer_id, epoch in of if epoch not in known}
        found = await store.overrides_of_customers(tx, missing) if missing else {}
        read = {epoch: found.get(customer_id, ()) for customer_id, epoch in missing.items()}
        self._known |= read
        while len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        # Others that load meanwhile may have had to let go of what was known.
        known |= read
        return [known[epoch] for _, epoch in of]


async def list_overrides(tx: Tx, call: Call, customer_id: CustomerId) -> list[Override]:
    """Return a customer's overrides, the newest first. Raises Forbidden, CustomerNotFound."""
    call.need(Permission.LIMIT_READ)
    await customers.load_customer(tx, call, customer_id)
    return await store.list_overrides(tx, customer_id, limit=OVERRIDES_MAX)


async def find_decision(tx: Tx, call: Call, decision_id: UUID) -> Decision | None:
    """Return a decision with its numbers, or None where the caller sees none. Raises Forbidden."""
    call.need(Permission.LIMIT_READ)
    found = await store.find_decision(tx, decision_id, scope=call.scope)
    if found is None:
        return None
    try:
        await customers.load_customer(tx, call, found.customer_id)
    except customers.CustomerNotFound:
        return None
    return found


async def sweep(tx: Tx, call: Call) -> int:
    """Delete leases, reservations and decisions that are past their use, a bounded number; return how many.

    What was found unsettled is listed as long as its reservation is kept.
    """
    leases = await leasing_store.delete_leases(tx, call.at - LEASES_KEPT, limit=SWEEP_MAX)
    reservations = await settling_store.delete_reservations(tx, call.at - RESERVATIONS_KEPT, limit=SWEEP_MAX)
    unsettled = await unsettled_store.delete_unsettled(tx, call.at - RESERVATIONS_KEPT, limit=SWEEP_MAX)
    decisions = await store.delete_decisions(tx, call.at - DECISIONS_KEPT, limit=SWEEP_MAX)
    return leases + reservations + unsettled + decisions
