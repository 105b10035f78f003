"""`tollgate inbox`, with the settings of an environment."""

import pytest

from domain.adapters.memory import MemoryGateway
from domain.db import Database
from domain.journal import service as journal
from domain.kernel.ids import encode
from domain.webhooks import service as inbox
from domain.webhooks import store
from domain.webhooks.desk.service import InboxEventNotFound, ReplayOutOfBounds
from tests import make
from tests.api.command import run
from tests.domain.payments.till import system
from tests.domain.webhooks.examples import event, subscription

_DAY = ("--from", "2026-01-15T00:00:00Z", "--to", "2026-01-16T00:00:00Z")


async def _arrive(db: Database, name: str, when: str) -> str:
    """Have an event about a subscription arrive, and return our id of it."""
    async with db.transaction() as tx:
        await inbox.receive(tx, system(when), event("customer.subscription.created", "sub_1", name))
        found = await store.find_event(tx, "stripe", name)
    assert found is not None
    return encode("inbox_event", found.key)


async def _quarantined(db: Database) -> str:
    """Have one arrive that is about nobody whom we know."""
    key = await _arrive(db, "evt_1", "2026-01-15T12:00")
    gateway = MemoryGateway()
    gateway.subscriptions["sub_1"] = subscription()
    await inbox.process(db, gateway, system(), "stripe", "evt_1")
    return key


async def _given_up(db: Database) -> str:
    """Have one arrive whose processing fails as often as it may."""
    key = await _arrive(db, "evt_2", "2026-01-15T13:00")
    call = system()
    for _ in range(journal.ATTEMPTS_MAX):
        async with db.transaction() as tx:
            due = await journal.offer_due(
                tx, [(None, make.at("2027-01-01"))], at=make.at("2027-01-01"), until=call.at, limit=9
            )
            for job in due:
                if job.payload.get("event_id") == "evt_2":
                    await journal.put_off(tx, call, job, error="gateway_unavailable")
    return key


async def test_an_operator_sees_what_waits_for_staff_and_has_it_processed_again(
    db: Database, database_url: str
) -> None:
    assert await run(database_url, "inbox", "list") == (0, "there are no such events\n")
    first, second = await _quarantined(db), await _given_up(db)
    await _arrive(db, "evt_3", "2026-01-15T14:00")
    # The third one waits for a worker, and for nobody else.
    about = "customer.subscription.created sub_1"
    lines = [
        f"{second}  received  2026-01-15 13:00  evt_2  {about}",
        f"{first}  quarantined  2026-01-15 12:00  evt_1  {about}  customer_unknown",
    ]
    assert await run(database_url, "inbox", "list") == (0, "".join(f"{each}\n" for each in lines))
    assert await run(database_url, "inbox", "list", "--state", "quarantined", "--count", "5") == (0, f"{lines[1]}\n")
    assert await run(database_url, "inbox", "list", "--type", "invoice.paid") == (0, "there are no such events\n")

    done = (0, "1 events wait for their processing again\n")
    assert await run(database_url, "inbox", "replay", second) == done
    assert await run(database_url, "inbox", "list") == (0, f"{lines[1]}\n")
    assert await run(database_url, "inbox", "replay", *_DAY, "--state", "quarantined") == done
    assert await run(database_url, "inbox", "list") == (0, "there are no such events\n")


async def test_an_event_is_shown_without_its_content(db: Database, database_url: str) -> None:
    key = await _given_up(db)
    status, told = await run(database_url, "inbox", "show", key)
    assert status == 0
    shown = dict(line.split(maxsplit=1) for line in told.splitlines() if not line.startswith("last"))
    assert (shown["id"], shown["event"], shown["state"], shown["ended"]) == (key, "stripe evt_2", "received", "not yet")
    assert "last error   gateway_unavailable" in told.splitlines()
    assert "payload" not in told
    with pytest.raises(InboxEventNotFound):
        await run(database_url, "inbox", "show", encode("inbox_event", make.new_id()))


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("replay", "ibx_1", *_DAY),
        ("replay", "ibx_1", "--from", "2026-01-15T00:00:00Z"),
        ("replay", "ibx_1", "--state", "quarantined"),
        ("replay", "--from", "2026-01-15", "--to", "2026-01-16T00:00:00Z"),
        ("list", "--state", "lost"),
    ],
)
async def test_what_says_not_which_events_is_refused(database_url: str, arguments: tuple[str, ...]) -> None:
    status, _ = await run(database_url, "inbox", *arguments)
    assert status == 2


async def test_a_stretch_that_ends_before_it_begins_is_refused(database_url: str) -> None:
    with pytest.raises(ReplayOutOfBounds):
        await run(database_url, "inbox", "replay", "--from", "2026-01-16T00:00:00Z", "--to", "2026-01-15T00:00:00Z")
