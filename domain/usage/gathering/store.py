"""The two statements that read many customers' running usage: what they run, and what that has used."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from domain import db
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, MeterId, SubscriptionId
from domain.subscriptions.subscription import Subscription
from domain.usage.counters.counter import SLOTS
from domain.usage.totals.store import Row, Totals, meters_by_id, row_of

_SUMS = ", ".join(f"sum(t.q{slot}) AS q{slot}" for slot in range(SLOTS))
_SLOT_NAMES = ", ".join(f"t.q{slot}" for slot in range(SLOTS))
_NO_SUMS = ", ".join(["NULL::numeric"] * SLOTS)
_NO_MORE_SUMS = ", NULL" * (SLOTS - 1)
_VERSION, _SET, _TOTAL = range(3)
# What a row of a total begins with: its kind, whose it is, and of which subscription.
_OWNERS = 3

_RUNNING = """
SELECT c.customer_id, c.environment, k.now_at, s.id, s.version, s.epoch
FROM customer c
LEFT JOIN test_clock k ON k.id = c.clock_id
LEFT JOIN subscription s ON s.customer_id = c.customer_id AND s.status NOT IN ('incomplete', 'canceled')
WHERE c.customer_id = ANY($1::uuid[])
ORDER BY s.id DESC
"""

_TOTALS = f"""
WITH running AS (
    SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
                  AS r (customer_id, id, start_at, end_at)
), stretch AS (
    SELECT r.customer_id, r.id AS subscription_id, g.id AS segment_id
    FROM running r JOIN segment g ON g.customer_id = r.customer_id AND g.subscription_id = r.id
                                 AND g.period_start_at = r.start_at AND g.period_end_at = r.end_at
), counters AS (
    SELECT p.customer_id, p.subscription_id, t.set_id, t.dimensions, sum(t.events)::bigint AS events, {_SUMS}
    FROM stretch p JOIN counter_total t ON t.customer_id = p.customer_id AND t.segment_id = p.segment_id
    GROUP BY p.customer_id, p.subscription_id, t.set_id, t.dimensions
), others AS (
    SELECT p.customer_id, p.subscription_id, t.meter_id, t.dimensions, sum(t.events)::bigint AS events,
           sum(t.quantity) AS quantity
    FROM stretch p JOIN usage_total t ON t.customer_id = p.customer_id AND t.segment_id = p.segment_id
    GROUP BY p.customer_id, p.subscription_id, t.meter_id, t.dimensions
)
SELECT {_VERSION} AS kind, customer_id, NULL::uuid AS subscription_id, NULL::uuid AS owner, NULL::uuid AS part,
       NULL::text AS named, version AS events, {_NO_SUMS}
FROM usage_version WHERE customer_id = ANY($1::uuid[])
UNION ALL
SELECT {_SET}, NULL, NULL, id, meter_id, NULL, slot, {_NO_SUMS}
FROM meter_set WHERE id IN (SELECT set_id FROM counters)
UNION ALL
SELECT {_TOTAL}, t.customer_id, t.subscription_id, t.set_id, t.dimensions, d."values"::text, t.events, {_SLOT_NAMES}
FROM counters t LEFT JOIN dimension_set d ON d.customer_id = t.customer_id AND d.id = t.dimensions
UNION ALL
SELECT {_TOTAL}, t.customer_id, t.subscription_id, t.meter_id, t.dimensions, d."values"::text, t.events,
       t.quantity{_NO_MORE_SUMS}
FROM others t LEFT JOIN dimension_set d ON d.customer_id = t.customer_id AND d.id = t.dimensions
"""  # noqa: S608 -- made of constants of this module


class Mark(NamedTuple):
    """A running subscription and which state of it is the present one."""

    id: SubscriptionId
    version: int
    epoch: int


class Runner(NamedTuple):
    """A customer: what its test clock shows (None without one), and what it runs, the newest first."""

    environment: Environment
    clock_now: datetime | None
    marks: list[Mark]


async def list_running(tx: db.Tx, customer_ids: Collection[CustomerId]) -> dict[CustomerId, Runner]:
    """Return those of the customers that exist, with what they run."""
    found: dict[CustomerId, Runner] = {}
    for customer_id, environment, now_at, subscription_id, version, epoch in await (await tx.raw()).fetch(
        _RUNNING, list(customer_ids)
    ):
        runner = found.get(customer_id)
        if runner is None:
            runner = found[customer_id] = Runner(Environment(environment), now_at, [])
        if subscription_id is not None:
            runner.marks.append(Mark(subscription_id, version, epoch))
    return found


async def list_totals(
    tx: db.Tx, customer_ids: Collection[CustomerId], running: Sequence[Subscription]
) -> tuple[dict[CustomerId, int], dict[SubscriptionId, Totals]]:
    """Return the usage versions of customers, and what subscriptions have used in their present usage periods.

    All of one moment. Customers and subscriptions that have used nothing yet are missing.
    """
    found = await (await tx.raw()).fetch(
        _TOTALS,
        list(customer_ids),
        [each.customer_id for each in running],
        [each.id for each in running],
        [each.period.start for each in running],
        [each.period.end for each in running],
    )
    return _arranged(found)


def _arranged(found: Iterable[asyncpg.Record]) -> tuple[dict[CustomerId, int], dict[SubscriptionId, Totals]]:
    versions: dict[CustomerId, int] = {}
    sets: dict[UUID, dict[int, MeterId]] = {}
    rows: dict[tuple[CustomerId, SubscriptionId], dict[UUID, list[Row]]] = {}
    for row in found:
        kind, customer_id, subscription_id = row[:_OWNERS]
        if kind == _VERSION:
            versions[customer_id] = row["events"]
        elif kind == _SET:
            sets.setdefault(row["owner"], {})[row["events"]] = row["part"]
        else:
            owner, own = row_of(row[_OWNERS:])
            rows.setdefault((customer_id, subscription_id), {}).setdefault(owner, []).append(own)
    totals: dict[Any, Totals] = {
        subscription_id: Totals(versions.get(customer_id, 0), meters_by_id(own, sets), is_measured=False)
        for (customer_id, subscription_id), own in rows.items()
    }
    return versions, totals
