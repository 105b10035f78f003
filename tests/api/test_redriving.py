"""`tollgate redrive`, with the settings of an environment."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from api.redriving import ReasonUnknown
from domain.db import Database
from domain.kernel.ids import encode
from domain.subscriptions.service import SubscriptionNotFound
from domain.usage.event import UsageEvent
from tests import make
from tests.api.command import run
from tests.world import World, llm_call, runtime_of

START = make.at("2026-01-31")
_HEAD = "provider,model,pool,amount,per,valid_from,valid_to,source\n"


@pytest.fixture
def origin(seeded: str) -> str:
    """Begin with both catalogues published."""
    return seeded


async def _quarantine(db: Database) -> World:
    """Put two calls without a price, one from before its subscription, and one event of no meter into quarantine."""
    world = World(runtime_of(db))
    ada = await world.customer(on="2026-01-31")
    odd = UsageEvent("o1", "coffee.cup", encode("customer", ada.id))
    early = llm_call(ada, START, input_tokens=1_000)
    assert [each.status for each in await world.use("llm", odd, early)] == ["quarantined"] * 2
    await world.subscribe(ada, "pro")
    unpriced = (llm_call(ada, START + timedelta(minutes=n), model="gemini-9-ultra", input_tokens=1) for n in range(2))
    assert [each.status for each in await world.use("llm", *unpriced)] == ["counted"] * 2
    await world.close()
    return world


async def test_an_operator_imports_a_price_and_re_drives_what_waited_for_it(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    await _quarantine(db)
    assert await run(database_url, "redrive", "--reason", "unpriced") == (
        0,
        "0 events left the quarantine, 2 stay\n  2 unpriced\n",
    )
    file = tmp_path / "prices.csv"
    file.write_text(f"{_HEAD}gemini,gemini-9-ultra,input,2,1000000,2026-01-31T00:00:00Z,,our list\n")
    assert await run(database_url, "prices", "import", str(file)) == (0, "1 rows added\n")
    # Both calls get their cost, and the one from before its subscription is counted; nobody sells coffee.
    assert await run(database_url, "redrive") == (0, "3 events left the quarantine, 1 stay\n  1 unknown_meter\n")
    code, told = await run(database_url, "redrive", "--json")
    assert (code, msgspec.json.decode(told)) == (0, {"resolved": 0, "kept": {"unknown_meter": 1}})
    assert await run(database_url, "redrive", "--reason", "unpriced") == (0, "0 events left the quarantine, 0 stay\n")
    code, told = await run(database_url, "verify", "conservation")
    assert (code, told.splitlines()[-1]) == (0, "1 usage periods, 0 do not hold")


async def test_an_unknown_reason_and_an_unknown_subscription_are_refused(db: Database, database_url: str) -> None:
    await _quarantine(db)
    with pytest.raises(ReasonUnknown):
        await run(database_url, "redrive", "--reason", "expensive")
    with pytest.raises(SubscriptionNotFound):
        await run(database_url, "verify", "conservation", encode("subscription", make.new_id()))
