"""Raise alerts about limits, each once, list them, mark them read, and count a grace down."""

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from uuid import UUID

import structlog

from domain.access.roles import Permission
from domain.alerts.alert import (
    Alert,
    AlertKind,
    AlertNotFound,
    News,
    Standing,
    Wish,
    countdown_step,
    news_of,
    next_countdown_at,
    wish_of,
)
from domain.alerts.preference import NOTICE_OF, Preference
from domain.alerts.preferring import store as preferences
from domain.alerts.raising import store
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import AlertId, CustomerId, encode
from domain.limits import service as limits
from domain.limits.fitting import Offer, offers_of, upgrade_for, with_kept
from domain.limits.override import amounts_of
from domain.limits.status import LimitStatus
from domain.limits.thresholds import Severity
from domain.plans.plan import Catalogue
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import AccessState, Subscription
from domain.usage import service as usage

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101
_log = structlog.get_logger()


@dataclasses.dataclass(frozen=True, slots=True)
class _Look:
    """What one look at a customer's limits goes by."""

    customer: Customer
    now: datetime
    catalogue: Catalogue
    preference: Preference


async def check(
    tx: Tx, call: Call, catalogue: Catalogue, customer_id: CustomerId, *, percents: Mapping[str, Sequence[int]]
) -> list[Alert]:
    """Raise every alert that is due for a customer now, in order, and return those that are new.

    `percents` are the thresholds of each product. A limit whose amount changes, as with another plan, is another one.
    However many workers look at once, an alert of one limit, period and
    step is raised by one of them. Raises CustomerNotFound.
    """
    look = _Look(
        customer=await customers.load_customer(tx, call, customer_id),
        now=await customers.business_now(tx, call, customer_id),
        catalogue=catalogue,
        preference=await preferences.find_preference(tx, customer_id) or Preference(customer_id),
    )
    raised: list[Alert] = []
    for subscription in await subscriptions.list_subscriptions(tx, customer_id):
        # By whose limits a customer who owes is judged is told by the mails about the payment.
        if subscription.is_live and subscription.access is AccessState.FULL:
            raised += await _check_subscription(tx, call, look, subscription, percents)
    return raised


async def _check_subscription(
    tx: Tx, call: Call, look: _Look, subscription: Subscription, percents: Mapping[str, Sequence[int]]
) -> list[Alert]:
    own = look.preference.percents(look.catalogue.product_by_id(subscription.product_id).key, percents)
    counted = await usage.current_usage(tx, look.customer.id, subscription)
    overrides = await limits.overrides_in_force(tx, look.customer.id, subscription.product_id, look.now)
    at = look.now if look.customer.clock_id is not None else None
    passed = await limits.passings(tx, look.catalogue, subscription, counted, overrides, at=at)
    told = await store.list_raised(tx, look.customer.id, subscription.id, period_start=subscription.period.start)
    raised: list[Alert] = []
    offered = offers_of(look.catalogue, subscription.product_id, subscription.currency)
    offers = with_kept(offered, amounts_of(overrides))
    for status in limits.limits_of(look.catalogue, subscription, counted, overrides):
        standing = _standing(look.catalogue, subscription, status, passed.get(status.key))
        if status.limit is None:
            continue
        before = told.get((status.key, status.limit), set())
        news = news_of(standing, subscription.period, look.now, percents=own, raised=before)
        for each in news:
            alert = _alert(call, look, subscription, status, offers, news=each, together=news)
            if await _raise(tx, call, look.customer, alert):
                raised.append(alert)
                if each.kind is AlertKind.GRACE:
                    await _stage_countdown(tx, call, look.customer, alert, look.now)
    return raised


def _standing(
    catalogue: Catalogue, subscription: Subscription, status: LimitStatus, passed_at: datetime | None
) -> Standing:
    version = catalogue.version(subscription.plan_version_id)
    hours = next(each.grace_hours for each in version.entitlements if each.key == status.key)
    return Standing(status, hours or 0, is_level=status.resets_at is None, passed_at=passed_at)


def _alert(
    call: Call,
    look: _Look,
    subscription: Subscription,
    status: LimitStatus,
    offers: Sequence[Offer],
    *,
    news: News,
    together: Iterable[News],
) -> Alert:
    assert status.limit is not None, "what has no limit is not told of"
    larger = upgrade_for(offers, status.key, limit=Fraction(status.limit), used=Fraction(status.used))
    return Alert(
        customer_id=look.customer.id,
        id=AlertId(call.new_id()),
        subscription_id=subscription.id,
        kind=news.kind,
        limit_key=status.key,
        description=status.description,
        policy=status.policy,
        period=subscription.period,
        step=news.step,
        severity=news.severity,
        used=status.used,
        limit=status.limit,
        unit=status.unit,
        resets_at=status.resets_at,
        due_at=news.due_at,
        upgrade=larger.plan if larger is not None else None,
        wish=wish_of(news, together, look.preference.unwanted),
        raised_at=look.now,
        created_at=call.at,
        read_at=None,
    )


async def _raise(tx: Tx, call: Call, customer: Customer, alert: Alert) -> bool:
    """Store an alert with all that follows from it. False where another worker was first: then nothing follows."""
    if not await store.insert_alert(tx, alert):
        return False
    if alert.wish is Wish.WANTED:
        notice = jobs.SendNotice(customer.id, NOTICE_OF[alert.kind], str(alert.id))
        await journal.stage(
            tx, call, notice, customer_id=customer.id, clock_id=customer.clock_id, run_at=alert.raised_at
        )
    await _tell(tx, call, alert)
    _log.info(
        "alert_raised",
        alert=encode("alert", alert.id),
        customer=encode("customer", customer.id),
        kind=alert.kind,
        limit=alert.limit_key,
        step=alert.step,
        severity=alert.severity,
    )
    return True


