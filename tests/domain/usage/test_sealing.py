"""Events in quarantine are sealed as they come, and those that an earlier version kept plain are sealed later."""

from decimal import Decimal

import sqlalchemy as sa

from domain.access.roles import Permission
from domain.kernel.ids import NOBODY, encode
from domain.usage import service as usage
from domain.usage.reading import QuarantinedEvent
from domain.usage.redriving.service import redrive
from domain.usage.sealing import service as sealing
from domain.usage.sealing.store import count_plain
from domain.usage.verdict import Reason
from tests import make
from tests.domain.usage.world import World, edge, event

_STAFF = make.call("2026-01-20T09:00", make.principal(Permission.EVENT_WRITE))
_STRANGER = encode("customer", make.new_id())
_TEXT = "SELECT string_agg(q::text, ' ') FROM quarantined_event q"


async def _listed(world: World) -> dict[str, QuarantinedEvent]:
    async with world.db.transaction() as tx:
        found = await usage.list_quarantined(tx, make.call(by=make.principal(Permission.EVENT_READ)))
    return {each.event_id: each for each in found}


async def _make_plain(world: World) -> None:
    """Leave events as an earlier version has written them."""
    async with world.db.transaction() as tx:
        plain = """UPDATE quarantined_event SET sealed = NULL,
            properties = jsonb_build_object('size', 0.330, 'beans', 'arabica ' || event_id)"""
        await tx.execute(sa.text(plain))


async def test_nothing_that_was_sent_can_be_read_in_the_database(world: World) -> None:
    ada, _ = await world.subscriber()
    await world.record(
        edge(ada, "e1", "coffee.cup", beans="arabica"), edge(_STRANGER, "e2", "coffee.cup", beans="robusta")
    )
    found = await _listed(world)
    assert {name: each.customer_id for name, each in found.items()} == {"e1": ada.id, "e2": NOBODY}
    assert {name: each.properties for name, each in found.items()} == {
        "e1": {"beans": "arabica"},
        "e2": {"beans": "robusta"},
    }
    async with world.db.transaction() as tx:
        text = str(await tx.value(sa.text(_TEXT)))
        assert "coffee.cup" in text
        assert "arabica" not in text
        assert "robusta" not in text
        assert await count_plain(tx, limit=10) == 0


async def test_what_is_plain_is_read_and_sealed_in_batches_once(world: World) -> None:
    ada, _ = await world.subscriber()
    await world.record(edge(ada, "e1", "coffee.cup"), edge(_STRANGER, "e2", "coffee.cup"))
    await _make_plain(world)
    sent = {name: {"size": Decimal("0.330"), "beans": f"arabica {name}"} for name in ("e1", "e2")}
    assert {name: each.properties for name, each in (await _listed(world)).items()} == sent
    async with world.db.transaction() as tx:
        assert await count_plain(tx, limit=10) == 2
        assert await count_plain(tx, limit=1) == 1
    for sealed in (2, 0):
        async with world.db.transaction() as tx:
            assert await sealing.seal_plain(tx) == sealed
    assert {name: each.properties for name, each in (await _listed(world)).items()} == sent
    async with world.db.transaction() as tx:
        assert "arabica" not in str(await tx.value(sa.text(_TEXT)))


async def test_an_event_whose_properties_were_erased_is_listed_without_and_never_counted(world: World) -> None:
    ada = await world.customer()
    await world.record(event(ada, "e1"))
    async with world.db.transaction() as tx:
        await tx.execute(sa.text("UPDATE quarantined_event SET sealed = NULL"))
    await world.subscribe(ada)
    done = await redrive(world.db, _STAFF)
    assert ([why for _, why in done.kept], done.resolved) == ([Reason.OUTSIDE_SUBSCRIPTION], ())
    assert (await _listed(world))["e1"].properties == {}
    assert (await world.counts())["usage_event"] == 0


async def test_an_event_that_an_earlier_version_kept_plain_is_counted_when_it_can_be(world: World) -> None:
    ada = await world.customer()
    sent = event(ada, "e1")
    await world.record(sent)
    async with world.db.transaction() as tx:
        plain = "UPDATE quarantined_event SET sealed = NULL, properties = CAST(:sent AS jsonb)"
        written = '{"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 1000, "output_tokens": 100}'
        await tx.execute(sa.text(plain).bindparams(sent=written))
    subscription = await world.subscribe(ada)
    assert len((await redrive(world.db, _STAFF)).resolved) == 1
    # 1,000 tokens in at 1.25 and 100 out at 10.00 USD a million.
    assert (await world.usage(subscription)).quantity(world.meter("llm", "cost")) == Decimal("0.00225")


async def test_events_of_an_erased_customer_are_listed_without_and_never_counted(world: World) -> None:
    ada = await world.customer()
    await world.record(event(ada, "e1"))
    await world.subscribe(ada)
    # As an erasure leaves it until it has come to these rows: another key.
    async with world.db.transaction() as tx:
        key = tx.vault.new_wrapped_key(str(ada.id))
        erased = "UPDATE data_key SET erased_at = now(), retained = wrapped, wrapped = :key"
        await tx.execute(sa.text(erased).bindparams(key=key))
    assert (await _listed(world))["e1"].properties == {}
    assert (await redrive(world.db, _STAFF)).resolved == ()
    assert (await world.counts())["usage_event"] == 0
