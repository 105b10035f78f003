"""Create and read customers, tell their business time, and advance test clocks."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from domain.access.roles import Permission
from domain.customers import clock as clocks
from domain.customers import store
from domain.customers.clock import Clock, ClockState
from domain.customers.customer import Customer, check_customer, check_present, check_zone
from domain.customers.store import Sight
from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.call import Call, Environment, Forbidden, Principal
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import ClockId, CustomerId, encode
from domain.kernel.values import dataclass
from domain.vault import DataKey

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101
LOOKUP_MAX = 1_000
ADVANCING_MAX = 100


@dataclass(eq=False)
class CustomerNotFound(DomainError):
    """There is no such customer."""

    code = "customer_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class ClockNotFound(DomainError):
    """There is no such test clock."""

    code = "clock_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class ExternalIdTaken(DomainError):
    """Another {environment} customer has this external id. Use that customer, or another id."""

    code = "external_id_taken"
    kind = Kind.CONFLICT
    environment: str


@dataclass(eq=False)
class EnvironmentRefused(DomainError):
    """This key or token works in the {environment} environment only."""

    code = "environment_refused"
    kind = Kind.FORBIDDEN
    environment: str


async def create_customer(
    tx: Tx,
    call: Call,
    *,
    environment: Environment,
    name: str,
    email: str,
    zone: str = "UTC",
    locale: str = "en",
    country: str | None = None,
    external_id: str | None = None,
    clock_id: ClockId | None = None,
) -> Customer:
    """Create a customer, live or test for life, with a data key of its own.

    Not repeatable by itself: give an external id to have a repetition refused. Raises the errors of
    `customer.check_customer`, ExternalIdTaken, ClockNotFound, EnvironmentRefused, Forbidden.
    """
    call.need(Permission.CUSTOMER_WRITE)
    if call.scope is not None:
        raise Forbidden(Permission.CUSTOMER_WRITE)
    _need_environment(call, environment)
    new = Customer(
        id=CustomerId(call.new_id()),
        environment=environment,
        external_id=external_id,
        name=name.strip(),
        email=email.strip(),
        zone=zone,
        locale=locale,
        country=country,
        clock_id=clock_id,
        created_at=call.at,
        version=1,
    )
    check_customer(new)
    if clock_id is not None and not await store.clocks_by_id(tx, [clock_id]):
        raise ClockNotFound
    if not await store.insert_customer(tx, new, tx.vault.new_wrapped_key(str(new.id))):
        raise ExternalIdTaken(environment)
    facts = {"environment": environment, "clock_id": encode("clock", clock_id) if clock_id else None}
    await journal.audit(tx, call, "create_customer", encode("customer", new.id), customer_id=new.id, facts=facts)
    return new


async def load_customer(tx: Tx, call: Call, customer_id: CustomerId) -> Customer:
    """Return a customer to a use case that has checked its own permission.

    Another customer's id, and one of another environment than the principal's, raise CustomerNotFound.
    """
    found = await store.customers_by_id(tx, [customer_id], sight=_sight(call))
    if customer_id not in found:
        raise CustomerNotFound
    return found[customer_id]


async def get_customer(tx: Tx, call: Call, customer_id: CustomerId) -> Customer:
    """Return a customer to whoever may read customers. Raises CustomerNotFound as `load_customer`, Forbidden."""
    call.need(Permission.CUSTOMER_READ)
    return await load_customer(tx, call, customer_id)


async def change_locale(tx: Tx, call: Call, customer_id: CustomerId, locale: str) -> None:
    """Write a customer's documents and notices in another language from now on. Safe to repeat.

    The caller has checked its own permission. Raises CustomerNotFound, LocaleMalformed.
    """
    before = await load_customer(tx, call, customer_id)
    check_customer(replace(before, locale=locale))
    if locale != before.locale:
        await store.save_locale(tx, before, locale)
        facts = {"locale": locale}
        about = encode("customer", before.id)
        await journal.audit(tx, call, "change_locale", about, customer_id=before.id, facts=facts)


async def change_zone(tx: Tx, call: Call, customer_id: CustomerId, zone: str) -> Customer:
    """Have a customer live in another zone: notices and new subscriptions go by it at once. Safe to repeat.

    A subscription that runs goes over to it at a boundary of its own. Raises Forbidden, CustomerNotFound,
    CustomerErased, ZoneUnknown.
    """
    call.need(Permission.PROFILE_WRITE)
    before = await load_customer(tx, call, customer_id)
    check_present(before)
    after = replace(before, zone=check_zone(zone))
    if after == before:
        return before
    saved = await store.save_zone(tx, before, zone)
    facts = {"zone": zone, "zone_before": before.zone}
    await journal.audit(tx, call, "change_zone", encode("customer", before.id), customer_id=before.id, facts=facts)
    return saved


async def set_consolidation(tx: Tx, call: Call, customer_id: CustomerId, *, consolidates: bool) -> Customer:
    """Say whether what falls due of a customer's subscriptions at the same instant is on one invoice from now on.

    Only for staff. Safe to repeat. Raises Forbidden, CustomerNotFound, CustomerErased.
    """
    call.need(Permission.INVOICE_WRITE)
    if call.scope is not None:
        raise Forbidden(Permission.INVOICE_WRITE)
    before = await load_customer(tx, call, customer_id)
    check_present(before)
    if before.consolidates != consolidates:
        await store.save_consolidates(tx, customer_id, consolidates=consolidates)
        about, facts = encode("customer", customer_id), {"consolidates": consolidates}
        await journal.audit(tx, call, "set_consolidation", about, customer_id=customer_id, facts=facts)
    return await load_customer(tx, call, customer_id)


async def touch(tx: Tx, customer_id: CustomerId) -> None:
    """Tell whoever keeps what it has read of a customer that something of it has changed that is not kept here."""
    await store.touch(tx, customer_id)


async def find_customer(tx: Tx, call: Call, customer_id: CustomerId) -> Customer | None:
    """Return a customer, or None where there is none that the caller may see. Raises Forbidden."""
    call.need(Permission.CUSTOMER_READ)
    return (await store.customers_by_id(tx, [customer_id], sight=_sight(call))).get(customer_id)


async def list_customers(
    tx: Tx,
    call: Call,
    *,
    environment: Environment | None = None,
    email: str | None = None,
    after: CustomerId | None = None,
    limit: int = PAGE_MAX,
) -> Sequence[Customer]:
    """Return customers newest first, at most PAGE_MAX; `after` is the id of the last one seen. Raises Forbidden.

    `email` finds those with exactly this address, in any case of letters.
    """
    call.need(Permission.CUSTOMER_READ)
    return await store.list_customers(
        tx, sight=_sight(call), environment=environment, email=email, after=after, limit=_page(limit)
    )


async def count_customers(tx: Tx, call: Call, *, environment: Environment | None = None) -> int:
    """Count the customers that the caller may see. Raises Forbidden."""
    call.need(Permission.CUSTOMER_READ)
    return await store.count_customers(tx, sight=_sight(call), environment=environment)


async def customers_by_id(
    tx: Tx, ids: Collection[CustomerId], *, scope: CustomerId | None, environment: Environment | None = None
) -> dict[CustomerId, Customer]:
    """Return those of at most LOOKUP_MAX customers that may be seen: one statement, for loaders."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.customers_by_id(tx, ids, sight=Sight(scope, environment))


