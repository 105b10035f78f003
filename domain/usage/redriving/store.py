"""The statements of a re-drive: what stands in quarantine, and what became of it."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, EventId, ProviderPriceId
from domain.kernel.values import dataclass
from domain.usage.arrays import array
from domain.usage.resolve import Row
from domain.usage.sealed import open_sent
from domain.usage.verdict import Reason
from domain.vault import Vault

Driver = asyncpg.Connection

_OPEN = """
SELECT q.customer_id, id, received_at, environment, product, source, event_id, type, customer, subscription,
       sender_customer_id, corrects, occurred_at, properties::text AS plain, sealed, d.wrapped,
       d.erased_at IS NOT NULL AS is_erased, reason
FROM quarantined_event q LEFT JOIN data_key d ON d.customer_id = q.customer_id
WHERE resolved_at IS NULL AND ($1::uuid[] IS NULL OR id = ANY($1::uuid[])) AND ($2::text IS NULL OR reason = $2)
  AND ($3::uuid IS NULL OR q.customer_id = $3) AND ($4::text IS NULL OR environment = $4)
  AND ($5::uuid IS NULL OR id > $5)
ORDER BY id LIMIT $6
"""

_LOCK = """
SELECT q.id FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text[]) AS k (customer_id, id, reason)
JOIN quarantined_event q ON q.customer_id = k.customer_id AND q.id = k.id
WHERE q.resolved_at IS NULL AND q.reason = k.reason ORDER BY q.customer_id, q.id FOR UPDATE OF q
"""

_RESOLVE = """
UPDATE quarantined_event q SET resolved_at = $3
FROM unnest($1::text::uuid[], $2::text::uuid[]) AS k (customer_id, id)
WHERE q.customer_id = k.customer_id AND q.id = k.id
"""

_FORGET = """
DELETE FROM quarantined_event q USING (
    SELECT customer_id, id FROM quarantined_event WHERE resolved_at < $1 ORDER BY resolved_at LIMIT $2
) AS old WHERE q.customer_id = old.customer_id AND q.id = old.id
"""

_SAVE_REASONS = """
UPDATE quarantined_event q SET reason = k.reason, detail = k.detail
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::text[], $4::text[]) AS k (customer_id, id, reason, detail)
WHERE q.customer_id = k.customer_id AND q.id = k.id
"""

_COUNT_IDENTITIES = """
UPDATE event_identity i SET verdict = 1
FROM unnest($1::text::uuid[], $2::text::uuid[]) AS k (customer_id, identity)
WHERE i.customer_id = k.customer_id AND i.identity = k.identity
"""

_SAVE_COSTS = """
UPDATE usage_event e SET cost = k.cost, price_ids = k.price_ids::uuid[], meter_set = k.meter_set
FROM unnest($1::text::uuid[], $2::text::uuid[], $3::timestamptz[], $4::text::numeric[], $5::text[], $6::text::uuid[])
     AS k (customer_id, id, received_at, cost, price_ids, meter_set)
WHERE e.customer_id = k.customer_id AND e.id = k.id AND e.received_at = k.received_at
"""


@dataclass(frozen=True, slots=True)
class Held:
    """An event in quarantine as it was sent. `sender_customer_id`: the only customer the key could report on.

    `properties` are None where they were erased: it cannot be counted any more.
    """

    customer_id: CustomerId
    id: EventId
    received_at: datetime
    environment: Environment
    product: str
    source: str
    event_id: str
    type: str
    customer: str
    subscription: str | None
    sender_customer_id: CustomerId | None
    corrects: str | None
    occurred_at: datetime
    properties: dict[str, Any] | None
    reason: Reason


class Cost(NamedTuple):
    """What a counted event turned out to cost; `meter_set` names the meters that count it now."""

    held: Held
    cost: Decimal
    price_ids: Sequence[ProviderPriceId]
    meter_set: bytes


async def list_held(
    driver: Driver,
    vault: Vault,
    *,
    ids: Collection[EventId] | None,
    reason: Reason | None,
    scope: CustomerId | None,
    environment: Environment | None,
    after: EventId | None,
    limit: int,
) -> Sequence[Held]:
    """Return events in quarantine that are open, the first received first; `after` is the id of the last one seen."""
    rows = await driver.fetch(_OPEN, list(ids) if ids is not None else None, reason, scope, environment, after, limit)
    return [_held(vault, row) for row in rows]


def _held(vault: Vault, row: asyncpg.Record) -> Held:
    return Held(
        row["customer_id"],
        row["id"],
        row["received_at"],
        Environment(row["environment"]),
        row["product"],
        row["source"],
        row["event_id"],
        row["type"],
        row["customer"],
        row["subscription"],
        row["sender_customer_id"],
        row["corrects"],
        row["occurred_at"],
        open_sent(
            vault,
            row["customer_id"],
            row["id"],
            plain=row["plain"],
            sealed=row["sealed"],
            key=row["wrapped"],
            is_erased=row["is_erased"],
        ),
        Reason(row["reason"]),
    )


async def lock_held(driver: Driver, held: Iterable[Held]) -> set[UUID]:
    """Keep events in quarantine from other re-drives, and return the ids of those that wait for the same reason still.

    One that another re-drive has counted since, without a price, is open for another reason: it is not counted again.
    """
    listed = sorted(held, key=lambda each: (each.customer_id, each.id))
    reasons = [str(each.reason) for each in listed]
    return {row["id"] for row in await driver.fetch(_LOCK, *_keys(listed), reasons)}


async def resolve_held(driver: Driver, held: Sequence[Held], at: datetime) -> None:
    """Mark events as resolved at a real instant."""
    if held:
        await driver.execute(_RESOLVE, *_keys(held), at)


async def save_reasons(driver: Driver, found: Sequence[tuple[Held, Reason, str | None]]) -> None:
    """Keep why events stay in quarantine."""
    if found:
        reasons, details = [str(reason) for _, reason, _ in found], [detail for _, _, detail in found]
        await driver.execute(_SAVE_REASONS, *_keys([held for held, _, _ in found]), reasons, details)


async def save_identities_counted(driver: Driver, rows: Sequence[Row]) -> None:
    """Mark identities as those of events that are counted now."""
    if rows:
        customers, identities = (
            array([row.customer_id.hex for row in rows]),
            array([row.identity.hex() for row in rows]),
        )
        await driver.execute(_COUNT_IDENTITIES, customers, identities)


async def save_costs(driver: Driver, priced: Collection[Cost]) -> None:
    """Keep on counted events what they cost, the rows of the price list that say so, and the meters that count them."""
    if priced:
        await driver.execute(
            _SAVE_COSTS,
            *_keys([each.held for each in priced]),
            [each.held.received_at for each in priced],
            array([str(each.cost) for each in priced]),
            [f"{{{','.join(map(str, each.price_ids))}}}" for each in priced],
            array([each.meter_set.hex() for each in priced]),
        )


def _keys(held: Sequence[Held]) -> tuple[str, str]:
    return array([each.customer_id.hex for each in held]), array([each.id.hex for each in held])


async def delete_resolved(driver: Driver, *, before: datetime, limit: int) -> int:
    """Delete events that were resolved before an instant; those that wait stay. Return how many."""
    done = await driver.execute(_FORGET, before, limit)
    return int(done.rpartition(" ")[2])
