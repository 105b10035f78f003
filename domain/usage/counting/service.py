"""Judge new events one after another, and write those that count with everything that follows from them."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import date, timedelta
from uuid import UUID

import msgspec
import structlog

from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.journal import service as journal
from domain.journal.jobs import CheckThresholds, TellStaff
from domain.journal.staging import service as staging
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.values import dataclass
from domain.usage.combination import ALL
from domain.usage.correcting import service as correcting
from domain.usage.correction import Chronicle, Toggle
from domain.usage.counters import service as counters
from domain.usage.counters.counter import MeterSet
from domain.usage.counters.store import insert_sets, list_combinations
from domain.usage.counting import store
from domain.usage.event import row_id
from domain.usage.movement import Books, Move, Slow, changes_of
from domain.usage.readings import service as readings
from domain.usage.resolve import Row, listed_names
from domain.usage.sealing import service as sealing
from domain.usage.tally import (
    GROUP_BYTES,
    Entry,
    Full,
    Tally,
    add_changes,
    add_entry,
    add_slow,
    derive_totals,
    judge_combinations,
    level_steps,
    quarantine_of,
    tally,
)
from domain.usage.verdict import Reason, Status, Verdict, rejected

_log = structlog.get_logger()
_ID_BYTES = 16
# Usage that follows within this time is looked at together.
CHECK_AFTER = timedelta(seconds=1)
_PLACE_BYTES = 32  # customer and segment


class MovedError(Exception):
    """Borders of these customers' subscriptions moved since their rows were resolved, or the customers were erased."""

    def __init__(self, customers: set[CustomerId]) -> None:
        self.customers = customers


class FullError(Exception):
    """These meters would get more combinations than they may have; the values are what they had before."""

    def __init__(self, groups: Full) -> None:
        self.groups = groups


class NarrowError(Exception):
    """Corrections touch these subscriptions too, and their buckets are not held."""

    def __init__(self, subscriptions: set[SubscriptionId]) -> None:
        self.subscriptions = subscriptions


@dataclass(slots=True)
class Judged:
    """Rows that count, in the order in which they came, and what corrections and slower meters do beside them."""

    rows: list[Row]
    done: dict[bytes, tuple[Toggle, ...]] = field(default_factory=dict)
    books: Books | None = None


async def check_epochs(driver: store.Driver, rows: Iterable[Row]) -> None:
    """Refuse rows that were resolved before a border moved: raises MovedError.

    The buckets are held, so none moves any more.
    """
    placed = [(row.place.segment.key, row.place.subscription) for row in rows if row.place]
    wanted = {each.hex: key[:_ID_BYTES] for key, each in placed}
    epochs = await store.load_epochs(driver, wanted)
    if any(epochs.get(each.hex) != each.epoch for _, each in placed):
        raise MovedError(
            {
                row.customer_id
                for row in rows
                if row.place and epochs.get(row.place.subscription.hex) != row.place.subscription.epoch
            }
        )


async def count(
    tx: Tx,
    kept: Sequence[Row],
    fresh: dict[bytes, Verdict],
    *,
    full: Full,
    held: Collection[SubscriptionId],
    known: Collection[bytes] = (),
    quarantined: Mapping[bytes, bytes] | None = None,
) -> Tally:
    """Write new rows whose identities are this transaction's: what counts is counted, the rest is put in quarantine.

    `fresh` holds the verdicts by identity; those of rows that turn out not to count are changed in it. `held` are the
    subscriptions whose buckets are shared, `known` combinations that are stored already. Rows that stand in quarantine
    keep their ids, by identity, and what refuses them leaves them there. Raises FullError and NarrowError, with which
    the caller starts anew.
    """
    driver = await tx.raw()
    ids = quarantined or {row.identity: row_id(row.request.received_at, row.identity, n) for n, row in enumerate(kept)}
    counted = [row for row in kept if row.verdict.status is Status.COUNTED]
    refused = judge_combinations(counted, full)
    judged = Judged([row for row in counted if row.identity not in refused])
    if _needs_order(judged.rows):
        judged = await _judge_in_order(driver, judged.rows, refused, held, ids)
    fresh |= refused
    if quarantined is None:
        await _give_up_identities(driver, [row for row in counted if row.identity in refused], refused)
        await _quarantine(tx, quarantine_of(kept, fresh), ids)
    await store.insert_events(driver, judged.rows, ids)
    sums = tally(judged.rows)
    slow = _add_slow(sums, judged, ids) if judged.books is not None else None
    derive_totals(sums, slow)
    if judged.rows:
        await write(driver, sums, known)
        await stage_checks(driver, judged.rows)
    if judged.books is not None and slow is not None:
        await readings.write(driver, judged.books, slow)
    sums.unpriced.extend(await _tell_operator(tx, driver, judged.rows))
    if judged.done:
        await correcting.keep(tx, driver, judged.done, judged.rows, ids)
    return sums