async def customers_by_external_id(
    tx: Tx, call: Call, external_ids: Collection[str], *, environment: Environment
) -> dict[str, Customer]:
    """Return the customers of one environment by the merchant's own ids, at most LOOKUP_MAX. Raises Forbidden."""
    call.need(Permission.CUSTOMER_READ)
    assert len(external_ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.customers_by_external_id(tx, external_ids, environment=environment, sight=_sight(call))


async def data_key(tx: Tx, customer_id: CustomerId) -> DataKey:
    """Return the unwrapped key that seals what is stored about a customer. Raises CustomerNotFound."""
    wrapped = await store.find_wrapped_key(tx, customer_id)
    if wrapped is None:
        raise CustomerNotFound
    return tx.vault.unwrap(str(customer_id), wrapped)


async def data_keys(tx: Tx, customer_ids: Collection[CustomerId]) -> dict[CustomerId, DataKey]:
    """Return the unwrapped keys of several customers, by their ids; of one that has none there is nothing."""
    found = await store.find_wrapped_keys(tx, customer_ids) if customer_ids else {}
    return {customer_id: tx.vault.unwrap(str(customer_id), wrapped) for customer_id, wrapped in found.items()}


async def note_method(tx: Tx, customer_id: CustomerId, *, has_method: bool) -> None:
    """Note whether a payment method is attached: `payments` tells, and what lies between looks here. Safe to repeat."""
    await store.save_has_method(tx, customer_id, has_method=has_method)


async def business_now(tx: Tx, call: Call, customer_id: CustomerId) -> datetime:
    """Return what time it is for a customer: its test clock's, or the call's. Raises CustomerNotFound."""
    return (await clock_of(tx, call, customer_id))[1]


async def clock_of(tx: Tx, call: Call, customer_id: CustomerId) -> tuple[ClockId | None, datetime]:
    """Return a customer's test clock, None for real time, and what time it is on it. Raises CustomerNotFound."""
    found = await store.find_customer_now(tx, customer_id, sight=_sight(call))
    if found is None:
        raise CustomerNotFound
    clock_id, now = found
    return clock_id, now or call.at


def is_seen(principal: Principal, customer_id: CustomerId, environment: Environment) -> bool:
    """Whether a caller sees a customer that was read for others too: its own, or any of the principal's environment."""
    return principal.customer_id in {None, customer_id} and principal.environment in {None, environment}


async def clock_now(tx: Tx, call: Call, clock_id: ClockId | None) -> datetime:
    """Return what a test clock shows, or real time without one. Raises ClockNotFound."""
    if clock_id is None:
        return call.at
    found = await store.clocks_by_id(tx, [clock_id])
    if clock_id not in found:
        raise ClockNotFound
    return found[clock_id].now_at


async def create_clock(tx: Tx, call: Call, *, name: str, now_at: datetime) -> Clock:
    """Create a test clock that stands at an instant. Raises ClockNameMalformed, ClockOutOfRange, Forbidden."""
    _need_clocks(call, Permission.CLOCK_WRITE)
    assert now_at.tzinfo is not None, "instants know their zone"
    new = Clock(
        id=ClockId(call.new_id()),
        name=name.strip(),
        now_at=now_at.astimezone(UTC),
        target_at=None,
        state=ClockState.READY,
        reason=None,
        created_at=call.at,
        version=1,
    )
    clocks.check_clock(new)
    await store.insert_clock(tx, new)
    await journal.audit(tx, call, "create_clock", encode("clock", new.id), facts={"now_at": new.now_at.isoformat()})
    return new


async def get_clock(tx: Tx, call: Call, clock_id: ClockId) -> Clock:
    """Return a test clock. Raises ClockNotFound, Forbidden."""
    _need_clocks(call, Permission.CLOCK_READ)
    found = await store.clocks_by_id(tx, [clock_id])
    if clock_id not in found:
        raise ClockNotFound
    return found[clock_id]


async def list_clocks(tx: Tx, call: Call, *, after: ClockId | None = None, limit: int = PAGE_MAX) -> Sequence[Clock]:
    """Return test clocks newest first, at most PAGE_MAX; `after` is the id of the last one seen. Raises Forbidden."""
    _need_clocks(call, Permission.CLOCK_READ)
    return await store.list_clocks(tx, after=after, limit=_page(limit))


async def clocks_by_id(tx: Tx, ids: Collection[ClockId]) -> dict[ClockId, Clock]:
    """Return the test clocks of at most LOOKUP_MAX ids: one statement, for loaders."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.clocks_by_id(tx, ids)


async def start_advance(tx: Tx, call: Call, clock_id: ClockId, to: datetime) -> Clock:
    """Send a test clock on its way to an instant; a worker then moves it from due instant to due instant.

    Safe to repeat with the same instant, on the way and after arrival. A failed advance can be started again. Raises
    ClockNotFound, ClockCannotGoBack, ClockAdvancing, AdvanceTooFar, ClockOutOfRange, Forbidden.
    """
    _need_clocks(call, Permission.CLOCK_WRITE)
    assert to.tzinfo is not None, "instants know their zone"
    before = await _lock_clock(tx, clock_id)
    after = clocks.start(before, to.astimezone(UTC))
    if after != before:
        await store.save_clock(tx, before, after)
        facts = {"from": before.now_at.isoformat(), "to": to.astimezone(UTC).isoformat()}
        await journal.audit(tx, call, "advance_clock", encode("clock", clock_id), facts=facts)
    return after


async def list_advancing_clocks(tx: Tx) -> Sequence[Clock]:
    """Return clocks on their way, oldest first, at most ADVANCING_MAX: what a worker has to drive."""
    return await store.list_advancing_clocks(tx, limit=ADVANCING_MAX)


async def list_clocks_with_due_jobs(tx: Tx, at: datetime, kinds: Collection[str] | None = None) -> Sequence[Clock]:
    """Return clocks, advancing or not, on which a job is due and not on offer, at most ADVANCING_MAX.

    `kinds` leaves out all other kinds of job.
    """
    return await store.list_clocks_with_due_jobs(tx, at=at, kinds=kinds, limit=ADVANCING_MAX)


async def move_clock(tx: Tx, call: Call, clock_id: ClockId, to: datetime) -> Clock:
    """Step an advancing clock forward, at most to its target, and return it as it now stands.

    Holds the clock's row until the transaction ends. An earlier or equal instant changes nothing. A clock that has
    reached its target still advances until `end_advance`, after the work due there is done.
    """
    _need_clocks(call, Permission.CLOCK_WRITE)
    before = await _lock_clock(tx, clock_id)
    after = clocks.move(before, to)
    if after != before:
        await store.save_clock(tx, before, after)
    return after


async def end_advance(tx: Tx, call: Call, clock_id: ClockId, *, reason: str | None = None) -> Clock:
    """Stop advancing: ready at the target, or failed where the clock stands, with a reason. Safe to repeat.

    Without a reason the clock must stand at its target.
    """
    _need_clocks(call, Permission.CLOCK_WRITE)
    before = await _lock_clock(tx, clock_id)
    after = clocks.end(before, reason)
    if after != before:
        await store.save_clock(tx, before, after)
        facts = {"at": after.now_at.isoformat(), "state": after.state, "reason": after.reason}
        await journal.audit(tx, call, "end_advance", encode("clock", clock_id), facts=facts)
    return after


def _page(limit: int) -> int:
    return max(0, min(limit, PAGE_MAX))


def _sight(call: Call) -> Sight:
    return Sight(call.scope, call.principal.environment)


def _need_environment(call: Call, environment: Environment) -> None:
    own = call.principal.environment
    if own is not None and own is not environment:
        raise EnvironmentRefused(own)


def _need_clocks(call: Call, permission: Permission) -> None:
    """Refuse whoever is bound to one customer or to the live environment: a clock moves many test customers."""
    call.need(permission)
    if call.scope is not None:
        raise Forbidden(permission)
    _need_environment(call, Environment.TEST)


async def _lock_clock(tx: Tx, clock_id: ClockId) -> Clock:
    found = await store.lock_clock(tx, clock_id)
    if found is None:
        raise ClockNotFound
    return found
