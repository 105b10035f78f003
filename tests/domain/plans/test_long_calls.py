"""Prices of long calls in the database: kept, listed, and replaced as one set."""

from dataclasses import replace
from decimal import Decimal

from domain.access.roles import Permission
from domain.db import Database
from domain.plans import service, store
from domain.plans.provider_price import PriceSet, Provider
from tests import make

_READER = make.call(by=make.principal(Permission.PRICE_READ))


async def _import(db: Database, new: PriceSet) -> int:
    async with db.transaction() as tx:
        return await service.import_provider_prices(tx, make.call(), [new])


_LONG = PriceSet(
    "gemini",
    "gemini-long",
    make.at("2026-01-16"),
    None,
    "test",
    prices=(("input", Decimal(2), Decimal(1_000_000)), ("output", Decimal(20), Decimal(1_000_000))),
    tiers=(
        ("input", 200_000, Decimal(3), Decimal(1_000_000)),
        ("input", 500_000, Decimal(4), Decimal(1_000_000)),
        ("output", 200_000, Decimal(30), Decimal(1_000_000)),
    ),
)


async def test_prices_of_long_calls_are_kept_listed_and_added_once(db: Database) -> None:
    async with db.transaction() as tx:
        await store.insert_providers(tx, [Provider("gemini", "Gemini", ())])
    assert await _import(db, _LONG) == 5
    assert await _import(db, _LONG) == 0
    async with db.transaction() as tx:
        # One by one, none is lost between two pages.
        listed: list[tuple[str, int]] = []
        page = await service.list_provider_prices(tx, _READER, limit=1)
        while page:
            listed.append((page[0].pool, page[0].above))
            page = await service.list_provider_prices(tx, _READER, after=page[0].id, limit=1)
    assert listed == [("input", 0), ("input", 200_000), ("input", 500_000), ("output", 0), ("output", 200_000)]
    # Without its tiers it is another set: all five rows end.
    assert await _import(db, replace(_LONG, valid_from=make.at("2026-02-01"), tiers=())) == 2
    async with db.transaction() as tx:
        rows = await store.list_provider_prices(tx, provider_key="gemini", at=make.at("2026-02-01"))
    assert [(row.pool, row.above) for row in rows] == [("input", 0), ("output", 0)]
