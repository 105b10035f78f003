"""Have a subscription go on as something else from an instant on: its segments are cut there."""

from collections.abc import Collection
from datetime import datetime

from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import SegmentId
from domain.subscriptions import service as subscriptions
from domain.subscriptions import store
from domain.subscriptions.segments import retiled
from domain.subscriptions.subscription import Segment, Subscription


async def move(
    tx: Tx, call: Call, before: Subscription, after: Subscription, at: datetime, *, counted: Collection[SegmentId]
) -> Subscription:
    """Write what a subscription becomes at business time `at`, and cut its segments there where usage is concerned.

    On the same grid, what was counted before the call stays where it is, under the version that is in force then. On
    another grid the usage period ends at the instant and the next one begins; segments ahead of it go, but those among
    `counted`, in which a product's fast clock reported something, take the borders of the new grid; nothing else asks
    for those. The caller holds the subscription locked, and begins a term.
    """
    if not is_laid_anew(before, after):
        if after.plan_version_id != before.plan_version_id:
            return await subscriptions.cut(tx, call, before, after, at)
        return await subscriptions.save(tx, before, after)
    saved = await subscriptions.save(tx, before, after, raises_epoch=True)
    await _lay_anew(tx, call, saved, at, counted)
    await subscriptions.ensure_segment(tx, call, saved, at, is_held=True)
    return saved


def is_laid_anew(before: Subscription, after: Subscription) -> bool:
    """Whether a subscription goes over to another grid."""
    return (after.anchor_at, after.zone) != (before.anchor_at, before.zone)


async def plan_border(tx: Tx, before: Subscription, after: Subscription, at: datetime) -> Subscription:
    """Write a subscription that will be on another grid from an instant on, and end what is counted until then there.

    The caller holds it locked.
    """
    saved = await subscriptions.save(tx, before, after, raises_epoch=True)
    for segment in (await store.segments_of(tx, [before.id], ending_after=at))[before.id]:
        if segment.during.start < at:
            await store.save_segment_end(tx, segment, at)
    return saved


async def _lay_anew(tx: Tx, call: Call, after: Subscription, at: datetime, counted: Collection[SegmentId]) -> None:
    """End the segment at an instant, and lay what is kept beyond it on the new grid."""
    kept = list[Segment]()
    for segment in (await store.segments_of(tx, [after.id], ending_after=at))[after.id]:
        if segment.during.start < at:
            await store.save_segment_end(tx, segment, at)
        elif segment.id in counted:
            kept.append(segment)
        else:
            await store.delete_segment(tx, segment)
    for number, during, period in retiled(after, at, [each.during.start for each in kept]):
        if number is None:
            await store.insert_segment(tx, subscriptions.segment_of(call, after, during, period))
        else:
            await store.save_segment_place(tx, kept[number], after, during, period)
