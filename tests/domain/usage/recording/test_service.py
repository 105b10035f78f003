"""The group committer: races, faults, back-pressure, and what it promises about sums."""

import asyncio
import random
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.db import Database, Tx
from domain.kernel.ids import encode
from domain.plans.plan import Catalogue
from domain.subscriptions import service as subscriptions
from domain.usage import service as usage
from domain.usage.event import UsageEvent
from domain.usage.recording.service import WAITING_MAX, Recorder
from domain.usage.snapshots.service import Loaders, Snapshots
from domain.usage.verdict import COUNTED, DUPLICATE, BatchRefused, Status, UsageBusy, UsageUnavailable
from domain.vault import Vault
from tests import make
from tests.domain.usage.world import World, edge, event, key, llm, open_recorder


async def _queued(recorder: Recorder) -> None:
    """Let a task run until its rows are in the queue."""
    for _ in range(1000):
        if recorder._queue:
            return
        await asyncio.sleep(0)
    raise AssertionError("nothing was queued")


async def test_two_processes_that_race_with_the_same_events_count_each_once(world: World) -> None:
    people = [await world.subscriber() for _ in range(5)]
    events = [event(people[n % 5][0], f"e{n}", model=f"gemini-2.5-{'pro' if n % 2 else 'flash'}") for n in range(200)]
    async with open_recorder(world.db) as second, open_recorder(world.db) as third:
        recorders = (world.recorder, second, third)
        shuffled = random.Random(7)  # noqa: S311 -- an order, the same in every run
        answers = []
        for recorder in recorders:
            order = shuffled.sample(events, len(events))
            answers += [recorder.record(make.call(by=key()), order[n : n + 10]) for n in range(0, 200, 10)]
        verdicts = [verdict for answer in await asyncio.gather(*answers) for verdict in answer]
    assert verdicts.count(COUNTED) == 200
    assert verdicts.count(DUPLICATE) == 400
    for _, subscription in people:
        found = await world.usage(subscription)
        assert found.quantity(world.meter("llm", "calls")) == 40
        assert found.quantity(world.meter("llm", "tokens")) == 44_000
    assert await world.count("usage_event") == 200


async def test_levels_that_race_never_fall_below_zero(world: World) -> None:
    ada, subscription = await world.subscriber("edge", "professional")
    by = key("edge")
    await world.record(edge(ada, "start", "edge.module", delta=10), by=by)
    async with open_recorder(world.db) as second:
        answers = await asyncio.gather(
            *(
                recorder.record(make.call(by=by), [edge(ada, f"{name}{n}", "edge.module", delta=-1)])
                for n in range(15)
                for name, recorder in (("a", world.recorder), ("b", second))
            )
        )
    statuses = [answer[0].status for answer in answers]
    assert statuses.count(Status.COUNTED) == 10
    assert statuses.count(Status.REJECTED) == 20
    assert (await world.usage(subscription)).quantity(world.meter("edge", "modules")) == 0


