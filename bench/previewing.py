"""Previews: an upgrade inside a month and the next invoice, each done and undone in a transaction of its own."""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from bench.report import Result, at_most, middle
from bench.world import Servers, opened, operator
from domain.adapters import clock
from domain.contracts.changing.wish import Wish
from domain.contracts.previewing import service as previewing
from domain.customers import service as customers
from domain.db import Database, Tx
from domain.kernel.call import Environment
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription

PREVIEWS = 40
P50_MS_MAX = 20
_MS = 1_000
_SINCE = timedelta(days=10)


async def measure(running: Servers, database: str, runs: int) -> list[Result]:
    """Return the median time of a preview of each kind."""
    async with opened(running, database) as db:
        own = await _subscribe(db)

        async def upgrade(tx: Tx) -> None:
            wish = Wish(plan_key="professional")
            found = await previewing.preview_change(tx, operator(), subscription_id=own.id, wish=wish)
            assert found.preview.lines, "an upgrade has lines"

        async def upcoming(tx: Tx) -> None:
            found = await previewing.preview_invoice(tx, operator(), subscription_id=own.id)
            assert found.lines, "a renewal has lines"

        changed, renewed = await _time(db, upgrade, runs), await _time(db, upcoming, runs)
    return [
        at_most("preview of an upgrade, p50", changed, P50_MS_MAX, digits=1, unit=" ms"),
        at_most("preview of the next invoice, p50", renewed, P50_MS_MAX, digits=1, unit=" ms"),
    ]


async def _subscribe(db: Database) -> Subscription:
    """Subscribe a customer of its own to the edge product, some days ago."""
    async with db.transaction() as tx:
        catalogue = await plans.load_catalogue(tx)
        own = await customers.create_customer(
            tx, operator(), environment=Environment.LIVE, name="Preview", email="preview@example.com"
        )
        return await subscriptions.open_subscription(
            tx,
            operator(),
            clock.now() - _SINCE,
            customer=own,
            product_id=catalogue.product("edge").id,
            plan_version_id=catalogue.current_version("edge", "starter").id,
            interval=Interval.MONTH,
            currency="USD",
        )


async def _time(db: Database, preview: Callable[[Tx], Awaitable[None]], runs: int) -> float:
    took = list[float]()
    for _ in range(PREVIEWS * runs):
        started = time.perf_counter()
        async with db.transaction() as tx:
            await preview(tx)
        took.append((time.perf_counter() - started) * _MS)
    return middle(took)
