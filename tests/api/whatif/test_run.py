"""`tollgate what-if`: all customers page by page, into CSV, JSON and a summary."""

import base64
import csv
import io
import json
from datetime import timedelta

import pytest

from api.whatif.files import CsvFile, JsonDocument
from api.whatif.run import Wish, run
from api.whatif.show import print_summary
from domain.config import Settings
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Database
from domain.kernel.call import Environment
from domain.kernel.ids import encode
from domain.subscriptions.subscription import Subscription
from tests import make
from tests.world import World, llm_call, runtime_of


@pytest.fixture
def origin(seeded: str) -> str:
    """Begin with both catalogues published."""
    return seeded


async def _two_who_use_and_many_who_do_not(db: Database) -> tuple[Customer, Customer, Subscription]:
    """Make two subscribers, the first with usage, and more customers than one page holds without any."""
    world = World(runtime_of(db))
    ada, bob = await world.customer(on="2026-01-31"), await world.customer(on="2026-01-31")
    started = await world.subscribe(ada, "pro")
    await world.subscribe(bob, "basic")
    # 60,000,000 tokens at 1.25 per million are 75.00 USD: Basic caps the cost at 50.00 and tokens at 5,000,000.
    await world.use("llm", llm_call(ada, make.at("2026-01-31") + timedelta(minutes=1), input_tokens=60_000_000))
    await world.close()
    async with db.transaction() as tx:
        for number in range(100):
            name, email = f"Idle {number}", f"idle{number}@example.com"
            await customers.create_customer(tx, world.call, environment=Environment.TEST, name=name, email=email)
    return ada, bob, started


async def test_every_customer_is_compared_and_written(
    db: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ada, bob, started = await _two_who_use_and_many_who_do_not(db)
    settings = Settings(database_url=database_url, master_key=base64.b64encode(b"\x01" * 32).decode())
    table, document, seen = io.StringIO(), io.StringIO(), list[tuple[int, int]]()
    output = JsonDocument(document)
    summary = await run(
        settings, Wish("basic"), [CsvFile(table), output], progress=lambda done, of: seen.append((done, of))
    )
    output.end(summary)
    assert seen == [(0, 102), (100, 102), (102, 102)]
    expected = {
        "plan": "basic",
        "version": 1,
        "customers": 102,
        "subscriptions": 2,
        "not_sold": 0,
        "dearer": 0,
        "cheaper": 1,
        # 79.00 + 75.00 and 29.00; under Basic 29.00 + 75.00 - 25.00 and 29.00.
        "totals": [{"currency": "USD", "present": "183.00", "other": "108.00", "difference": "-75.00"}],
        "limits_hit": {"monthly_cost": 1, "tokens": 1},
    }
    written = json.loads(document.getvalue())
    assert written["summary"] == expected
    [hers] = [each for each in written["subscriptions"] if each["customer"] == encode("customer", ada.id)]
    assert (hers["present"], hers["other"], hers["difference"]) == ("154.00", "79.00", "-75.00")
    assert [each["key"] for each in hers["limits_hit"]] == ["monthly_cost", "tokens"]
    rows = [row for row in csv.DictReader(io.StringIO(table.getvalue())) if row["customer"] == hers["customer"]]
    shown = [(row["record"], row["key"], row["present"], row["other"], row["used"], row["limit"]) for row in rows]
    assert shown == [
        ("fee", "fee", "79.00", "29.00", "", ""),
        ("usage", "cost", "75.00", "75.00", "", ""),
        ("cap", "monthly_cost", "0.00", "-25.00", "", ""),
        ("limit", "monthly_cost", "", "", "75", "50"),
        ("limit", "tokens", "", "", "60000000", "5000000"),
    ]
    assert rows[1]["dimensions"] == '{"model":"gemini-2.5-pro","provider":"gemini"}'
    assert {row["subscription"] for row in rows} == {encode("subscription", started.id)}
    print_summary(summary)
    printed = capsys.readouterr().out
    assert "basic, version 1" in printed
    assert "-75.00" in printed
    alone = await run(settings, Wish("basic", customer_id=bob.id), [], progress=lambda _done, _of: None)
    assert (alone.customers, alone.subscriptions, alone.cheaper) == (1, 1, 0)
