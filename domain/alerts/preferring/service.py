"""Read and change what a customer wants to be told, and send the weekly digest to those who want it."""

from collections.abc import Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from domain.access.roles import Permission
from domain.alerts.notice import LEGAL, Notice
from domain.alerts.preference import Preference, next_digest_at, preference_of
from domain.alerts.preferring import store
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, encode


async def preferences_by_id(
    tx: Tx, ids: Collection[CustomerId], *, scope: CustomerId | None
) -> dict[CustomerId, Preference]:
    """Return what each of some customers wants: one statement, for loaders. One of another scope has none."""
    seen = [each for each in ids if scope in {None, each}]
    return {each: Preference(each) for each in seen} | await store.preferences_by_id(tx, seen)


async def change_preference(tx: Tx, call: Call, wanted: Preference) -> Preference:
    """Set what a customer wants. Safe to repeat: the second time changes and audits nothing.

    Raises CustomerNotFound, CustomerErased, Forbidden.
    """
    call.need(Permission.ALERT_WRITE)
    customer = await erasing.load_present(tx, call, wanted.customer_id)
    before = await store.find_preference(tx, customer.id) or Preference(customer.id)
    if wanted == before:
        return before
    await store.save_preference(tx, wanted, at=call.at)
    facts = {
        "thresholds": wanted.thresholds,
        "unsubscribed": sorted(wanted.unsubscribed),
        "weekly_digest": wanted.weekly_digest,
    }
    about = encode("customer", customer.id)
    await journal.audit(tx, call, "change_alert_preference", about, customer_id=customer.id, facts=facts)
    if wanted.weekly_digest and not before.weekly_digest:
        await _stage_digest(tx, call, customer, await customers.business_now(tx, call, customer.id))
    return wanted


async def is_unwanted(tx: Tx, customer_id: CustomerId, notice: Notice) -> bool:
    """Whether a customer does not want mails of a kind; what must be told has no such choice."""
    if notice in LEGAL:
        return False
    found = await store.find_preference(tx, customer_id)
    return found is not None and notice in found.unsubscribed


async def unsubscribe(tx: Tx, call: Call, customer_id: CustomerId, notice: Notice) -> None:
    """Stop mails of a kind to a customer; the rest of what it wants stays, also what is stopped at the same moment.

    Safe to repeat. An erased customer gets no mails: its old links go on to answer, and write nothing. Raises
    CustomerNotFound, NoticeIsLegal, Forbidden.
    """
    await customers.load_customer(tx, call, customer_id)
    if not await erasing.hold_if_present(tx, customer_id):
        return
    found = await store.lock_preference(tx, customer_id, at=call.at)
    wanted = preference_of(
        customer_id,
        thresholds=found.thresholds,
        unsubscribed=found.unsubscribed | {notice},
        weekly_digest=found.weekly_digest,
    )
    await change_preference(tx, call, wanted)


async def send_digest(tx: Tx, call: Call, customer_id: CustomerId) -> None:
    """Stage the digest of a week that has ended, and the next one; nothing where it is not wanted any more.

    The caller has ended the job that brought it here. Raises CustomerNotFound.
    """
    wanted = await store.find_preference(tx, customer_id)
    if wanted is None or not wanted.weekly_digest:
        return
    customer = await customers.load_customer(tx, call, customer_id)
    now = await customers.business_now(tx, call, customer_id)
    if Notice.WEEKLY_DIGEST not in wanted.unsubscribed:
        day = now.astimezone(ZoneInfo(customer.zone)).date()
        notice = jobs.SendNotice(customer.id, Notice.WEEKLY_DIGEST, day.isoformat())
        await journal.stage(tx, call, notice, customer_id=customer.id, clock_id=customer.clock_id, run_at=now)
    await _stage_digest(tx, call, customer, now)


async def _stage_digest(tx: Tx, call: Call, customer: Customer, now: datetime) -> None:
    run_at = next_digest_at(now, ZoneInfo(customer.zone))
    job = jobs.SendDigest(customer.id)
    await journal.stage(tx, call, job, customer_id=customer.id, clock_id=customer.clock_id, run_at=run_at)
