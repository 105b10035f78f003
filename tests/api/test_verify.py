"""`tollgate verify` on a database that is empty, seeded, or used with another key."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from api.local.errors import LocalStackError
from api.privacy.sealing import seal_plain
from api.seed import operator, seed
from api.verify import settings_at_home, verify
from domain.config import Settings
from domain.customers import service as customers
from domain.kernel.call import Environment
from tests.api.command import run


def settings(database_url: str, key: bytes = b"\x01") -> Settings:
    return Settings(
        database_url=database_url,
        redis_url="unix:///nonexistent/valkey.sock",
        stripe_secret_key="sk_test_1",
        smtp_url="smtp://127.0.0.1:25",
        dev=True,
        master_key=base64.b64encode(key * 32).decode(),
        key_pepper="p" * 32,
        hs256_secret="s" * 32,
    )


async def find(given: Settings) -> dict[str, tuple[bool, str]]:
    return {finding.name: (finding.good, finding.detail) for finding in await verify(given)}


async def test_an_empty_database_lacks_its_catalogue_and_an_unreachable_redis_is_named(database_url: str) -> None:
    found = await find(settings(database_url))

    assert found["settings"][0]
    assert found["database"][0]
    assert found["catalogue"] == (False, "it is empty; run: tollgate seed")
    assert found["encryption key"] == (True, "nothing is sealed yet")
    assert found["personal values"] == (True, "all are sealed")
    assert not found["redis"][0]
    assert "it does not answer" in found["redis"][1]


async def test_seeding_twice_publishes_once_and_completes_the_catalogue(database_url: str) -> None:
    given = settings(database_url)

    first, again = await seed(given), await seed(given)

    # Four plans of each of the two products.
    assert len(first.versions) == 8
    assert first.provider_prices > 0
    assert (again.versions, again.provider_prices) == ((), 0)
    assert (await find(given))["catalogue"][0]


async def test_another_key_does_not_open_what_is_stored(database_url: str) -> None:
    given = settings(database_url)
    async with operator(given) as (tx, call):
        await customers.create_customer(tx, call, environment=Environment.TEST, name="Ada", email="ada@example.com")

    assert (await find(given))["encryption key"] == (True, "opens what it sealed")
    assert (await find(settings(database_url, b"\x02")))["encryption key"][0] is False


async def test_values_that_are_plain_are_counted_until_they_are_sealed(database_url: str) -> None:
    given = settings(database_url)
    nobodys = """INSERT INTO quarantined_event (customer_id, id, received_at, environment, product, source, event_id,
        type, customer, occurred_at, reason, properties) VALUES (
        '00000000-0000-0000-0000-000000000000', gen_random_uuid(), now(),
        'live', 'llm', 'gateway', 'e1', 'llm.call', 'cus_unknown', now(), 'unknown_customer', '{"who": "Ada"}')"""
    async with operator(given) as (tx, _):
        await tx.execute(sa.text(nobodys))
    good, detail = (await find(given))["personal values"]
    assert (good, detail[:15]) == (False, "1 are plain; th")
    assert await run(database_url, "privacy", "seal") == (0, "1 values sealed\n")
    assert await seal_plain(given) == 0
    assert (await find(given))["personal values"] == (True, "all are sealed")
    # The system's key comes of the master key.
    found = (await find(settings(database_url, b"\x02")))["personal values"]
    assert found == (False, "some do not open with TOLLGATE_MASTER_KEY; see the encryption key")


async def test_a_database_out_of_reach_fails_its_checks_and_no_other(tmp_path: Path) -> None:
    found = await find(settings(f"postgresql+asyncpg://nobody@/nothing?host={tmp_path}"))

    assert found["settings"][0]
    assert [found[name][0] for name in ("database", "catalogue", "encryption key")] == [False, False, False]
    assert "see DATABASE_URL" in found["database"][1]


async def test_production_settings_without_a_gateway_are_incomplete(database_url: str) -> None:
    production = replace(
        settings(database_url),
        dev=False,
        hs256_secret="",
        jwks_url="https://id.example/keys",
        stripe_secret_key="rk_live_1",
        smtp_url="smtp://mail.example",
    )

    found = await find(production)

    assert found["settings"] == (
        False,
        "STRIPE_WEBHOOK_SECRET must be set too: without them nothing is collected or mailed",
    )


def test_a_home_that_was_never_started_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match="start once with `tollgate up`"):
        settings_at_home(Settings(home=tmp_path / "home"))

    assert not (tmp_path / "home").exists()
