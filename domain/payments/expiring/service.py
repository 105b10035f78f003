"""Find the cards that expire this month, and mail their owners once: the first day is a month ahead of the last."""

import dataclasses
from datetime import datetime

from domain.customers import service as customers
from domain.db import Tx
from domain.journal import jobs
from domain.kernel.call import Call
from domain.kernel.ids import ClockId
from domain.payments import store
from domain.payments.expiring import store as expiring
from domain.payments.expiring.month import index_of, start_of
from domain.payments.methods.service import tell
from domain.payments.ordering.service import stage

STAGE_MAX = 500


async def warn_due(tx: Tx, call: Call, *, clock_id: ClockId | None) -> int:
    """Stage the mail about each card that expires at the end of this month on a clock; return how many, at most 500.

    Safe to repeat: a card is warned of once for each expiry, and again only once its bank has renewed it.
    """
    now = await customers.clock_now(tx, call, clock_id)
    month = index_of(now.year, now.month)
    found = await expiring.list_expiring(tx, clock_id=clock_id, month=month, limit=STAGE_MAX)
    for listed in found:
        await store.lock_gateway_customer(tx, listed.customer_id)
        method = (await store.methods_by_id(tx, [listed.id], scope=listed.customer_id))[listed.id]
        if method != listed:
            continue  # It has changed at this moment; what is still due is found again.
        await store.save_method(tx, method, dataclasses.replace(method, warned_month=month))
        await tell(tx, call, method, "payment_method_expiring", "Payment method expires at the end of this month")
        job = jobs.SendNotice(method.customer_id, "payment_method_expiring", f"{method.id}:{month}")
        await stage(tx, call, job, method.customer_id)
    return len(found)


async def next_due_at(tx: Tx, call: Call, clock_id: ClockId) -> datetime | None:
    """Return the next instant on a test clock at which a card is to be warned of, or None."""
    now = await customers.clock_now(tx, call, clock_id)
    month = await expiring.find_next_month(tx, clock_id=clock_id, after=index_of(now.year, now.month))
    return start_of(month) if month is not None else None
