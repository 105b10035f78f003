"""Archive plans: nobody takes one any more, and who has it keeps it. It can be taken back."""

from collections.abc import Collection, Sequence
from datetime import datetime

from domain.access.roles import Permission
from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import encode
from domain.plans import service as plans
from domain.plans.archiving import store
from domain.plans.plan import Plan
from domain.plans.store import hold_catalogue


async def archive(tx: Tx, call: Call, product_key: str, plan_keys: Collection[str] | None = None) -> Sequence[Plan]:
    """Sell plans of a product no more, all of them where none is named; return them as they now stand.

    Subscriptions, and starts and changes that were agreed before, are carried out; so is a move to it by itself, such
    as the fall back to a free plan. Safe to repeat. Raises Forbidden, ProductNotFound, PlanNotFound.
    """
    return await _set(tx, call, product_key, plan_keys, at=call.at)


async def restore(tx: Tx, call: Call, product_key: str, plan_keys: Collection[str] | None = None) -> Sequence[Plan]:
    """Sell archived plans again, all of a product where none is named. Otherwise as `archive`."""
    return await _set(tx, call, product_key, plan_keys, at=None)


async def _set(
    tx: Tx, call: Call, product_key: str, plan_keys: Collection[str] | None, *, at: datetime | None
) -> Sequence[Plan]:
    call.need(Permission.CATALOGUE_WRITE)
    await hold_catalogue(tx)
    before = await _named(tx, product_key, plan_keys)
    changed = [plan for plan in before if (plan.archived_at is None) != (at is None)]
    await store.save_archived(tx, [plan.id for plan in changed], at=at)
    for plan in changed:
        action = "restore_plan" if at is None else "archive_plan"
        facts = {"product": product_key, "key": plan.key}
        await journal.audit(tx, call, action, encode("plan", plan.id), facts=facts)
    return await _named(tx, product_key, plan_keys)


async def _named(tx: Tx, product_key: str, plan_keys: Collection[str] | None) -> Sequence[Plan]:
    """Return the plans of these keys, or all of the product."""
    catalogue = await plans.load_catalogue(tx)
    if plan_keys is None:
        return catalogue.plans_of(catalogue.product(product_key).id)
    return [catalogue.plan(product_key, key) for key in dict.fromkeys(plan_keys)]
