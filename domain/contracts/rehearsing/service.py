"""Start a subscription as if its instant had come, inside of what is undone: nothing of it is opened or told."""

from dataclasses import replace
from datetime import datetime

from domain.contracts.desk.service import Desk
from domain.contracts.starting import service as starting
from domain.contracts.starting.wish import Wish
from domain.db import Tx
from domain.invoices import service as invoices
from domain.kernel.call import Call
from domain.kernel.ids import ProductId
from domain.plans.plan import PlanVersion
from domain.subscriptions import lifecycle
from domain.subscriptions import service as subscriptions
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription


async def rehearse(
    tx: Tx, call: Call, desk: Desk, version: PlanVersion, *, interval: Interval, currency: str, wish: Wish
) -> tuple[Desk, Subscription]:
    """Start it at `wish.starts_at`, which lies ahead, and return the desk as it is then; the caller undoes all of it.

    What is known to end until then has ended, and what is on the draft and will be opened before is not on it. A
    payment method may still come until then, so none is asked for. Raises as `starting.start`.
    """
    at = wish.starts_at
    assert at is not None, "it lies ahead"
    product_id = desk.catalogue.plan_of_version(version.id).product_id
    then = replace(desk, now=at, opens=False, customer=replace(desk.customer, has_method=True))
    await _end_what_ends(tx, desk, product_id, at)
    await invoices.set_aside(tx, call, desk.now, customer=desk.customer, currency=currency, opened_by=at)
    own = replace(wish, starts_at=None)
    return then, await starting.start(tx, call, then, version, interval=interval, currency=currency, wish=own)


async def _end_what_ends(tx: Tx, desk: Desk, product_id: ProductId, at: datetime) -> None:
    """End the subscription of a product that is set to end by an instant: it makes room for the next one."""
    live = await subscriptions.find_live(tx, desk.customer.id, product_id)
    if live is not None and live.ends_at is not None and live.ends_at <= at:
        await subscriptions.save(tx, live, lifecycle.end(live, live.ends_at))
