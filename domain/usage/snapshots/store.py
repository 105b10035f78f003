"""The statements that load facts: through the driver, one for any number of customers."""

from collections.abc import Collection, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import asyncpg

from domain.kernel.call import Environment
from domain.kernel.ids import ClockId, CustomerId, SubscriptionId, encode
from domain.usage.event import WINDOW_AHEAD, WINDOW_BACK
from domain.usage.facts import CustomerFacts, SegmentFacts, SubscriptionFacts

SUBSCRIPTIONS_MAX = 20
SEGMENTS_MAX = 64

_FACTS = f"""
SELECT c.customer_id, c.environment, c.clock_id, d.erased_at IS NOT NULL AS is_erased,
       s.id AS subscription_id, s.product_id, s.epoch, COALESCE(g.zone, c.zone) AS zone, g.id AS segment_id,
       g.start_at, g.end_at, g.period_end_at
FROM customer c
JOIN data_key d ON d.customer_id = c.customer_id
LEFT JOIN LATERAL (SELECT * FROM subscription WHERE customer_id = c.customer_id AND status <> 'incomplete'
                   ORDER BY id DESC LIMIT {SUBSCRIPTIONS_MAX}) s ON true
LEFT JOIN LATERAL (SELECT * FROM segment WHERE customer_id = c.customer_id AND subscription_id = s.id
                   ORDER BY start_at DESC LIMIT {SEGMENTS_MAX}) g ON true
WHERE c.customer_id = ANY($1::uuid[])
ORDER BY c.customer_id, s.id DESC, g.start_at DESC
"""  # noqa: S608 -- the two numbers are constants of this module

_CLOCKS = "SELECT id, now_at FROM test_clock WHERE id = ANY($1::uuid[])"


async def load_facts(driver: asyncpg.Connection, ids: Collection[CustomerId]) -> dict[CustomerId, CustomerFacts]:
    """Return what events need to know of these customers, in one statement."""
    rows: dict[CustomerId, list[asyncpg.Record]] = {}
    for row in await driver.fetch(_FACTS, list(ids)):
        rows.setdefault(row["customer_id"], []).append(row)
    return {customer_id: _customer_facts(customer_id, found) for customer_id, found in rows.items()}


def _customer_facts(customer_id: CustomerId, rows: Sequence[asyncpg.Record]) -> CustomerFacts:
    by_subscription: dict[SubscriptionId, list[asyncpg.Record]] = {}
    for row in rows:
        if row["subscription_id"] is not None:
            by_subscription.setdefault(row["subscription_id"], []).append(row)
    return CustomerFacts(
        customer_id,
        Environment(rows[0]["environment"]),
        rows[0]["clock_id"],
        tuple(_subscription_facts(customer_id, found) for found in by_subscription.values()),
        rows[0]["is_erased"],
    )


def _subscription_facts(customer_id: CustomerId, rows: Sequence[asyncpg.Record]) -> SubscriptionFacts:
    first = rows[0]
    # Business time is never far behind the newest segment, so no event in the window belongs to one that ended earlier.
    oldest = first["start_at"] - WINDOW_BACK - WINDOW_AHEAD if first["segment_id"] else None
    segments = tuple(
        SegmentFacts(
            row["segment_id"],
            row["start_at"],
            row["end_at"],
            row["period_end_at"],
            customer_id.bytes + row["segment_id"].bytes,
            ZoneInfo(row["zone"]),
        )
        for row in rows
        if oldest is not None and row["end_at"] > oldest
    )
    name = encode("subscription", first["subscription_id"])
    own = first["subscription_id"]
    return SubscriptionFacts(own, name, own.hex, first["product_id"], first["epoch"], segments)


async def load_clocks(driver: asyncpg.Connection, ids: Collection[ClockId]) -> dict[ClockId, datetime]:
    """Return what test clocks show at this moment."""
    return {row["id"]: row["now_at"] for row in await driver.fetch(_CLOCKS, list(ids))}