async def test_single_events_at_once_share_commits(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(event(ada, "first"))
    answers = await asyncio.gather(*(world.record(event(ada, f"e{n}")) for n in range(64)))
    assert answers == [[COUNTED]] * 64
    found = await world.usage(subscription)
    assert found.quantity(world.meter("llm", "calls")) == 65
    assert found.version < 10


async def test_large_batches_at_once_are_arranged_ahead_and_counted_once_each(world: World) -> None:
    ada, subscription = await world.subscriber()
    bea, _ = await world.subscriber()
    await world.record(event(ada, "first"), event(bea, "first"))
    # 8 batches of 250, each of which repeats 50 events of the one before it: 8 x 250 - 7 x 50 = 1,650 different ones.
    batches = [
        [event(ada if n % 2 else bea, f"e{n}") for n in range(start, start + 250)] for start in range(0, 1_600, 200)
    ]
    waiting = [asyncio.create_task(world.record(*each)) for each in batches]
    await _queued(world.recorder)
    single = await world.record(event(ada, "single"))
    answers = [verdict for answer in await asyncio.gather(*waiting) for verdict in answer]
    assert single == [COUNTED]
    assert (answers.count(COUNTED), answers.count(DUPLICATE)) == (1_650, 350)
    # Half of them are hers, and two more.
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 827
    assert await world.count("usage_event") == 1_653


async def test_a_fault_reaches_only_its_sender(world: World) -> None:
    ada, subscription = await world.subscriber()
    async with world.db.transaction() as tx:
        for statement in (
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poison'; END $$",
            """CREATE TRIGGER poison BEFORE INSERT ON usage_event FOR EACH ROW WHEN (NEW.event_id = 'poison')
               EXECUTE FUNCTION refuse()""",
        ):
            await tx.execute(sa.text(statement))
    answers = await asyncio.gather(
        *(world.record(event(ada, name)) for name in ("e1", "e2", "poison", "e3")), return_exceptions=True
    )
    assert [answer for answer in answers if not isinstance(answer, BaseException)] == [[COUNTED]] * 3
    assert isinstance(answers[2], UsageUnavailable)
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 3
    async with world.db.transaction() as tx:
        await tx.execute(sa.text("DROP TRIGGER poison ON usage_event"))
    assert await world.record(event(ada, "poison")) == [COUNTED]


async def test_whoever_stops_waiting_loses_nothing(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(event(ada, "first"))
    waiting = asyncio.create_task(world.record(event(ada, "e1"), event(ada, "e2")))
    await _queued(world.recorder)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await world.record(event(ada, "e3")) == [COUNTED]
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 4
    assert await world.record(event(ada, "e1"), event(ada, "e2")) == [DUPLICATE, DUPLICATE]
    assert world.recorder._waiting == 0


async def test_more_than_can_wait_is_sent_away_and_nothing_of_it_recorded(world: World) -> None:
    ada, _ = await world.subscriber()
    batch = [event(ada, f"e{n}") for n in range(1000)]
    extra = [event(ada, f"x{n}") for n in range(1000)]
    admitted = WAITING_MAX // 1000
    answers = await asyncio.gather(
        *(world.record(*batch) for _ in range(admitted)), world.record(*extra), return_exceptions=True
    )
    assert isinstance(answers[-1], UsageBusy)
    assert sum(verdict == COUNTED for answer in answers[:-1] for verdict in answer) == 1000  # type: ignore[union-attr]
    assert await world.count("usage_event") == 1000
    assert await world.record(*extra) == [COUNTED] * 1000


async def test_stopping_commits_what_was_accepted_and_accepts_no_more(world: World) -> None:
    ada, _ = await world.subscriber()
    async with open_recorder(world.db) as recorder:
        await recorder.record(make.call(by=key()), [event(ada, "first")])
        accepted = asyncio.create_task(recorder.record(make.call(by=key()), [event(ada, "last")]))
        await _queued(recorder)
    assert await accepted == [COUNTED]
    with pytest.raises(UsageUnavailable):
        await recorder.record(make.call(by=key()), [event(ada, "late")])


async def test_a_database_that_cannot_be_reached_is_said_so(world: World, vault: Vault) -> None:
    ada, _ = await world.subscriber()
    nowhere = Database("postgresql+asyncpg://nobody@127.0.0.1:1/nothing", vault, pool_size=2, wait_s=1)
    async with open_recorder(nowhere) as recorder:
        with pytest.raises(UsageUnavailable):
            await recorder.record(make.call(by=key()), [event(ada)])
        assert recorder._waiting == 0
    await nowhere.close()


async def test_connections_that_the_server_ended_are_replaced(world: World) -> None:
    ada, subscription = await world.subscriber()
    await world.record(event(ada, "e1"))
    async with world.db.transaction() as tx:
        await tx.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    for n in range(20):
        try:
            await world.record(event(ada, "e2"))
        except UsageUnavailable:
            assert n < 19, "a fresh connection is found"
        else:
            break
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 2


async def test_an_atomic_batch_is_refused_without_harm_to_others_in_flight(world: World) -> None:
    ada, subscription = await world.subscriber()
    answers = await asyncio.gather(
        world.record(event(ada, "e1")),
        world.record(event(ada, "e2"), edge(ada, "odd", "coffee.cup"), atomic=True),
        world.record(event(ada, "e2")),
        return_exceptions=True,
    )
    assert [answers[0], answers[2]] == [[COUNTED], [COUNTED]]
    assert isinstance(answers[1], BatchRefused)
    assert (await world.usage(subscription)).quantity(world.meter("llm", "calls")) == 2


async def test_a_border_that_moves_while_events_come_in_leaves_each_in_its_segment(world: World) -> None:
    ada, subscription = await world.subscriber()
    versions = [world.catalogue.current_version("llm", plan).id for plan in ("basic", "pro")]

    async def send(part: int) -> None:
        for n in range(20):
            await world.record(llm(ada, f"{part}-{n}", at="2026-01-15T12:30:00Z"), when="2026-01-15T13:00")

    async def move() -> None:
        for n in range(4):
            async with world.db.transaction() as tx:
                locked = await subscriptions.lock_subscription(tx, subscription.id, scope=ada.id)
                border = make.at(f"2026-01-15T12:4{n}")
                await subscriptions.switch_version(tx, make.call(), locked, versions[n % 2], border)
            await asyncio.sleep(0.02)

    await asyncio.gather(send(1), send(2), move())
    async with world.db.transaction() as tx:
        found = (await subscriptions.segments_of(tx, [subscription.id]))[subscription.id]
        totals = await usage.usage_of_segments(tx, ada.id, [segment.id for segment in found])
    calls = world.meter("llm", "calls")
    counted = [sum(each.events for each in totals[part.id] if each.meter_id == calls) for part in found]
    # All lie before every border: in the first segment.
    assert counted == [40, 0, 0, 0, 0]


async def test_a_catalogue_that_changes_is_seen_within_a_second(world: World) -> None:
    loaded: list[str] = []
    fingerprints = ["old"]

    async def fingerprint(_: Tx) -> str:
        return fingerprints[-1]

    async def catalogue(_: Tx) -> Catalogue:
        loaded.append(fingerprints[-1])
        return world.catalogue

    snapshots = Snapshots(world.db, Loaders(fingerprint, catalogue))
    first = await snapshots.rules(make.at("2026-01-15T12:00:00"))
    fingerprints.append("new")
    assert await snapshots.rules(make.at("2026-01-15T12:00:00.999999")) is first
    second = await snapshots.rules(make.at("2026-01-15T12:00:01"))
    assert await snapshots.rules(make.at("2026-01-15T12:00:09")) is second
    assert (first.fingerprint, second.fingerprint, loaded) == ("old", "new", ["old", "new"])


_PARTS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 10**12), st.sampled_from(("fra", "iad", "sin"))),
    min_size=1,
    max_size=25,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=_PARTS, order=st.randoms(use_true_random=False), size=st.integers(1, 10))
