"""Looks through the gateway's list of events on real Postgres: nothing is missed, whatever breaks off in between."""

import dataclasses

import pytest

from domain.adapters import clock
from domain.adapters.memory import MemoryGateway
from domain.adapters.stripe import StripeGateway
from domain.db import Database
from domain.kernel.call import Call
from domain.payments.port import GatewayEvent, GatewayRefused, GatewayUnavailable
from domain.webhooks import store
from domain.webhooks.inbox import InboxState
from domain.webhooks.service import process, receive
from domain.webhooks.store import Cursor, inbox_event
from domain.webhooks.sweeping import service
from tests import make
from tests.domain.payments.gateways import SandboxProbe
from tests.domain.payments.till import VISA, open_till, system
from tests.domain.webhooks.examples import event


def _news(event_id: str, created_at: str = "2026-01-15T12:00", kind: str = "invoice.paid") -> GatewayEvent:
    return dataclasses.replace(event(kind, "in_1", event_id), created_at=make.at(created_at))


async def _stored(db: Database) -> set[str]:
    async with db.transaction() as tx:
        return {row.event_id for row in await tx.rows(inbox_event.select())}


async def _cursor(db: Database) -> Cursor:
    async with db.transaction() as tx:
        return await store.lock_cursor(tx, "stripe")


async def test_what_never_arrived_is_stored_once_on_however_many_pages(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    async with db.transaction() as tx:
        assert await receive(tx, system(), _news("evt_1"))
    # Seven of one batch of types on pages of two, one of the other batch, and one that is not asked for.
    memory_gateway.events += [_news(f"evt_{number}") for number in range(7)]
    memory_gateway.events += [_news("evt_late_kind", kind="customer_cash_balance_transaction.created")]
    memory_gateway.events += [_news("evt_dull", kind="balance.available")]
    for when in ("2026-01-15T12:30", "2026-01-15T12:45"):
        assert await service.sweep(db, memory_gateway, system(when))
    assert await _stored(db) == {*(f"evt_{number}" for number in range(7)), "evt_late_kind"}
    assert await _cursor(db) == Cursor(swept_to=make.at("2026-01-15T12:45"))


async def test_a_look_that_breaks_off_goes_on_from_its_last_page(db: Database, memory_gateway: MemoryGateway) -> None:
    memory_gateway.events += [_news(f"evt_{number}") for number in range(5)]
    listing, first = memory_gateway.listing, system("2026-01-15T12:30")
    await _sweep_one_page(db, memory_gateway, first)
    assert await _stored(db) == {"evt_4", "evt_3"}
    # Nothing was looked for yet up to any instant; what comes meanwhile is left to the next look.
    assert (await _cursor(db)).swept_to is None
    memory_gateway.events += [_news("evt_meanwhile")]
    before = listing.pages
    assert await service.sweep(db, memory_gateway, system("2026-01-15T12:40"))
    # Two pages more of the first types, and one of the second.
    assert listing.pages - before == 3
    assert await _stored(db) == {f"evt_{number}" for number in range(5)}
    assert (await _cursor(db)).swept_to == first.at
    assert await service.sweep(db, memory_gateway, system("2026-01-15T12:55"))
    assert "evt_meanwhile" in await _stored(db)


async def test_a_place_that_the_gateway_has_forgotten_is_begun_anew(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    memory_gateway.events += [_news(f"evt_{number}") for number in range(5)]
    await _sweep_one_page(db, memory_gateway, system("2026-01-15T12:30"))
    memory_gateway.listing.failures = [GatewayRefused("resource_missing")]
    await service.sweep(db, memory_gateway, system("2026-01-15T12:45"))
    assert await service.sweep(db, memory_gateway, system("2026-01-15T13:00"))
    assert await _stored(db) == {f"evt_{number}" for number in range(5)}


async def test_a_refusal_of_the_first_page_is_told(db: Database, memory_gateway: MemoryGateway) -> None:
    memory_gateway.listing.failures = [GatewayRefused("invalid_request")]
    with pytest.raises(GatewayRefused):
        await service.sweep(db, memory_gateway, system())


@pytest.mark.parametrize(
    ("created_at", "is_found"),
    [
        # The last look was at 13:30 of the day before: an hour of overlap, the first instant of it inside.
        ("2026-01-15T12:29", False),
        ("2026-01-15T12:30", True),
        ("2026-01-16T11:59", True),
    ],
)
async def test_a_look_begins_an_hour_before_the_last_one(
    db: Database, memory_gateway: MemoryGateway, created_at: str, *, is_found: bool
) -> None:
    assert await service.sweep(db, memory_gateway, system("2026-01-15T13:30"))
    memory_gateway.events += [_news("evt_1", created_at)]
    assert await service.sweep(db, memory_gateway, system("2026-01-16T12:00"))
    assert (await _stored(db) == {"evt_1"}) is is_found


async def test_an_outage_of_thirty_days_loses_nothing_and_a_longer_one_is_bounded(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    assert await service.sweep(db, memory_gateway, system("2026-01-01T00:00"))
    memory_gateway.events += [_news("evt_in", "2026-01-11T23:00"), _news("evt_out", "2026-01-11T22:59")]
    assert await service.sweep(db, memory_gateway, system("2026-02-11T00:00"))
    assert await _stored(db) == {"evt_in"}


async def test_a_lost_webhook_is_healed_by_the_look_through_the_sandboxs_list(
    db: Database, stripe_gateway: StripeGateway, sandbox: SandboxProbe
) -> None:
    till = await open_till(db)
    await till.attach(stripe_gateway, VISA)
    present = dataclasses.replace(system(), at=clock.now())  # The sandbox lives in real time.
    assert await service.sweep(db, stripe_gateway, present)
    [event_id] = await _stored(db)
    await process(db, stripe_gateway, system(), "stripe", event_id)
    async with db.transaction() as tx:
        found = await store.find_event(tx, "stripe", event_id)
    assert found is not None
    assert (found.type, found.state) == ("payment_method.attached", "processed")
    assert await sandbox.charges() == []


@pytest.mark.parametrize("state", ["processed", "ignored", "quarantined", "received"])
async def test_what_ended_is_deleted_after_its_days_and_what_waits_stays(db: Database, state: str) -> None:
    received = {"old": "2026-01-15T11:59", "young": "2026-01-15T12:00"}
    for event_id, when in received.items():
        async with db.transaction() as tx:
            await receive(tx, system(when), _news(event_id))
            found = await store.find_event(tx, "stripe", event_id)
            assert found is not None
            if state != "received":
                await store.save_end(tx, found, state=InboxState(state), note=None, at=make.at(when))
    waits = state in {"quarantined", "received"}
    # 90 days after the younger one, to the instant.
    assert await service.forget(db, system("2026-04-15T12:00"), days=90) == (0 if waits else 1)
    assert await _stored(db) == ({"old", "young"} if waits else {"young"})


async def _sweep_one_page(db: Database, gateway: MemoryGateway, call: Call) -> None:
    """Take one page, and be stopped at the second."""
    pages = gateway.listing.pages
    gateway.listing.failures = [None, GatewayUnavailable("down")]
    with pytest.raises(GatewayUnavailable):
        await service.sweep(db, gateway, call)
    assert gateway.listing.pages == pages + 2
