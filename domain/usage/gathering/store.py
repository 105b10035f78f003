"""The two statements that read many customers' running usage: what they run, and what that has used.

Each leaves out what has not changed since a mark: the id of the oldest transaction that could still write when the rows
were read before. Whatever it or a later one wrote, whether it is new or was just not seen, is read again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import asyncpg

from domain import db
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, MeterId, SubscriptionId
from domain.subscriptions.subscription import Subscription
from domain.usage.counters.counter import SLOTS
from domain.usage.totals.rows import Row
from domain.usage.totals.store import row_of

_SUMS = ", ".join(f"sum(t.q{slot}) AS q{slot}" for slot in range(SLOTS))
_SLOT_NAMES = ", ".join(f"t.q{slot}" for slot in range(SLOTS))
_NO_SUMS = ", ".join(["NULL::numeric"] * SLOTS)
_NO_MORE_SUMS = ", NULL" * (SLOTS - 1)
_VERSION, _SET, _TOTAL = range(3)
# What a row of a total begins with: its kind, whose it is, and of which subscription.
_OWNERS = 3

# Since a mark of null, everything has changed. Ages are compared, as ids of transactions begin anew some day.
_RUNNING = """
WITH asked AS (SELECT * FROM unnest($1::uuid[], $2::xid[]) AS a (customer_id, mark))
SELECT m.mark, f.*
FROM (SELECT xid(pg_snapshot_xmin(pg_current_snapshot())) AS mark) m LEFT JOIN LATERAL (
    SELECT c.customer_id, c.environment, k.now_at, s.id, s.version, s.epoch
    FROM asked a
    JOIN customer c ON c.customer_id = a.customer_id
    LEFT JOIN test_clock k ON k.id = c.clock_id
    LEFT JOIN subscription s ON s.customer_id = c.customer_id AND s.status NOT IN ('incomplete', 'canceled')
    WHERE a.mark IS NULL OR age(c.xmin) <= age(a.mark) OR age(k.xmin) <= age(a.mark) OR EXISTS (
        SELECT FROM subscription o WHERE o.customer_id = a.customer_id AND age(o.xmin) <= age(a.mark)
    )
) f ON true
ORDER BY f.id DESC
"""

_TOTALS = f"""
WITH running AS (
    SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::xid[])
                  AS r (customer_id, id, start_at, end_at, mark)
), stretch AS (
    SELECT r.customer_id, r.id AS subscription_id, r.mark, g.id AS segment_id
    FROM running r JOIN segment g ON g.customer_id = r.customer_id AND g.subscription_id = r.id
                                 AND g.period_start_at = r.start_at AND g.period_end_at = r.end_at
), counters AS (
    SELECT p.customer_id, p.subscription_id, t.set_id, t.dimensions, sum(t.events)::bigint AS events, {_SUMS}
    FROM stretch p JOIN counter_total t ON t.customer_id = p.customer_id AND t.segment_id = p.segment_id
    GROUP BY p.customer_id, p.subscription_id, p.mark, t.set_id, t.dimensions
    HAVING p.mark IS NULL OR min(age(t.xmin)) <= age(p.mark)
), others AS (
    SELECT p.customer_id, p.subscription_id, t.meter_id, t.dimensions, sum(t.events)::bigint AS events,
           sum(t.quantity) AS quantity
    FROM stretch p JOIN usage_total t ON t.customer_id = p.customer_id AND t.segment_id = p.segment_id
    GROUP BY p.customer_id, p.subscription_id, p.mark, t.meter_id, t.dimensions
    HAVING p.mark IS NULL OR min(age(t.xmin)) <= age(p.mark)
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


class State(NamedTuple):
    """A running subscription and which state of it is the present one."""

    id: SubscriptionId
    version: int
    epoch: int


class Runner(NamedTuple):
    """A customer: what its test clock shows (None without one), and what it runs, the newest first."""

    environment: Environment
    clock_now: datetime | None
    states: list[State]


class Read(NamedTuple):
    """What was read of totals: versions of customers, meters of sets, and the rows of subscriptions."""

    versions: dict[CustomerId, int]
    sets: dict[UUID, dict[int, MeterId]]
    rows: dict[SubscriptionId, dict[UUID, dict[UUID, Row]]]


async def list_running(tx: db.Tx, marks: Mapping[CustomerId, int | None]) -> tuple[int, dict[CustomerId, Runner]]:
    """Return the mark of this reading, and those of the customers that exist and have changed since their marks.

    A customer has changed when its row, its clock or any of its subscriptions has.
    """
    found: dict[CustomerId, Runner] = {}
    mark = 0
    for mark, customer_id, environment, now_at, subscription_id, version, epoch in await (await tx.raw()).fetch(  # noqa: B007
        _RUNNING, list(marks), list(marks.values())
    ):
        if customer_id is None:
            continue
        runner = found.get(customer_id)
        if runner is None:
            runner = found[customer_id] = Runner(Environment(environment), now_at, [])
        if subscription_id is not None:
            runner.states.append(State(subscription_id, version, epoch))
    return mark, found


async def list_totals(
    tx: db.Tx, customer_ids: Collection[CustomerId], running: Sequence[tuple[Subscription, int | None]]
) -> Read:
    """Return the usage versions of customers, and what subscriptions have used in their present usage periods.

    Of a subscription with a mark, only rows that changed since. All of one moment. Customers and subscriptions that
    have used nothing yet are missing, and so are subscriptions of which nothing changed.
    """
    found = await (await tx.raw()).fetch(
        _TOTALS,
        list(customer_ids),
        [each.customer_id for each, _ in running],
        [each.id for each, _ in running],
        [each.period.start for each, _ in running],
        [each.period.end for each, _ in running],
        [mark for _, mark in running],
    )
    return _read(found)


def _read(found: Iterable[asyncpg.Record]) -> Read:
    read = Read({}, {}, {})
    for row in found:
        kind, customer_id, subscription_id = row[:_OWNERS]
        if kind == _VERSION:
            read.versions[customer_id] = row["events"]
        elif kind == _SET:
            read.sets.setdefault(row["owner"], {})[row["events"]] = row["part"]
        else:
            owner, own = row_of(row[_OWNERS:])
            read.rows.setdefault(subscription_id, {}).setdefault(owner, {})[own.part] = own
    return read