async def _tell(tx: Tx, call: Call, alert: Alert) -> None:
    """Append the billing event, by which the merchant's own systems hear of it."""
    facts = {
        "alert_id": encode("alert", alert.id),
        "subscription_id": encode("subscription", alert.subscription_id),
        "kind": alert.kind,
        "limit": alert.limit_key,
        "step": alert.step,
        "severity": alert.severity,
    }
    text = f"Alert about a limit: {alert.description}"
    await journal.tell(
        tx, call, alert.raised_at, alert.customer_id, "limit_alert_raised", description=text, metadata=facts
    )


async def _stage_countdown(tx: Tx, call: Call, customer: Customer, begun: Alert, now: datetime) -> None:
    assert begun.due_at is not None, "a grace has an end"
    run_at = next_countdown_at(begun.due_at, now)
    if run_at is not None:
        job = jobs.RemindGrace(customer.id, begun.id)
        await journal.stage(tx, call, job, customer_id=customer.id, clock_id=customer.clock_id, run_at=run_at)


async def remind(
    tx: Tx, call: Call, catalogue: Catalogue, *, customer_id: CustomerId, alert_id: AlertId
) -> Alert | None:
    """Tell how much is left of a grace, where usage is still above the limit, and stage the next reminder.

    `alert_id` is the alert that the grace began with. A new period and a subscription that has ended stop the telling;
    usage that has fallen back is not told of. Safe to repeat.
    """
    begun = await store.find_alert(tx, customer_id, alert_id)
    assert begun is not None, "a reminder names an alert"
    assert begun.due_at is not None, "a grace has an end"
    customer = await customers.load_customer(tx, call, customer_id)
    now = await customers.business_now(tx, call, customer_id)
    subscription = await subscriptions.find_subscription(tx, begun.subscription_id, scope=customer_id)
    if subscription is None or not subscription.is_live or subscription.period != begun.period:
        return None
    await _stage_countdown(tx, call, customer, begun, now)
    step = countdown_step(begun.due_at, now)
    status = await _status_above(tx, catalogue, subscription, begun.limit_key, now)
    if status is None or status.limit is None or step is None:
        return None
    preference = await preferences.find_preference(tx, customer_id) or Preference(customer_id)
    reminder = dataclasses.replace(
        begun,
        id=AlertId(call.new_id()),
        step=step,
        severity=Severity.WARNING if step else Severity.CRITICAL,
        used=status.used,
        limit=status.limit,
        wish=Wish.UNWANTED if AlertKind.GRACE in preference.unwanted else Wish.WANTED,
        raised_at=now,
        created_at=call.at,
        read_at=None,
    )
    return reminder if await _raise(tx, call, customer, reminder) else None


async def _status_above(
    tx: Tx, catalogue: Catalogue, subscription: Subscription, key: str, now: datetime
) -> LimitStatus | None:
    """Return a soft limit in force, where usage is above it."""
    counted = await usage.current_usage(tx, subscription.customer_id, subscription)
    overrides = await limits.overrides_in_force(tx, subscription.customer_id, subscription.product_id, now)
    for status in limits.limits_of(catalogue, subscription, counted, overrides):
        if status.key == key and status.policy == "soft" and status.limit is not None and status.used > status.limit:
            return status
    return None


async def alerts_by_customer_ids(
    tx: Tx,
    call: Call,
    ids: Collection[CustomerId],
    *,
    before: UUID | None = None,
    limit: int = PAGE_MAX,
    unread_only: bool = False,
) -> dict[CustomerId, list[Alert]]:
    """Return the newest alerts of each of some customers, at most PAGE_MAX of each: two statements. Raises Forbidden.

    The caller has found the customers to be visible; one of another scope has none.
    """
    call.need(Permission.ALERT_READ)
    seen = [each for each in ids if call.scope in {None, each}]
    return await store.list_alerts_of(
        tx, seen, before=before, limit=max(0, min(limit, PAGE_MAX)), unread_only=unread_only
    )


async def alerts_of_period(tx: Tx, call: Call, subscription: Subscription) -> list[Alert]:
    """Return the newest alerts of a subscription's present usage period, at most PAGE_MAX. Raises Forbidden.

    The caller has found the customer to be visible.
    """
    call.need(Permission.ALERT_READ)
    return await store.list_alerts_of_period(
        tx, subscription.customer_id, subscription.id, period_start=subscription.period.start, limit=PAGE_MAX
    )


async def list_alerts(tx: Tx, call: Call, *, customer_id: CustomerId, limit: int) -> list[Alert]:
    """Return one customer's newest alerts. Raises CustomerNotFound, Forbidden."""
    await customers.load_customer(tx, call, customer_id)
    return (await alerts_by_customer_ids(tx, call, [customer_id], limit=limit))[customer_id]


async def mark_read(tx: Tx, call: Call, alert_id: AlertId, *, is_read: bool = True) -> Alert:
    """Mark an alert read or unread. Safe to repeat. Raises AlertNotFound, Forbidden."""
    call.need(Permission.ALERT_WRITE)
    owner = await store.find_owner(tx, alert_id)
    visible = owner and await customers.customers_by_id(
        tx, [owner], scope=call.scope, environment=call.principal.environment
    )
    if not owner or not visible:
        raise AlertNotFound
    await store.save_read(tx, owner, alert_id, read_at=call.at if is_read else None)
    found = await store.find_alert(tx, owner, alert_id)
    assert found is not None, "alerts are never deleted"
    return found
