"""Ask for an erasure, carry it out, and end it when nothing has to be kept any more."""

from collections.abc import Sequence
from uuid import UUID

from domain.access import service as access
from domain.access.roles import Permission
from domain.alerts.mailing import service as mailing
from domain.customers import service as customers
from domain.customers.erasing import service as customer_erasing
from domain.db import Database, Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import CustomerId, encode
from domain.payments.forgetting import service as forgetting
from domain.payments.port import PaymentGateway
from domain.privacy import erasure as rules
from domain.privacy.clearing.store import clear_all, clear_rows, delete_unowned_events
from domain.privacy.erasing import store
from domain.privacy.erasure import BATCH, Erasure, ErasureReason, ErasureState
from domain.privacy.inventory import Holding, inventory
from domain.subscriptions.erasing import service as subscriptions
from domain.webhooks.clearing.service import clear_payloads
from domain.webhooks.delivering import service as delivering
from domain.webhooks.event_kind import ERASED

DUE_MAX = 100
FOLLOWED_MAX = 200
# Pages of inbound events that are looked through for one customer in a run.
LOOKED_PAGES_MAX = 50


async def request(
    tx: Tx, call: Call, customer_id: CustomerId, reason: ErasureReason, *, retention_years: int
) -> Erasure:
    """Take away who a customer is, at once; what is left to clear, here and at the gateway, is done by a job.

    Only for staff. Audited without what is erased. Safe to repeat: the first erasure is returned. Raises Forbidden,
    CustomerNotFound, and CustomerNotErasable, which says what to do first.
    """
    _need(call)
    customer = await customers.load_customer(tx, call, customer_id)
    if not await customer_erasing.hold(tx, customer_id):
        known = await _held(tx, customer_id)
        await _stage(tx, call, known)
        return known
    rules.check(await store.count_blockers(tx, customer_id))
    kept = rules.keep_until(await store.find_last_booked(tx, customer_id), retention_years)
    environment, external_id = customer.environment, customer.external_id
    # Its reports are found by its mails, and events of nobody by the names that are taken away.
    await mailing.forget_customer(tx, customer_id)
    names = [encode("customer", customer_id), *([external_id] if external_id else [])]
    while await delete_unowned_events(tx, environment, names, limit=BATCH) == BATCH:
        pass
    await customer_erasing.erase(tx, call, customer, is_retained=kept is not None)
    await access.forget_customer(tx, call, customer_id)
    # Processes remember the customer as it was, and would go on to record its late usage.
    await subscriptions.forget_resolved(tx, customer_id)
    await forgetting.forget_methods(tx, call, customer_id)
    await delivering.leave_out(tx, customer_id)
    now = await customers.business_now(tx, call, customer_id)
    await journal.tell(tx, call, now, customer_id, ERASED, description="Customer erased")
    for holding in rules.cleared_at_once(inventory().values()):
        await clear_all(tx, holding, customer_id, batch=BATCH)
    new = Erasure(customer_id, ErasureState.CLEARING, reason, call.at, call.principal.id, kept)
    await store.insert_erasure(tx, new)
    facts = {"reason": reason, "keep_until": kept.isoformat() if kept else None}
    await journal.audit(
        tx, call, "erase_customer", encode("customer", customer_id), customer_id=customer_id, facts=facts
    )
    await _stage(tx, call, new)
    return new


async def find_erasure(tx: Tx, call: Call, customer_id: CustomerId) -> Erasure | None:
    """Return the erasure of a customer, or None. Raises Forbidden, CustomerNotFound."""
    _need(call)
    await customers.load_customer(tx, call, customer_id)
    return await store.find_erasure(tx, customer_id)


