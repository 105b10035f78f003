"""When soft limits were passed, on real Postgres: checks and alerts go by the event, however late they look."""

from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from domain.alerts.alert import AlertKind
from domain.alerts.raising import service as alerts
from domain.customers.customer import Customer
from domain.kernel.ids import encode
from domain.usage.event import UsageEvent
from domain.usage.verdict import Status
from tests import make
from tests.domain.limits.office import Office, Process, edge_of, key


async def builds(
    office: Office, ada: Customer, name: str, minutes: int, *, at: str, occurred_at: str | None = None, day: int = 15
) -> None:
    """Report build minutes at a real instant of January."""
    event = UsageEvent(name, "edge.build", encode("customer", ada.id), None, occurred_at, {"minutes": minutes})
    [verdict] = await office.world.record(event, by=key("edge"), when=f"2026-01-{day}T{at}")
    assert verdict.status is Status.COUNTED


async def allows(office: Office, process: Process, ada: Customer) -> bool:
    """Ask whether a minute more may be built."""
    call = office.call(key("edge"))
    return (await process.reserver.check(call, edge_of(ada, "edge.build", minutes=1))).is_allowed


async def noted(office: Office) -> dict[str, datetime]:
    """Return what is noted of limits that were passed."""
    async with office.world.db.transaction() as tx:
        rows = await tx.rows(sa.text("SELECT key, passed_at FROM limit_passing"))
    return {row.key: row.passed_at for row in rows}


async def test_the_hours_begin_with_the_receipt_of_the_event_that_passed_the_limit_and_not_with_the_look(
    office: Office,
) -> None:
    ada, _ = await office.subscriber("free", "edge")
    process = await office.process()
    # 100 build minutes: 60, then 105, then 108. The second tells of three days before.
    await builds(office, ada, "a", 60, at="08:00", occurred_at=None)
    await builds(office, ada, "b", 45, at="09:00", occurred_at="2026-01-12T08:00:00Z")
    await builds(office, ada, "c", 3, at="10:00", occurred_at=None)

    assert await allows(office, process, ada)
    assert await noted(office) == {"build_minutes": make.at("2026-01-15T09:00")}
    # From noon on 44 more hours, and an hour later they are over.
    office.later(hours=44)
    assert await allows(office, process, ada)
    office.later(hours=1)
    assert not await allows(office, process, ada)
    async with office.world.db.transaction() as tx:
        raised = await alerts.check(tx, office.call(make.principal()), office.world.catalogue, ada.id, percents={})
    assert [each.due_at for each in raised if each.kind is AlertKind.GRACE] == [make.at("2026-01-17T09:00")]


async def test_usage_above_a_limit_that_became_lower_passed_it_then(office: Office) -> None:
    ada, _ = await office.subscriber("free", "edge")
    await builds(office, ada, "a", 60, at="08:00", occurred_at=None)
    await office.override(ada, "build_minutes", 50, "edge", since="2026-01-15T13:00")
    process = await office.process()
    office.later(hours=2)
    await process.reserver.check(office.call(key("edge")), edge_of(ada, "edge.build", minutes=1))
    assert await noted(office) == {"build_minutes": make.at("2026-01-15T13:00")}


async def test_an_override_that_is_dated_back_leaves_hours_from_when_it_was_made(office: Office) -> None:
    ada, _ = await office.subscriber("free", "edge")
    await builds(office, ada, "a", 54, at="08:00", occurred_at=None)
    # Made on 15 January at noon; 48 hours after the first of January would be over.
    await office.override(ada, "build_minutes", 50, "edge", since="2026-01-01")
    process = await office.process()
    assert await allows(office, process, ada)
    assert await noted(office) == {"build_minutes": make.at("2026-01-15T12:00")}


async def test_another_amount_is_another_limit_with_hours_of_its_own(office: Office) -> None:
    ada, _ = await office.subscriber("free", "edge")
    process = await office.process()
    # 100 build minutes are passed at 09:00 of the 15th, and the hours are over by the 18th.
    await builds(office, ada, "a", 105, at="09:00", occurred_at=None)
    office.later(days=3)
    assert not await allows(office, process, ada)
    await office.override(ada, "build_minutes", 200, "edge")
    await builds(office, ada, "b", 100, at="09:00", day=25)
    office.at = make.at("2026-01-25T10:00")
    assert await allows(office, process, ada)
    async with office.world.db.transaction() as tx:
        raised = await alerts.check(tx, office.call(make.principal()), office.world.catalogue, ada.id, percents={})
    assert [(each.limit, each.due_at) for each in raised if each.kind is AlertKind.GRACE] == [
        (Decimal(200), make.at("2026-01-27T09:00"))
    ]
    office.at = make.at("2026-01-27T09:00")
    assert not await allows(office, process, ada)
    # The amount of before has had its hours.
    await office.override(ada, "build_minutes", 201, "edge")
    assert await allows(office, process, ada)
    await office.override(ada, "build_minutes", 200, "edge")
    office.later(seconds=5)
    assert not await allows(office, process, ada)


async def test_what_was_noted_without_an_amount_holds_for_any(office: Office) -> None:
    ada, subscription = await office.subscriber("free", "edge")
    process = await office.process()
    await builds(office, ada, "a", 105, at="09:00", occurred_at=None)
    async with office.world.db.transaction() as tx:
        # As processes of before wrote it.
        await tx.execute(
            sa.text(
                "INSERT INTO limit_passing (customer_id, subscription_id, key, period_start_at, passed_at)"
                " VALUES (:customer, :subscription, 'build_minutes', '2026-01-01T00:00Z', '2026-01-13T12:00Z')"
            ).bindparams(customer=ada.id, subscription=subscription.id)
        )
    assert not await allows(office, process, ada)
    assert await noted(office) == {"build_minutes": make.at("2026-01-13T12:00")}


async def test_a_level_is_above_its_limit_since_it_was_raised(office: Office) -> None:
    ada, _ = await office.subscriber("free", "edge")
    customer = encode("customer", ada.id)
    for hour, delta in (("08", 2), ("09", 2), ("10", -1), ("11", 2)):
        event = UsageEvent(f"m{hour}", "edge.module", customer, properties={"delta": delta})
        await office.world.record(event, by=key("edge"), when=f"2026-01-15T{hour}:00")
    process = await office.process()
    await process.reserver.check(office.call(key("edge")), edge_of(ada, "edge.module", delta=1))
    # Three modules: 2, 4, 3, 5. Nobody looked while there were four.
    assert await noted(office) == {"modules": make.at("2026-01-15T11:00")}
