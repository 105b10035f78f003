"""Open, find and move subscriptions and their segments inside a caller's unit of work.

Whoever moves a border, ends a subscription or makes a period final locks it with `lock_subscription`, which takes the
bucket alone before the row: a counting flush shares the bucket and may add segments meanwhile.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby

from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Tx
from domain.kernel.call import Call, Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import (
    CustomerId,
    PlanVersionId,
    ProductId,
    SegmentId,
    SubscriptionId,
)
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.subscriptions import lifecycle, mirror, store
from domain.subscriptions.buckets import store as buckets
from domain.subscriptions.opening import Opening, Sale, opened
from domain.subscriptions.schedule import Interval
from domain.subscriptions.segments import following, is_complete
from domain.subscriptions.subscription import AccessState, Segment, Source, Status, Subscription
from domain.subscriptions.terms import service as terms
from domain.subscriptions.waiting import store as waiting

LIST_MAX = 100
LOOKUP_MAX = 1_000
# Events are accepted for five minutes ahead; later than that after a pause, nothing was counted before it began.
REPORTED_AHEAD = timedelta(minutes=5)


@dataclass(eq=False)
class SubscriptionNotFound(DomainError):
    """There is no such subscription. See the list of subscriptions."""

    code = "subscription_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class AlreadySubscribed(DomainError):
    """The customer has a subscription of this product already. Change it, or cancel it first."""

    code = "already_subscribed"
    kind = Kind.CONFLICT


async def open_subscription(
    tx: Tx,
    call: Call,
    now: datetime,
    *,
    customer: Customer,
    product_id: ProductId,
    plan_version_id: PlanVersionId,
    interval: Interval,
    currency: str,
    opening: Opening | None = None,
) -> Subscription:
    """Start a subscription and open its segments up to business time `now`, which without an opening is its start.

    One that waits for its first payment has no segments until it runs. Raises AlreadySubscribed, also where another
    transaction subscribes at the same moment.
    """
    sale = Sale(customer, product_id, plan_version_id, interval, currency)
    new = opened(sale, opening or Opening(now), SubscriptionId(call.new_id()), now)
    started = await _insert(tx, call, new, now)
    await terms.begin_term(tx, started, started.started_at, billed=started.trial_ends_at is None)
    if started.trial_ends_at is not None and started.status is not Status.TRIALING:
        await terms.begin_term(tx, started, started.trial_ends_at)
    return started


async def has_tried(tx: Tx, customer_id: CustomerId, product_id: ProductId) -> bool:
    """Whether a customer has had a trial of a product."""
    return await waiting.has_tried(tx, customer_id=customer_id, product_id=product_id)


async def open_mirror(
    tx: Tx, call: Call, now: datetime, *, customer: Customer, product_id: ProductId, news: mirror.Mirrored
) -> Subscription:
    """Start to follow a subscription that Stripe bills; one that has ended already is kept as ended.

    Raises AlreadySubscribed.
    """
    period_now = news.period_at(now)
    new = Subscription(
        customer_id=customer.id,
        id=SubscriptionId(call.new_id()),
        product_id=product_id,
        plan_version_id=news.plan_version_id,
        environment=customer.environment,
        status=news.status,
        source=Source.STRIPE,
        gateway_id=news.gateway_id,
        anchor_at=news.anchor_at,
        zone=mirror.ZONE,
        interval=news.interval,
        currency=news.currency,
        quantity=1,
        started_at=news.fee_period.start,
        period=period_now,
        fee_period=news.fee_period,
        cancel_at=news.ended_at or news.cancel_at,
        canceled_at=now if news.ended_at or news.cancel_at else None,
        ended_at=news.ended_at,
        settles_at=None,
        cancel_reason=None,
        cancel_feedback=None,
        failed_invoice_ids=(),
        running_since=news.fee_period.start,
        epoch=0,
        version=1,
    )
    return await _insert(tx, call, new, now)


async def ensure_segment(
    tx: Tx, call: Call, subscription: Subscription, at: datetime, *, is_held: bool = False
) -> Segment | None:
    """Return the segment that contains an instant, opening those that are missing one after another up to it.

    None where the instant lies outside the subscription's life, or further ahead than FOLLOWING_MAX periods. Safe to
    repeat and to run concurrently. Opening one moves no border, so a shared bucket is enough; unless the caller holds
    the subscription as it is given (`is_held`), it may have changed and is read again.
    """
    last = await store.find_last_segment(tx, subscription)
    if last is not None and at < last.during.end:
        return last if at in last.during else await store.find_segment_at(tx, subscription, at)
    own: Subscription | None = subscription
    if not is_held:
        own = await store.find_subscription(tx, subscription.id, scope=subscription.customer_id)
    if own is None or not (own.is_live or own.ended_at):
        return None
    for stretch, usage_period in following(own, last, at):
        new = segment_of(call, own, stretch, usage_period)
        if await store.insert_segment(tx, new) and at in stretch:
            return new
    return await store.find_segment_at(tx, own, at)


async def lock_subscription(
    tx: Tx, subscription_id: SubscriptionId, *, scope: CustomerId | None, environment: Environment | None = None
) -> Subscription:
    """Return a subscription with its bucket and its row held until the transaction ends.

    Nothing is counted for it meanwhile. Raises SubscriptionNotFound.
    """
    await buckets.hold_buckets(tx, [subscription_id])
    found = await store.find_subscription(tx, subscription_id, scope=scope, lock=True)
    if found is None or environment not in {None, found.environment}:
        raise SubscriptionNotFound
    return found


async def lock_unsettled(tx: Tx, customer_id: CustomerId) -> Sequence[Subscription]:
    """Return a customer's subscriptions that can still bill something, all held as by `lock_subscription`.

    They are taken in a fixed order, so that two transactions never wait in a ring.
    """
    ids = await waiting.list_unsettled_ids(tx, customer_id)
    await buckets.hold_buckets(tx, ids)
    return await store.lock_subscriptions(tx, ids, scope=customer_id)


async def find_subscription(
    tx: Tx, subscription_id: SubscriptionId, *, scope: CustomerId | None, environment: Environment | None = None
) -> Subscription | None:
    """Return a subscription, or None where there is none that the caller may see."""
    found = await store.find_subscription(tx, subscription_id, scope=scope)
    return found if found and environment in {None, found.environment} else None


async def list_subscriptions(tx: Tx, customer_id: CustomerId) -> Sequence[Subscription]:
    """Return a customer's subscriptions, ended ones too, newest first, at most LIST_MAX."""
    return await store.list_subscriptions(tx, customer_id=customer_id, limit=LIST_MAX)