async def _quarantine(tx: Tx, rows: Sequence[tuple[Row, Reason, str | None]], ids: Mapping[bytes, bytes]) -> None:
    if rows:
        # They may have been resolved before the erasure; what counts is refused by the epoch of its subscription.
        erased = await erasing.erased_among(tx, {row.customer_id for row, _, _ in rows})
        if erased:
            raise MovedError(erased)
        sealed = await sealing.seal_rows(tx, [row for row, _, _ in rows], ids)
        await store.insert_quarantined(await tx.raw(), rows, ids, sealed)


async def write(driver: store.Driver, sums: Tally, known: Collection[bytes]) -> None:
    """Add sums to totals and hours, running totals first: the first writer of one keeps others from it.

    The version of a customer is held from before it is checked how many combinations there are until the commit.
    """
    packed = await counters.add(driver, sums.packs)
    added = await store.add_totals(driver, sums.totals)
    await store.raise_versions(driver, sums.customers)
    await _check_room(driver, added, sums.maxima)
    await _check_room_of_counters(driver, packed, sums.packs.sets)
    await store.add_hours(driver, sums.hours)
    unknown = {key: each for key, each in sums.combinations.items() if key not in known}
    await store.insert_dimension_sets(driver, unknown)
    sets = {**sums.sets, **sums.packs.sets}
    await insert_sets(driver, [each for each in sets.values() if each.id not in known])


async def stage_checks(driver: store.Driver, rows: Sequence[Row]) -> None:
    """Stage the look at thresholds for customers whose totals this transaction has moved: one statement.

    Their versions are held by then, which `usage.service.hold_usage` relies on: a job that waits is not begun before
    this transaction has ended.
    """
    if not rows:
        return
    request = rows[-1].request
    await staging.stage_missing(
        driver,
        CheckThresholds,
        {row.customer_id for row in rows},
        first_id=request.call.new_id() if request.call else UUID(bytes=row_id(request.received_at, rows[-1].identity)),
        at=request.received_at,
        retry_at=request.received_at + CHECK_AFTER,
        clocks={row.customer_id: (row.clock_id, row.now) for row in rows if row.clock_id is not None},
    )


