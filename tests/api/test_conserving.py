"""`tollgate verify conservation`, with the settings of an environment."""

from datetime import timedelta

import msgspec
import pytest
import sqlalchemy as sa

from domain.db import Database
from domain.kernel.ids import encode
from domain.usage.verdict import COUNTED
from tests import make
from tests.api.command import run
from tests.world import World, llm_call, runtime_of

START = make.at("2026-01-31")


@pytest.fixture
def origin(seeded: str) -> str:
    """Begin with both catalogues published."""
    return seeded


async def _two_customers(db: Database) -> tuple[World, str, list[str]]:
    """Bill Ada two periods, with 1.00 USD of usage in the first, and give Bob one period without usage."""
    world = World(runtime_of(db))
    ada = await world.customer(on="2026-01-31")
    first = await world.subscribe(ada, "pro")
    # 800,000 input tokens at 1.25 USD a million: 1.00.
    call = llm_call(ada, START + timedelta(minutes=1), input_tokens=800_000)
    assert await world.use("llm", call) == [COUNTED]
    await world.close()
    await world.advance(to="2026-03-01")
    second = await world.subscribe(await world.customer(on="2026-01-31"), "free")
    return world, encode("customer", ada.id), [encode("subscription", each.id) for each in (first, second)]


async def test_every_period_of_everybody_is_proved_with_what_became_of_each_quantity(
    db: Database, database_url: str
) -> None:
    _, customer, (pro, free) = await _two_customers(db)
    first = [
        "holds   calls: counted 1 = observed 1",
        "holds   cost: counted 1 = charged 1",
        "holds   input_tokens: counted 800000 = observed 800000",
        "holds   tokens: counted 800000 = observed 800000",
        f"{pro} 2026-01-31 to 2026-02-28: holds, 1 events recounted",
    ]
    second = f"{pro} 2026-02-28 to 2026-03-31: holds, 0 events recounted"
    other = f"{free} 2026-03-01 to 2026-04-01: holds, 0 events recounted"
    cases: list[tuple[tuple[str, ...], list[str]]] = [
        # The newest customer first.
        ((), [other, *first, second, "3 usage periods, 0 do not hold"]),
        ((customer,), [*first, second, "2 usage periods, 0 do not hold"]),
        ((pro, "--at", "2026-02-01T00:00:00+01:00"), [*first, "1 usage periods, 0 do not hold"]),
        ((free, "--at", "2026-02-01T00:00:00Z"), ["0 usage periods, 0 do not hold"]),
    ]
    for arguments, wanted in cases:
        code, told = await run(database_url, "verify", "conservation", *arguments)
        assert (code, told.splitlines()) == (0, wanted), arguments


async def test_json_holds_every_figure_on_one_line_for_each_period(db: Database, database_url: str) -> None:
    _, customer, (pro, _) = await _two_customers(db)
    code, told = await run(database_url, "verify", "conservation", pro, "--json")
    assert code == 0
    first, second = (msgspec.json.decode(line) for line in told.splitlines())
    assert (first["customer"], first["subscription"], first["holds"], first["events"]) == (customer, pro, True, 1)
    assert (first["period_start"], first["period_end"]) == ("2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z")
    assert first["totals_that_differ"] == []
    zero = dict.fromkeys(("included", "tolerated", "above_cap", "trial", "observed", "elsewhere"), "0")
    [cost] = [each for each in first["accounts"] if each["meter"] == "cost"]
    assert cost.pop("segment").startswith("seg_")
    assert cost == {"meter": "cost", "counted": "1", "charged": "1", **zero, "not_yet_billed": "0", "missing": "0"}
    events = {"counted": 1, "quarantined": 0, "stored": 1, "put_away": 0, "voids": 0, "held": 0, "holds": True}
    assert first["accepted"] == second["accepted"] == events
    assert second["accounts"] == []


async def test_what_does_not_add_up_is_told_and_exits_1(db: Database, database_url: str) -> None:
    _, _, (pro, _) = await _two_customers(db)
    slot = await World(runtime_of(db)).slot_of("calls")
    async with db.transaction() as tx:
        await tx.execute(sa.text("SET LOCAL session_replication_role = replica"))
        await tx.execute(sa.text(f"UPDATE counter_total SET h{slot} = 3"))  # noqa: S608 -- of the test
        await tx.execute(sa.text("DELETE FROM event_identity"))
    code, told = await run(database_url, "verify", "conservation", pro, "--at", "2026-02-01T00:00:00Z")
    assert code == 1
    assert "DIFFERS total of calls: hours.quantity" in told.splitlines()
    assert "MISSING events: " in told
    assert told.splitlines()[-2:] == [
        f"{pro} 2026-01-31 to 2026-02-28: does not hold, 1 events recounted",
        "1 usage periods, 1 do not hold",
    ]
    code, told = await run(database_url, "verify", "conservation", pro, "--json")
    assert code == 1
    assert [msgspec.json.decode(line)["holds"] for line in told.splitlines()] == [False, False]
