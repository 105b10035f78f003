"""Find what falls due at the same instant, and leave out whatever cannot be closed.

Whoever closes one subscription holds all of its customer, so it can carry the others over the same instant in its own
transaction: nobody waits for another worker, and the last of them finds nothing left to do.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from domain.contracts.desk.service import Desk
from domain.db import Tx
from domain.kernel.ids import SubscriptionId, encode
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import Source, Subscription

# How often what falls due together is tried as a whole; after that the others go on without the one that fails. The
# tries are those of a job, a second, two and four after one another.
TOGETHER_TRIES = 3
# Due instants of others that are caught up with before they are together: three years of months.
BEHIND_MAX = 36
_log = structlog.get_logger()


async def due_together(
    tx: Tx, desk: Desk, of: Subscription, step: Callable[[Subscription], Awaitable[object]]
) -> list[Subscription]:
    """Return the others of the customer and currency that fall due at the same instant as one, in a fixed order.

    Those that fell due before are brought up to it with `step` first, in the order of time, so that catching up late
    joins the same as being in time. None where invoices are not consolidated.
    """
    at = of.due_at
    if at is None or not desk.customer.consolidates or not _joins(of, of.currency):
        return []
    stuck: set[SubscriptionId] = set()
    for _ in range(BEHIND_MAX):
        others = [each for each in await _others(tx, desk, of) if each.id not in stuck]
        behind = [each for each in others if _due(each) < at]
        if not behind:
            return [each for each in others if each.due_at == at]
        oldest = min(behind, key=_due)
        stuck.add(oldest.id)
        async with left_out_where_it_fails(tx, desk, oldest):
            await step(oldest)
            stuck.discard(oldest.id)
    return []


async def _others(tx: Tx, desk: Desk, of: Subscription) -> list[Subscription]:
    found = await subscriptions.subscriptions_by_id(tx, desk.held - {of.id}, scope=desk.customer.id)
    return [found[each] for each in sorted(found) if _joins(found[each], of.currency)]


def _joins(each: Subscription, currency: str) -> bool:
    """Whether what falls due of a subscription may be on an invoice with others. What waits to be paid has its own."""
    is_ours = each.is_live and each.source is Source.TOLLGATE
    return is_ours and each.currency == currency and each.due_at is not None


def _due(each: Subscription) -> datetime:
    assert each.due_at is not None, "something is due of it some time"
    return each.due_at


@asynccontextmanager
async def left_out_where_it_fails(tx: Tx, desk: Desk, other: Subscription) -> AsyncIterator[None]:
    """Undo what the block does about another subscription where it fails, and go on: its own job shows why it fails.

    Where the desk insists the failure is raised.
    """
    try:
        async with tx.attempted():
            yield
    except Exception as error:
        if desk.insists:
            raise
        _log.warning("not_joined", subscription=encode("subscription", other.id), error=type(error).__name__)