async def test_totals_are_the_sums_of_events_under_any_order_split_and_repetition(
    world: World, parts: list[tuple[int, int, str]], order: random.Random, size: int
) -> None:
    ada, subscription = await world.subscriber("edge", "professional")
    events = [
        UsageEvent(
            f"e{n}",
            "edge.bandwidth",
            encode("customer", ada.id),
            occurred_at=f"2026-01-15T{hour:02}:00:00Z",
            properties={"bytes": amount + Decimal("0.5"), "direction": "in", "region": region},
        )
        for n, (hour, amount, region) in enumerate(parts)
    ]
    sent = [*events, *order.sample(events, len(events) // 2)]
    order.shuffle(sent)
    batches = [sent[start : start + size] for start in range(0, len(sent), size)]
    answers = await asyncio.gather(*(world.record(*batch, by=key("edge")) for batch in batches))
    verdicts = [verdict for answer in answers for verdict in answer]
    assert (verdicts.count(COUNTED), verdicts.count(DUPLICATE)) == (len(events), len(sent) - len(events))
    found = (await world.usage(subscription)).meters
    async with world.db.transaction() as tx:
        [segment] = (await subscriptions.segments_of(tx, [subscription.id]))[subscription.id]
        hours = await usage.hours_of(tx, ada.id, [segment.id])
        totals = (await usage.usage_of_segments(tx, ada.id, [segment.id]))[segment.id]
    assert found
    for meter_id, shown in found.items():
        own = [hour for hour in hours if hour.meter_id == meter_id]
        assert shown.quantity == sum((hour.quantity for hour in own), Decimal(0))
        assert shown.quantity == sum((total.quantity for total in totals if total.meter_id == meter_id), Decimal(0))
        assert shown.quantity == sum((each.quantity for each in shown.combinations), Decimal(0))
        assert shown.events == len(events)
    expected = sum(amount for _, amount, _ in parts) + Decimal("0.5") * len(parts)
    assert sum(found[meter_id].quantity for meter_id in found) == expected