async def subscriptions_of_customers(
    tx: Tx, customer_ids: Collection[CustomerId], *, scope: CustomerId | None
) -> dict[CustomerId, list[Subscription]]:
    """Return the newest subscriptions of each of at most LOOKUP_MAX customers in one statement, for loaders."""
    assert len(customer_ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.subscriptions_of_customers(tx, customer_ids, scope=scope, limit=LIST_MAX)


async def subscriptions_by_id(
    tx: Tx, ids: Collection[SubscriptionId], *, scope: CustomerId | None
) -> dict[SubscriptionId, Subscription]:
    """Return those of at most LOOKUP_MAX subscriptions that may be seen in one statement, for loaders."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.subscriptions_by_id(tx, ids, scope=scope)


async def segments_of(
    tx: Tx, subscription_ids: Collection[SubscriptionId], *, ending_after: datetime | None = None
) -> dict[SubscriptionId, list[Segment]]:
    """Return the segments of subscriptions in order of time, all or only those that end after an instant."""
    return await store.segments_of(tx, subscription_ids, ending_after=ending_after)


async def segments_ending_by(tx: Tx, subscription: Subscription, by: datetime) -> Sequence[Segment]:
    """Return the segments that are complete by an instant and not final yet, oldest first."""
    found = await store.list_segments_ending_by(tx, subscription, by)
    return [segment for segment in found if is_complete(subscription, segment, by)]


async def save(tx: Tx, before: Subscription, after: Subscription, *, raises_epoch: bool = False) -> Subscription:
    """Write a changed subscription that the caller holds locked.

    `raises_epoch` has rows that were resolved before resolved anew: a border moves in the same unit of work, or checks
    answer otherwise.
    """
    if after == before and not raises_epoch:
        return before
    return await store.save_subscription(tx, before, after, raises_epoch=raises_epoch)


async def end(tx: Tx, before: Subscription, after: Subscription, *, counted: Collection[SegmentId]) -> Subscription:
    """Write an ended subscription and take its segments back to its end.

    A segment that starts at the end or later goes, unless it is among `counted`: what a product's fast clock reported
    ahead stays counted where it is. The caller holds the subscription locked.
    """
    assert after.ended_at is not None, "what ends has an end"
    ended = await save(tx, before, after, raises_epoch=True)
    await _take_back(tx, before, after.ended_at, counted)
    return ended


async def pause(tx: Tx, before: Subscription, after: Subscription, *, counted: Collection[SegmentId]) -> Subscription:
    """Write a paused subscription and take its segments back to where the pause begins.

    What a product's fast clock reported ahead stays counted where it is, as in `end`, in a segment that ends where no
    more of it can be. The caller holds the subscription locked.
    """
    assert after.pause_at is not None, "what pauses has a begin of it"
    paused = await save(tx, before, after, raises_epoch=True)
    await _take_back(tx, before, after.pause_at, counted)
    for segment in (await store.segments_of(tx, [before.id], ending_after=after.pause_at))[before.id]:
        await store.save_segment_end(tx, segment, min(segment.during.end, after.pause_at + REPORTED_AHEAD))
    return paused


async def resume(tx: Tx, call: Call, before: Subscription, after: Subscription) -> Subscription:
    """Write a subscription that runs again and open its first segment. The caller holds it locked."""
    resumed = await save(tx, before, after, raises_epoch=True)
    await ensure_segment(tx, call, resumed, resumed.running_since, is_held=True)
    return resumed


async def switch_version(
    tx: Tx, call: Call, before: Subscription, plan_version_id: PlanVersionId, at: datetime
) -> Subscription:
    """Pin another plan version from an instant on: cut the segment there and go on under the new version.

    What was counted before the call stays where it is. The caller holds the subscription locked.
    """
    after = await cut(tx, call, before, replace(before, plan_version_id=plan_version_id), at)
    await terms.begin_term(tx, after, at)
    return after


async def cut(tx: Tx, call: Call, before: Subscription, after: Subscription, at: datetime) -> Subscription:
    """Write what a subscription becomes under another version as `switch_version` does; the caller begins its term."""
    saved = await save(tx, before, after, raises_epoch=True)
    found = (await store.segments_of(tx, [before.id], ending_after=at))[before.id]
    for segment in found:
        if segment.during.start >= at:
            await store.save_segment_version(tx, segment, saved.plan_version_id)
            continue
        await store.save_segment_end(tx, segment, at)
        rest = segment_of(call, saved, Period(at, segment.during.end), segment.period)
        inserted = await store.insert_segment(tx, rest)
        assert inserted, "the bucket keeps other segments out"
    if not found or found[0].during.start > at:
        await ensure_segment(tx, call, saved, at, is_held=True)
    return saved


async def find_mirror(tx: Tx, customer_id: CustomerId, gateway_id: str) -> Subscription | None:
    """Return the subscription that follows one of Stripe's, or None."""
    return await store.find_subscription_by_gateway_id(tx, customer_id=customer_id, gateway_id=gateway_id)


async def follow(
    tx: Tx,
    call: Call,
    now: datetime,
    before: Subscription,
    news: mirror.Mirrored,
    *,
    counted: Collection[SegmentId],
) -> Subscription:
    """Move a mirror to what Stripe says; the same news twice change nothing. The caller holds it locked.

    `counted` as in `end`. Raises AlreadySubscribed where it comes to life beside another one of its product.
    """
    after = mirror.follow(before, news, now)
    if after.ended_at is not None:
        return await end(tx, before, after, counted=counted) if after != before else before
    if after.is_live and not before.is_live and await find_live(tx, before.customer_id, before.product_id):
        raise AlreadySubscribed
    if after.plan_version_id != before.plan_version_id:
        before = await switch_version(tx, call, before, news.plan_version_id, now)
    saved = await save(tx, before, mirror.follow(before, news, now))
    if saved.is_live:
        await ensure_segment(tx, call, saved, now, is_held=True)
    return saved


async def find_live(tx: Tx, customer_id: CustomerId, product_id: ProductId) -> Subscription | None:
    """Return the customer's live subscription of a product, or None."""
    return await store.find_live_subscription(tx, customer_id=customer_id, product_id=product_id)


async def make_final(tx: Tx, segments: Iterable[Segment]) -> None:
    """Make ended segments final: later news about them become differences. The caller holds their buckets."""
    by_subscription = sorted(segments, key=lambda each: (each.customer_id, each.subscription_id))
    for (customer_id, subscription_id), group in groupby(
        by_subscription, lambda each: (each.customer_id, each.subscription_id)
    ):
        await store.save_segments_final(tx, customer_id, [each.id for each in group])
        await store.raise_epoch_of(tx, customer_id, subscription_id)


async def set_access(tx: Tx, before: Subscription, access: AccessState) -> Subscription:
    """Let checks answer by another access state from now on; within seconds every process does.

    The caller holds the subscription locked. Safe to repeat.
    """
    if before.access is access:
        return before
    return await save(tx, before, replace(before, access=access), raises_epoch=True)


async def seal_feedback(tx: Tx, subscription: Subscription, text: str) -> bytes:
    """Seal a customer's free text with the customer's own key. Raises FeedbackMalformed."""
    key = await customers.data_key(tx, subscription.customer_id)
    return tx.vault.seal(key, feedback_place(subscription.id), lifecycle.check_feedback(text))


async def read_feedback(tx: Tx, subscription: Subscription) -> str | None:
    """Return what the customer wrote when it was canceled, or None."""
    if subscription.cancel_feedback is None:
        return None
    key = await customers.data_key(tx, subscription.customer_id)
    return tx.vault.open(key, feedback_place(subscription.id), subscription.cancel_feedback).decode()


async def _insert(tx: Tx, call: Call, new: Subscription, now: datetime) -> Subscription:
    if not await store.insert_subscription(tx, new):
        raise AlreadySubscribed
    if new.is_live:
        await ensure_segment(tx, call, new, now, is_held=True)
    return new


async def _take_back(tx: Tx, of: Subscription, at: datetime, counted: Collection[SegmentId]) -> None:
    """End the segments at an instant; those that start there or later go, unless something is `counted` in them."""
    for segment in (await store.segments_of(tx, [of.id], ending_after=at))[of.id]:
        if segment.during.start < at:
            await store.save_segment_end(tx, segment, at)
        elif segment.id not in counted:
            await store.delete_segment(tx, segment)


def segment_of(call: Call, of: Subscription, stretch: Period, usage_period: Period) -> Segment:
    """Return a new segment of a stretch of a usage period, under the present version."""
    zone = of.zone if of.source is Source.TOLLGATE else None
    new_id = SegmentId(call.new_id())
    return Segment(of.customer_id, new_id, of.id, of.plan_version_id, stretch, usage_period, final=False, zone=zone)


def feedback_place(subscription_id: SubscriptionId) -> str:
    """Return the place that a customer's text at the end of a subscription is sealed for."""
    return f"subscription:cancel_feedback:{subscription_id}"