async def carry_on(db: Database, gateway: PaymentGateway, call: Call, customer_id: CustomerId) -> bool:
    """Clear some more of what an erasure leaves; return whether there is nothing left to do now.

    Each batch is a unit of work of its own; run again, it goes on with what is left. Raises GatewayUnavailable,
    GatewayRefused, GatewayEnvironmentDiffers.
    """
    async with db.transaction() as tx:
        found = await store.find_erasure(tx, customer_id)
    if found is not None and found.state is ErasureState.CLEARING:
        is_over = await _clear(db, customer_id, rules.cleared_later(inventory().values()))
        if not is_over or not await _leave_gateway(db, gateway, call, customer_id):
            return False
        async with db.transaction() as tx:
            found = rules.cleared(await _held(tx, customer_id), call.at)
            await store.save_erasure(tx, found)
    if found is not None and found.state is ErasureState.ENDING:
        if not await _clear(db, customer_id, rules.cleared_last(inventory().values())):
            return False
        async with db.transaction() as tx:
            await customer_erasing.end_retention(tx, customer_id)
            await store.save_erasure(tx, rules.ended(await _held(tx, customer_id), call.at))
            about = encode("customer", customer_id)
            await journal.audit(tx, call, "end_retention", about, customer_id=customer_id)
    return True


async def end_due(tx: Tx, call: Call) -> int:
    """Have what was kept deleted where its time is over, at most DUE_MAX customers; return how many."""
    found = await store.list_due(tx, at=call.at, limit=DUE_MAX)
    for each in found:
        after = rules.due(each, call.at)
        await store.save_erasure(tx, after)
        await _stage(tx, call, after)
    return len(found)


async def follow(db: Database, call: Call) -> None:
    """Empty what the payment provider has sent since about customers that were erased in the last weeks."""
    async with db.transaction() as tx:
        recent = await store.list_cleared(tx, since=call.at - rules.FOLLOWED_FOR, limit=FOLLOWED_MAX)
    for each in recent:
        await _look_through(db, call, each.customer_id)


async def _clear(db: Database, customer_id: CustomerId, holdings: Sequence[Holding]) -> bool:
    """Clear tables batch by batch; return whether nothing is left of them."""
    left = rules.BATCHES_PER_RUN
    for holding in holdings:
        cleared = BATCH
        while cleared == BATCH:
            if left == 0:
                return False
            async with db.transaction() as tx:
                cleared = await clear_rows(tx, holding, customer_id, limit=BATCH)
            left -= 1
    return True


async def _leave_gateway(db: Database, gateway: PaymentGateway, call: Call, customer_id: CustomerId) -> bool:
    """Delete the customer at the gateway, then look through what that has sent; return whether all of it was."""
    async with db.transaction() as tx:
        customer = await customers.load_customer(tx, call, customer_id)
    await forgetting.delete_at_gateway(db, gateway, call, customer)
    return await _look_through(db, call, customer_id)


async def _look_through(db: Database, call: Call, customer_id: CustomerId) -> bool:
    """Empty inbound events about a customer from where the last look ended; return whether the newest was reached."""
    after: UUID | None = None
    for _ in range(LOOKED_PAGES_MAX):
        async with db.transaction() as tx:
            before = await _held(tx, customer_id)
            gateway_id = await forgetting.gateway_id_of(tx, customer_id)
            names = [encode("customer", customer_id), *([gateway_id] if gateway_id else [])]
            after, is_more = await clear_payloads(tx, names, after=after or before.looked_to)
            await store.save_erasure(tx, rules.looked(before, after, call.at))
        if not is_more:
            return True
    return False


async def _held(tx: Tx, customer_id: CustomerId) -> Erasure:
    found = await store.lock_erasure(tx, customer_id)
    assert found is not None, "an erasure is never deleted"
    return found


async def _stage(tx: Tx, call: Call, of: Erasure) -> None:
    """Stage the job of an erasure that has something left to do now: the one before may have failed."""
    if of.state in {ErasureState.CLEARING, ErasureState.ENDING}:
        await journal.stage(tx, call, jobs.EraseCustomer(of.customer_id), customer_id=of.customer_id)


def _need(call: Call) -> None:
    call.need(Permission.PRIVACY_ERASE)
    if call.scope is not None:
        raise Forbidden(Permission.PRIVACY_ERASE)
