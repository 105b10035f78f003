"""Store inbound events once, and converge on what they are about: any order, any repetition, the same end."""

from collections.abc import Awaitable, Callable
from datetime import UTC

from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.db import Database, Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass
from domain.payments import service as payments
from domain.payments import store as payments_store
from domain.payments.disputing import service as disputing
from domain.payments.keeping import service as keeping
from domain.payments.port import GatewayEvent, GatewaySubscription, PaymentGateway
from domain.payments.refunding import service as refunding
from domain.payments.transferring import service as transferring
from domain.subscriptions.subscription import Status
from domain.webhooks import store
from domain.webhooks.inbox import API_VERSION, TOPICS, InboxEvent, InboxState, Topic, plan_of, status_of, why_kept

PROVIDER = "stripe"
NOTE_LENGTH_MAX = 200
# What these say will not change by itself: staff look at it. Everything else is tried again.
_FOR_STAFF = frozenset((Kind.NOT_FOUND, Kind.CONFLICT, Kind.INVALID))

End = Callable[[Tx], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class _Verdict:
    state: InboxState
    note: str | None = None
    customer_id: CustomerId | None = None


async def receive(tx: Tx, call: Call, event: GatewayEvent, *, provider: str = PROVIDER) -> bool:
    """Store a verified event and stage its processing. False where it was received before. Safe to repeat."""
    if not await store.insert_event(tx, provider, event, key=call.new_id(), at=call.at):
        return False
    await journal.stage(tx, call, jobs.ProcessInboxEvent(provider, event.id))
    return True


async def process(
    db: Database, gateway: PaymentGateway, call: Call, provider: str, event_id: str, *, end: End | None = None
) -> CustomerId | None:
    """Fetch what an event is about and bring our rows to it; return whose they are.

    Safe to repeat. Events of no interest are ignored; those about something that we cannot place are quarantined.
    `end` is called in the transaction that ends the event. Raises GatewayUnavailable: try again later.
    """
    async with db.transaction() as tx:
        event = await store.begin_event(tx, provider, event_id)
        verdict = _without_look(gateway, event) if event is not None else None
        if event is not None:
            await _check_version(tx, call, event)
        if event is None or verdict is not None:
            return await _end(tx, call, event, verdict, end)
    try:
        verdict = await _FOLLOW[TOPICS[event.type]](db, gateway, call, event.object_id)
    except DomainError as refusal:
        if refusal.kind not in _FOR_STAFF:
            raise
        verdict = _Verdict(InboxState.QUARANTINED, refusal.code)
    async with db.transaction() as tx:
        return await _end(tx, call, event, verdict, end)


def _without_look(gateway: PaymentGateway, event: InboxEvent) -> _Verdict | None:
    """Say what becomes of an event for which nothing is fetched; None for every other one."""
    if event.environment is not gateway.environment:
        return _Verdict(InboxState.IGNORED, "another environment")
    if event.type not in TOPICS:
        return _Verdict(InboxState.IGNORED, why_kept(event.type))
    return None


async def _end(
    tx: Tx, call: Call, event: InboxEvent | None, verdict: _Verdict | None, end: End | None
) -> CustomerId | None:
    if event is not None and verdict is not None:
        note = verdict.note[:NOTE_LENGTH_MAX] if verdict.note else None
        await store.save_end(tx, event, state=verdict.state, note=note, at=call.at)
        if verdict.state is InboxState.QUARANTINED:
            facts = {"event_id": event.id, "type": event.type, "reason": note}
            kind = StaffAlertKind.INBOX_QUARANTINED
            await staffing.raise_alert(tx, call, kind, event.provider, environment=event.environment, facts=facts)
    if end is not None:
        await end(tx)
    return verdict.customer_id if verdict is not None else None


async def _check_version(tx: Tx, call: Call, event: InboxEvent) -> None:
    """Raise an alarm, once a day, where the endpoint sends another version than is read: its settings have drifted.

    The event is processed all the same: what it is about is fetched in the version that is read.
    """
    found = event.api_version or "none"
    if found == API_VERSION:
        return
    alarm = store.Alarm(event.provider, found, call.at.astimezone(UTC).date(), event.id)
    if await store.insert_alarm(tx, alarm):
        facts = {"expected": API_VERSION, "found": found, "event_id": event.id}
        await journal.audit(tx, call, "inbox_version_differs", event.provider, facts=facts)
        kind = StaffAlertKind.INBOX_VERSION
        await staffing.raise_alert(tx, call, kind, event.provider, environment=event.environment, facts=facts)


async def _follow_invoice(db: Database, gateway: PaymentGateway, call: Call, object_id: str) -> _Verdict:
    customer_id = await payments.settle_from_gateway(db, gateway, call, object_id)
    return _processed(customer_id, "not an invoice of ours")


async def _follow_method(db: Database, gateway: PaymentGateway, call: Call, object_id: str) -> _Verdict:
    customer_id = await payments.record_from_gateway(db, gateway, call, object_id)
    return _processed(customer_id, "not a payment method of a customer of ours")


async def _follow_setup(db: Database, gateway: PaymentGateway, call: Call, object_id: str) -> _Verdict:
    customer_id = await keeping.settle_setup(db, gateway, call, object_id)
    return _processed(customer_id, "not a payment method of a customer of ours")


async def _follow_mandate(db: Database, gateway: PaymentGateway, call: Call, object_id: str) -> _Verdict:
    customer_id = await keeping.note_mandate(db, gateway, call, object_id)
    return _processed(customer_id, "not a payment method of a customer of ours")


async def _follow_refund(db: Database, gateway: PaymentGateway, call: Call, object_id: str) -> _Verdict:
    customer_id = await refunding.settle_from_gateway(db, gateway, call, object_id)
    return _processed(customer_id, "not a refund that was ordered here")


async def _follow_dispute(db: Database, gateway: PaymentGateway, call: Call, object_id: str) -> _Verdict:
    customer_id = await disputing.settle_from_gateway(db, gateway, call, object_id)
    return _processed(customer_id, "not a dispute of a payment of ours")


async def _follow_cash(db: Database, gateway: PaymentGateway, call: Call, object_id: str) -> _Verdict:
    customer_id = await transferring.converge(db, gateway, call, object_id)
    return _processed(customer_id, "not the money of a customer of ours")


async def _follow_subscription(db: Database, gateway: PaymentGateway, call: Call, object_id: str) -> _Verdict:
    seen = await gateway.fetch_subscription(object_id)
    if seen is None:
        return _Verdict(InboxState.IGNORED, "the subscription does not exist")
    async with db.transaction() as tx:
        customer_id = await payments_store.find_customer_id(tx, seen.gateway_customer_id) or seen.customer_id
        if customer_id is None:
            return _Verdict(InboxState.QUARANTINED, "customer_unknown")
        customer = await customers.load_customer(tx, call, customer_id)
        if customer.environment is not gateway.environment:
            return _Verdict(InboxState.QUARANTINED, "customer_of_another_environment")
        return await _mirror(tx, call, customer_id, seen)


async def _mirror(tx: Tx, call: Call, customer_id: CustomerId, seen: GatewaySubscription) -> _Verdict:
    now = await customers.business_now(tx, call, customer_id)
    status = status_of(seen)
    if status is Status.CANCELED:
        ended = await contracts.end_mirrored(
            tx, call, now, customer_id=customer_id, gateway_id=seen.id, ended_at=seen.ended_at
        )
        if ended is not None:
            return _Verdict(InboxState.PROCESSED, customer_id=customer_id)
    plan = plan_of(seen.plan)
    if plan is None or status is None or seen.period is None:
        missing = "plan_unknown" if plan is None else "status_unknown" if status is None else "period_missing"
        return _Verdict(InboxState.QUARANTINED, missing, customer_id)
    await contracts.mirror_subscription(
        tx,
        call,
        now,
        customer_id=customer_id,
        gateway_id=seen.id,
        product_key=plan.product_key,
        plan_key=plan.plan_key,
        interval=plan.interval,
        currency=seen.currency,
        status=status,
        period=seen.period,
        anchor_at=seen.anchor_at,
        cancel_at=seen.cancel_at,
        ended_at=seen.ended_at,
    )
    return _Verdict(InboxState.PROCESSED, customer_id=customer_id)


def _processed(customer_id: CustomerId | None, otherwise: str) -> _Verdict:
    if customer_id is None:
        return _Verdict(InboxState.IGNORED, otherwise)
    return _Verdict(InboxState.PROCESSED, customer_id=customer_id)


_Follow = Callable[[Database, PaymentGateway, Call, str], Awaitable[_Verdict]]
_FOLLOW: dict[Topic, _Follow] = {
    Topic.INVOICE: _follow_invoice,
    Topic.METHOD: _follow_method,
    Topic.SETUP: _follow_setup,
    Topic.MANDATE: _follow_mandate,
    Topic.REFUND: _follow_refund,
    Topic.DISPUTE: _follow_dispute,
    Topic.CASH: _follow_cash,
    Topic.SUBSCRIPTION: _follow_subscription,
}
