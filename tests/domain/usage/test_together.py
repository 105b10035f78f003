"""What segments of one usage period measured together, against the pure rule and by hand."""

import random
from datetime import datetime
from fractions import Fraction
from typing import Any

import msgspec

from domain.kernel.ids import PlanVersionId, SegmentId
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions
from domain.usage import service as usage
from domain.usage.event import DIGEST_MODULUS
from domain.usage.reading import SegmentTotal, added_up, whole_of
from domain.usage.verdict import COUNTED
from tests import make
from tests.domain.invoices.examples import REQUESTS, total
from tests.domain.usage import yard
from tests.domain.usage.world import World
from tests.domain.usage.yard import BADGE, METERS, PLAIN, SAMPLE, STOCK, Yard, open_yard


async def _switch(own: Yard, at: datetime, version_id: PlanVersionId | None = None) -> None:
    async with own.world.db.transaction() as tx:
        held = await subscriptions.lock_subscription(tx, own.subscription.id, scope=own.customer.id)
        await subscriptions.switch_version(tx, make.call(), held, version_id or held.plan_version_id, at)


async def _together(own: Yard, key: str, ids: list[SegmentId]) -> list[SegmentTotal]:
    async with own.world.db.transaction() as tx:
        found = await usage.usage_together(tx, own.customer.id, ids)
    return [each for each in found if each.meter_id == own.meters[key]]


async def test_a_cut_period_measures_together_what_the_whole_does(world: World) -> None:
    own = await open_yard(world)
    for at in ("2026-01-08T09:30", "2026-01-08T17:00", "2026-01-20"):
        await _switch(own, make.at(at))
    chance = random.Random(8)  # noqa: S311 -- a workload, the same in every run
    kinds = {SAMPLE: "v", BADGE: "who", STOCK: "amount", PLAIN: "delta"}
    events = []
    for number in range(60):
        kind = chance.choice(sorted(kinds))
        at = f"2026-01-{chance.randint(1, 31):02}T{chance.randint(0, 23):02}:00:00Z"
        value: Any = chance.choice("abc") if kind == BADGE else chance.randint(0, 5)
        place = chance.choice(("quay", "shed"))
        events.append(own.event(f"e{number}", kind, at, place=place, **{kinds[kind]: value}))
    assert await own.send(*events) == [COUNTED] * 60
    january = [each for each in await own.segments() if each.period.start == make.at("2026-01-01")]
    assert len(january) == 4
    for definition in METERS:
        key = definition["key"]
        wanted = yard.rule(key, events, 0)
        found = await _together(own, key, [each.id for each in january])
        assert whole_of(found) == wanted.pop(None), key
        if definition["dimensions"]:
            assert {each.dimensions["place"]: each.amount for each in found} == wanted, key
        alone = await own.totals(key)
        assert sum(each.events for each in found) == sum(each.events for each in alone)
        digests = [sum(each.digest for each in totals) % DIGEST_MODULUS for totals in (found, alone)]
        assert digests[0] == digests[1]


async def test_the_time_of_another_plan_between_is_not_measured(world: World) -> None:
    own = await open_yard(world)
    again = msgspec.structs.replace(
        yard.product(), plans=(msgspec.structs.replace(yard.product().plans[0], support="s"),)
    )
    async with world.db.transaction() as tx:
        await plans.publish(tx, make.call(), again)
        other = (await plans.load_catalogue(tx)).current_version(yard.PRODUCT, "only").id
    assert other != own.subscription.plan_version_id
    await _switch(own, make.at("2026-01-11"), other)
    await _switch(own, make.at("2026-01-21"), own.subscription.plan_version_id)

    def sample(day: int, value: int) -> None:
        events.append(own.event(f"s{day}", SAMPLE, f"2026-01-{day:02}T12:00:00Z", place="quay", v=value))

    def badge(day: int, who: str, op: str = "add") -> None:
        events.append(own.event(f"b{day}{who}", BADGE, f"2026-01-{day:02}T00:00:00Z", place="quay", who=who, op=op))

    events = [own.event("p1", PLAIN, "2026-01-06T00:00:00Z", place="quay", delta=31)]
    for day, value in ((2, 1), (3, 9), (15, 100), (25, 3), (26, 3), (27, 3)):
        sample(day, value)
    badge(5, "ada")
    badge(12, "bob")
    badge(23, "ada")
    badge(24, "cleo")
    assert await own.send(*events) == [COUNTED] * len(events)
    first, _, third = [each.id for each in await own.segments() if each.period.start == make.at("2026-01-01")]
    measured = {key: whole_of(await _together(own, key, [first, third])) for key in own.meters}
    assert {key: measured[key] for key in ("samples", "largest", "smallest", "mean", "last", "median", "p90")} == {
        "samples": 5,
        "largest": 9,
        "smallest": 1,
        # 1 + 9 + 3 + 3 + 3 over five.
        "mean": Fraction(19, 5),
        "last": 3,
        "median": 3,
        "p90": 9,
    }
    # Ada and Cleo; Bob came under the other plan, and is a member at the end as they are.
    assert [measured[key] for key in ("visitors", "members")] == [2, 3]
    # Ada for the 6 days from the 5th, and for 11; Bob for 11, Cleo for 8: 36 of 31 days.
    assert measured["member_days"] == Fraction(36, 31)
    # 31 stands at the end; it stood for 5 days before the 11th and for 11 from the 21st on.
    assert [measured[key] for key in ("plain", "plain_days", "plain_seconds")] == [31, 16, 16]


def test_totals_are_added_up_by_meter_and_combination_and_their_digests_wrap_around() -> None:
    first = total(REQUESTS, "2", {"region": "fra"}, events=2)
    nearly = SegmentTotal(
        REQUESTS.id, {"region": "fra"}, first.quantity, 1, DIGEST_MODULUS - 1, Fraction(7), Fraction(7)
    )
    other = total(REQUESTS, "5", {"region": "iad"})
    added = added_up([first, other, nearly])
    # 2 + (2^256 - 1) are 1 modulo 2^256; what was measured need not add up.
    assert added == [SegmentTotal(REQUESTS.id, {"region": "fra"}, total(REQUESTS, "4").quantity, 3, 1), other]
    assert added_up([]) == []