async def _tell_operator(tx: Tx, driver: store.Driver, rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Audit that calls of a model have no price, once per model and real day; return the models that are news."""
    calls: dict[tuple[date, tuple[str, str]], Call] = {}
    for row in rows:
        if row.unpriced and row.request.call is not None:
            calls.setdefault((row.request.received_at.date(), listed_names(row)), row.request.call)
    news = [key for key in await store.insert_unpriced_models(driver, calls) if key in calls] if calls else []
    for day, (provider, model) in news:
        call, facts = calls[day, (provider, model)], {"provider": provider, "model": model, "day": day.isoformat()}
        await journal.audit(tx, call, "usage_unpriced", f"{provider}/{model}", facts=facts)
        await _stage_telling(tx, call, provider, model)
    return [names for _, names in news]


async def _stage_telling(tx: Tx, call: Call, provider: str, model: str) -> None:
    """Have staff told; what the system itself counts anew was told of when it was counted first."""
    product, environment = call.principal.product, call.principal.environment
    if product is not None and environment is not None:
        facts = json.dumps({"provider": provider, "model": model})
        await journal.stage(tx, call, TellStaff("usage_unpriced", f"{environment}:{product}", environment, facts))


def tell_unpriced(sums: Tally) -> None:
    """Log an error for each model without a price that is news to the operator."""
    for provider, model in sums.unpriced:
        _log.error("usage_unpriced", provider=provider, model=model)


def _needs_order(rows: Iterable[Row]) -> bool:
    """Whether any row corrects an event, moves a level, or is counted by a meter that takes the slower path."""
    return any(
        row.slow
        or row.envelope.event.corrects is not None
        or (row.counts and next(iter(level_steps(row)), None) is not None)
        for row in rows
    )


async def _judge_in_order(
    driver: store.Driver,
    rows: Sequence[Row],
    refused: dict[bytes, Verdict],
    held: Collection[SubscriptionId],
    ids: Mapping[bytes, bytes],
) -> Judged:
    """Admit rows one after another, each to the levels and corrections that those before it left."""
    chronicle = await correcting.open_chronicle(driver, rows)
    elsewhere = {known.entry.place.subscription.id for known in chronicle.known.values()} - set(held)
    if elsewhere:
        raise NarrowError(elsewhere)
    entries = [correcting.entry_of(row, ids[row.identity]) for row in rows if row.place is not None]
    concerned = [*entries, *(known.entry for known in chronicle.known.values())]
    moves = [move for entry in concerned for move in entry.moves(1)]
    keys = {key for entry in concerned for key, _ in level_steps(entry)} | readings.level_keys(moves)
    levels = await store.lock_levels(driver, keys) if keys else {}
    judged = Judged([], books=await readings.open_books(driver, levels, moves))
    assert judged.books is not None, "they were opened"
    for row in rows:
        verdict = _admit(row, ids[row.identity], chronicle, judged)
        if verdict is not None:
            refused[row.identity] = verdict
    await store.save_levels(driver, {key: judged.books.levels[key] for key in judged.books.raised})
    return judged


def _admit(row: Row, event_id: bytes, chronicle: Chronicle, judged: Judged) -> Verdict | None:
    """Count a row and take back what it corrects, or say why not."""
    toggles: tuple[Toggle, ...] = ()
    if row.envelope.event.corrects is not None:
        decided = chronicle.decide(row)
        if isinstance(decided, Verdict):
            return decided
        toggles = decided
        if row.place is None:
            row = _placed(row, toggles[0].known.entry)
    entry = correcting.entry_of(row, event_id)
    signed = [*((toggle.sign, toggle.known.entry) for toggle in toggles), (1, entry)]
    plain = [step for sign, each in signed for step in level_steps(each, sign)]
    moves = [move for sign, each in signed for move in each.moves(sign)]
    assert judged.books is not None, "they were opened"
    if not judged.books.admit(plain, moves):
        chronicle.revert(toggles)
        return rejected(Reason.LEVEL_BELOW_ZERO)
    chronicle.add(row, entry)
    judged.rows.append(row)
    if toggles:
        judged.done[row.identity] = toggles
    return None


def _placed(row: Row, target: Entry) -> Row:
    """Put a void where the event that it voids is counted."""
    return msgspec.structs.replace(row, place=target.place, kept=b"{}")


async def _give_up_identities(driver: store.Driver, rows: Sequence[Row], refused: Mapping[bytes, Verdict]) -> None:
    """Let the identities of refused rows go, or keep them for quarantine."""
    quarantined = [row for row in rows if refused[row.identity].status is Status.QUARANTINED]
    rejected_rows = [row for row in rows if refused[row.identity].status is not Status.QUARANTINED]
    await store.save_identities_quarantined(driver, quarantined)
    await store.delete_identities(driver, rejected_rows)


def _add_slow(sums: Tally, judged: Judged, ids: Mapping[bytes, bytes]) -> Slow:
    """Add what corrections take back and what slower meters count."""
    assert judged.books is not None, "rows were judged in order"
    moves: list[Move] = []
    for row in judged.rows:
        own = correcting.entry_of(row, ids[row.identity])
        for sign, entry, is_new in (
            *((toggle.sign, toggle.known.entry, False) for toggle in judged.done.get(row.identity, ())),
            (1, own, True),
        ):
            (add_slow if is_new else add_entry)(sums, entry, sign)
            moves += entry.moves(sign)
    slow = changes_of(moves, judged.books.ladders)
    add_changes(sums, slow)
    return slow


async def _check_room(driver: store.Driver, added: set[bytes], maxima: Mapping[bytes, int]) -> None:
    """Start anew where a meter got more combinations than it may have; the first writer of a total holds it."""
    groups = {key[:GROUP_BYTES] for key in added}
    if not groups:
        return
    found = await store.list_combinations(driver, groups)
    before = {
        group: frozenset(each for each in ids if group + each not in added)
        for group, ids in found.items()
        if len(ids) > maxima[group]
    }
    if before:
        raise FullError(before)


async def _check_room_of_counters(driver: store.Driver, added: set[bytes], sets: Mapping[bytes, MeterSet]) -> None:
    """Do the same for counters, whose combinations are in the rows of all the sets that they are in."""
    before: dict[bytes, frozenset[bytes]] = {}
    new = [key for key in added if key[GROUP_BYTES:] != ALL]
    maxima = {
        key[:_PLACE_BYTES] + meter.id.bytes: meter.dimension_combinations_max
        for key in new
        for meter in sets[key[_PLACE_BYTES:GROUP_BYTES]].meters
    }
    found = await list_combinations(driver, maxima) if maxima else {}
    for group, ids in found.items():
        if len(ids) > maxima[group]:
            own = {key[GROUP_BYTES:] for key in new if key[:_PLACE_BYTES] == group[:_PLACE_BYTES]}
            before[group] = frozenset(ids - own)
    if before:
        raise FullError(before)
