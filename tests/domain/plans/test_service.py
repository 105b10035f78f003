"""Publishing, seeding and the price list on real Postgres."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from importlib import resources
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from domain.access.roles import Permission
from domain.db import Database
from domain.journal import store as journal_store
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import PlanVersionId, ProviderPriceId
from domain.plans import service, store
from domain.plans.definition import EntitlementDefinition, ProductDefinition, read_product
from domain.plans.exact import DefinitionRefused
from domain.plans.plan import PlanNotFound, PriceNotFound, ProductNotFound
from domain.plans.price_list import PriceInForce
from domain.plans.provider_price import PricedCost, PriceSet, Provider, Unpriced
from tests import make

_EDGE = read_product(resources.files("domain.plans.catalogue").joinpath("edge.json").read_bytes())
_STARTER = next(plan for plan in _EDGE.plans if plan.key == "starter")
_NOW = make.at("2026-01-15T12:00")


async def _seed(db: Database, call: Call | None = None) -> service.Seeded:
    async with db.transaction() as tx:
        return await service.seed_catalogue(tx, call or make.call())


async def _audited(db: Database) -> list[str]:
    async with db.transaction() as tx:
        entries = await journal_store.list_audit_entries(tx, scope=None, before=None, limit=100)
    return [entry.action for entry in entries]


async def test_seeding_publishes_both_products_and_a_second_run_writes_nothing(db: Database) -> None:
    first = await _seed(db)
    assert len(first.versions) == 8
    assert first.provider_prices > 100
    audited = await _audited(db)
    assert audited.count("publish_plan_version") == 8
    async with db.transaction() as tx:
        before = await service.catalogue_fingerprint(tx)
    second = await _seed(db, make.call("2026-02-01"))
    assert second == service.Seeded((), 0, ())
    assert await _audited(db) == audited
    async with db.transaction() as tx:
        assert await service.catalogue_fingerprint(tx) == before


async def test_two_processes_may_seed_at_once(db: Database) -> None:
    found = await asyncio.gather(_seed(db), _seed(db))
    assert sorted(len(seeded.versions) for seeded in found) == [0, 8]
    assert sorted(seeded.provider_prices > 0 for seeded in found) == [False, True]


async def test_the_snapshot_answers_what_other_slices_ask(db: Database) -> None:
    await _seed(db)
    async with db.transaction() as tx:
        catalogue = await service.load_catalogue(tx)
    assert [product.key for product in catalogue.products] == ["edge", "llm"]
    llm = catalogue.product("llm")
    assert [plan.key for plan in catalogue.plans_of(llm.id)] == ["free", "basic", "pro", "enterprise"]
    pro = catalogue.current_version("llm", "pro")
    assert catalogue.version(pro.id) is pro is catalogue.current_version_of(pro.plan_id)
    assert catalogue.plan_of_version(pro.id) == catalogue.plan("llm", "pro")
    assert catalogue.fee_price(pro.id, "year", "USD").definition == {"amount": "948.00"}
    [usage] = catalogue.usage_prices(pro.id, "USD")
    assert usage.meter_id is not None
    assert (usage.model, catalogue.meter(usage.meter_id).key) == ("dynamic", "cost")
    assert catalogue.usage_prices(pro.id, "EUR") == ()
    assert [meter.key for meter in catalogue.meters_for("edge.request")] == ["requests"]
    assert {meter.product_id for meter in catalogue.meters_for("llm.call")} == {llm.id}
    assert catalogue.meters_for("nothing") == ()
    assert {meter.key for meter in catalogue.meters_of(catalogue.product("edge").id)} == {
        "requests",
        "bandwidth_bytes",
        "build_minutes",
        "modules",
        "deployments",
        "collaborators",
        "storage_bytes",
    }
    [cap] = [entitlement for entitlement in pro.entitlements if entitlement.key == "monthly_cost"]
    assert (cap.amount, cap.money, cap.currency) == (Decimal(150), True, "USD")
    assert str(cap.amount) == "150"
    assert catalogue.product_by_id(llm.id) == llm


async def test_the_snapshot_names_what_is_not_there(db: Database) -> None:
    await _seed(db)
    async with db.transaction() as tx:
        catalogue = await service.load_catalogue(tx)
    free = catalogue.current_version("edge", "free")
    with pytest.raises(ProductNotFound):
        catalogue.plan("cloud", "free")
    with pytest.raises(PlanNotFound):
        catalogue.current_version("edge", "pro")
    unpublished = replace(catalogue, _current={})
    with pytest.raises(PlanNotFound):
        unpublished.current_version("edge", "free")
    with pytest.raises(PriceNotFound):
        catalogue.fee_price(free.id, "year", "USD")
    with pytest.raises(PriceNotFound):
        catalogue.fee_price(free.id, "month", "EUR")


async def _publish(db: Database, product: ProductDefinition) -> list[PlanVersionId]:
    async with db.transaction() as tx:
        return await service.publish(tx, make.call(), product)


def _with_starter(**changes: Any) -> ProductDefinition:
    starter = msgspec.structs.replace(_STARTER, **changes)
    plans = tuple(starter if plan.key == "starter" else plan for plan in _EDGE.plans)
    return msgspec.structs.replace(_EDGE, plans=plans)


async def test_a_plan_may_hold_only_a_feature_and_no_price(db: Database) -> None:
    feature = EntitlementDefinition(key="sso", description="Single sign-on", source="ours", kind="feature")
    await _publish(db, _with_starter(prices=(), entitlements=(feature,)))
    await _publish(db, _with_starter(prices=(), entitlements=()))
    async with db.transaction() as tx:
        catalogue = await service.load_catalogue(tx)
    plan = catalogue.plan("edge", "starter")
    held = [
        (len(v.prices), [e.key for e in v.entitlements]) for v in catalogue.versions.values() if v.plan_id == plan.id
    ]
    assert held == [(0, ["sso"]), (0, [])]


async def test_a_changed_plan_gets_the_next_version_and_the_earlier_one_stays(db: Database) -> None:
    await _publish(db, _EDGE)
    [published] = await _publish(db, _with_starter(support="Telephone support", existing="move_at_renewal"))
    async with db.transaction() as tx:
        catalogue = await service.load_catalogue(tx)
    current = catalogue.current_version("edge", "starter")
    assert (current.id, current.number, current.existing) == (published, 2, "move_at_renewal")
    earlier = [version for version in catalogue.versions.values() if version.plan_id == current.plan_id]
    assert [(version.number, version.support) for version in earlier] == [
        (1, "E-mail support"),
        (2, "Telephone support"),
    ]
    assert len(current.prices) == len(_STARTER.prices)
    assert len(current.entitlements) == len(_STARTER.entitlements)


async def test_a_plan_is_renamed_without_a_new_version(db: Database) -> None:
    await _publish(db, _EDGE)
    async with db.transaction() as tx:
        before = await service.catalogue_fingerprint(tx)
    assert await _publish(db, _with_starter(name="Beginner", rank=11)) == []
    async with db.transaction() as tx:
        found = await service.find_plan(tx, _reader(), "edge", "starter")
        assert await service.catalogue_fingerprint(tx) != before
    assert found is not None
    assert (found.name, found.rank) == ("Beginner", 11)


async def test_a_published_meter_is_not_changed_and_nothing_of_the_attempt_stays(db: Database) -> None:
    await _publish(db, _EDGE)
    async with db.transaction() as tx:
        before = await service.catalogue_fingerprint(tx)
    meters = (msgspec.structs.replace(_EDGE.meters[0], event_type="edge.hit"), *_EDGE.meters[1:])
    with pytest.raises(DefinitionRefused) as refused:
        await _publish(db, msgspec.structs.replace(_with_starter(support="x"), meters=meters))
    assert refused.value.path == "$.meters[0]"
    async with db.transaction() as tx:
        assert await service.catalogue_fingerprint(tx) == before


async def test_an_event_type_belongs_to_one_product(db: Database) -> None:
    await _publish(db, _EDGE)
    with pytest.raises(DefinitionRefused) as refused:
        await _publish(db, msgspec.structs.replace(_EDGE, key="other", plans=()))
    assert refused.value.path == "$.meters[0].event_type"
    async with db.transaction() as tx:
        assert [product.key for product in await store.list_products(tx)] == ["edge"]


async def test_the_database_refuses_to_change_what_is_published(db: Database) -> None:
    await _publish(db, _EDGE)
    faults = [
        "UPDATE plan_version SET support = 'x'",
        "DELETE FROM plan_version",
        "TRUNCATE plan_version CASCADE",
        "UPDATE price SET definition = '{}'",
        "DELETE FROM price",
        "UPDATE entitlement SET amount = NULL",
        "DELETE FROM entitlement",
        "UPDATE meter SET unit = 'x'",
        "INSERT INTO price SELECT * FROM price",
        "INSERT INTO entitlement SELECT * FROM entitlement",
    ]
    for fault in faults:
        with pytest.raises(DBAPIError, match="immutable"):
            async with db.transaction() as tx:
                await tx.execute(sa.text(fault))


def _set(amount: str, start: str, end: str | None = None, model: str = "gemini-2.5-pro") -> PriceSet:
    rows = (("input", Decimal(amount), Decimal(1_000_000)),)
    return PriceSet("gemini", model, make.at(start), make.at(end) if end else None, "operator", rows)


async def _import(db: Database, *sets: PriceSet) -> int:
    async with db.transaction() as tx:
        return await service.import_provider_prices(tx, make.call(), sets)


async def _cost(db: Database, at: str, model: str = "gemini-2.5-pro", provider: str = "gemini") -> Decimal | None:
    """Return the cost of 1,234 tokens in and 567 out, or None where they are unpriced."""
    async with db.transaction() as tx:
        book = await service.load_price_book(tx)
    found = book.cost_of(provider, model, {"input": Decimal(1_234), "output": Decimal(567)}, make.at(at))
    return None if isinstance(found, Unpriced) else found.cost


async def test_the_seeded_list_prices_calls_of_the_merchants_models_as_stated(db: Database) -> None:
    await _seed(db)
    # 1,234 x 1.25 / 1e6 + 567 x 10 / 1e6 = 0.0015425 + 0.00567
    assert await _cost(db, "2026-01-15") == Decimal("0.0072125")
    # 1,234 x 0.125 / 1e6 + 567 x 0.375 / 1e6 = 0.00015425 + 0.000212625
    assert await _cost(db, "2026-01-15", "gemini-2.5-flash-latest") == Decimal("0.000366875")
    # 1,234 x 0.075 / 1e6 + 567 x 0.30 / 1e6 = 0.00009255 + 0.0001701
    assert await _cost(db, "2026-01-15", "models/gemini-2.0-flash-lite-001") == Decimal("0.00026265")
    assert await _cost(db, "2026-01-15", "gemini-unheard-of") is None


async def test_the_seeded_list_keeps_one_source_per_model(db: Database) -> None:
    await _seed(db)
    async with db.transaction() as tx:
        rows = await store.list_provider_prices(tx)
    assert {row.source for row in rows if row.model == "gemini-2.5-pro"} == {"merchant's list"}
    assert {row.pool for row in rows if row.model == "gemini-2.5-flash"} == {"input", "output"}
    public = {row.provider for row in rows if row.source.startswith("genai-prices ")}
    assert public == {"gemini", "openai", "anthropic", "mistral"}
    by_interval: dict[tuple[Any, ...], set[str]] = {}
    for row in rows:
        by_interval.setdefault((row.provider, row.model, row.valid_from), set()).add(row.source)
    assert {len(sources) for sources in by_interval.values()} == {1}


async def test_the_seeded_list_prices_openai_on_the_day_of_the_call(db: Database) -> None:
    await _seed(db)
    # o3 became cheaper on 2025-06-10: 10 and 40 before, 2 and 8 USD per million after.
    # 1,234 x 10 + 567 x 40 = 35,020; 1,234 x 2 + 567 x 8 = 7,004
    assert await _cost(db, "2025-06-09T23:59", "o3", "openai") == Decimal("0.03502")
    assert await _cost(db, "2025-06-10", "o3-2025-04-16", "openai") == Decimal("0.007004")


_DEARER = replace(
    _set("2", "2026-01-16"),
    prices=(("input", Decimal(2), Decimal(1_000_000)), ("output", Decimal(20), Decimal(1_000_000))),
)


async def test_a_new_price_leaves_past_calls_as_they_were(db: Database) -> None:
    await _seed(db)
    assert await _import(db, _DEARER) == 2
    assert await _cost(db, "2026-01-15T23:59") == Decimal("0.0072125")
    # 1,234 x 2 + 567 x 20 = 13,808
    assert await _cost(db, "2026-01-16") == Decimal("0.013808")
    assert await _import(db, _DEARER) == 0


async def test_a_new_set_replaces_every_pool_of_the_model(db: Database) -> None:
    await _seed(db)
    await _import(db, _set("2", "2026-01-16"))
    # The new set has no price of output: unpriced, never the output price of the set before.
    assert await _cost(db, "2026-01-16") is None


async def test_a_price_of_the_past_cannot_be_replaced(db: Database) -> None:
    await _seed(db)
    async with db.transaction() as tx:
        before = await service.catalogue_fingerprint(tx)
    with pytest.raises(PriceInForce) as refused:
        await _import(db, _set("5", "2026-02-01", model="gemini-new"), _set("9", "2026-01-15T11:00"))
    assert refused.value.model == "gemini-2.5-pro"
    async with db.transaction() as tx:
        assert await service.catalogue_fingerprint(tx) == before


async def test_sets_of_one_import_are_checked_against_each_other(db: Database) -> None:
    await _seed(db)
    first, overlapping = _set("1", "2025-01-01", "2025-03-01", "g"), _set("2", "2025-02-01", "2025-04-01", "g")
    with pytest.raises(PriceInForce):
        await _import(db, first, overlapping)
    assert await _import(db, first, _set("2", "2025-03-01", None, "g")) == 2


async def test_a_set_of_an_unknown_provider_is_refused(db: Database) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        await _import(db, _set("1", "2026-02-01"))
    assert refused.value.path == "$[0].provider"


async def test_the_database_refuses_overlapping_rows_and_changes_of_a_row(db: Database) -> None:
    async with db.transaction() as tx:
        await store.insert_providers(tx, [Provider("gemini", "Gemini", ())])
    await _import(db, _set("1", "2026-02-01", "2026-03-01"), _set("2", "2026-03-01"))
    row = "INSERT INTO provider_price VALUES ('{}', 'gemini', 'gemini-2.5-pro', '{}', 1, 1, 'USD', '{}', {}, 'test')"
    faults = {
        row.format(make.new_id(), "input", "2026-02-28T00:00Z", "'2026-03-01T00:00Z'"): "overlap",
        row.format(make.new_id(), "input", "2025-01-01T00:00Z", "NULL"): "overlap",
        row.replace("'test'", "'test', -1").format(make.new_id(), "input", "2026-02-01T00:00Z", "NULL"): "above",
        row.format(make.new_id(), "output", "2026-02-01T00:30Z", "NULL"): "hour",
        row.format(make.new_id(), "output", "2026-02-01T00:00Z", "'2026-02-01T00:00Z'"): "period",
        "UPDATE provider_price SET amount = 3": "only ever closed",
        "UPDATE provider_price SET valid_to = NULL": "only ever closed",
        "DELETE FROM provider_price": "only ever closed",
        "TRUNCATE provider_price": "only ever closed",
    }
    for fault, why in faults.items():
        with pytest.raises(DBAPIError, match=why):
            async with db.transaction() as tx:
                await tx.execute(sa.text(fault))
    async with db.transaction() as tx:
        await tx.execute(sa.text(row.format(make.new_id(), "input", "2026-01-01T00:00Z", "'2026-02-01T00:00Z'")))
        assert len(await store.list_provider_prices(tx)) == 3


def _reader() -> Call:
    return make.call(by=make.principal(Permission.CATALOGUE_READ, Permission.PRICE_READ))


async def test_reading_needs_the_permission(db: Database) -> None:
    nobody = make.call(by=make.principal())
    async with db.transaction() as tx:
        with pytest.raises(Forbidden):
            await service.list_products(tx, nobody)
        with pytest.raises(Forbidden):
            await service.list_plans(tx, nobody, "edge")
        with pytest.raises(Forbidden):
            await service.find_plan(tx, nobody, "edge", "free")
        with pytest.raises(Forbidden):
            await service.get_catalogue(tx, nobody)
        with pytest.raises(Forbidden):
            await service.list_provider_prices(tx, make.call(by=make.principal(Permission.CATALOGUE_READ)), limit=1)


async def test_products_and_plans_are_listed_and_found_by_key(db: Database) -> None:
    await _seed(db)
    reader = _reader()
    async with db.transaction() as tx:
        assert [product.key for product in await service.list_products(tx, reader)] == ["edge", "llm"]
        assert [plan.key for plan in await service.list_plans(tx, reader, "edge")] == [
            "free",
            "starter",
            "professional",
            "enterprise",
        ]
        assert await service.list_plans(tx, reader, "cloud") == []
        assert await service.find_plan(tx, reader, "edge", "pro") is None
        assert (await service.get_catalogue(tx, reader)).product("llm").name == "LLM"


async def test_the_price_list_is_read_in_pages(db: Database) -> None:
    await _seed(db)
    reader = _reader()
    async with db.transaction() as tx:
        whole = await service.list_provider_prices(tx, reader, provider="anthropic", limit=service.PAGE_MAX)
        paged = await service.list_provider_prices(tx, reader, provider="anthropic", limit=5)
        while rest := await service.list_provider_prices(
            tx, reader, provider="anthropic", after=paged[-1].id, limit=50
        ):
            paged = [*paged, *rest]
        assert len(whole) > 55
        assert [row.id for row in paged] == [row.id for row in whole]
        of_the_day = await service.list_provider_prices(
            tx, reader, provider="openai", at=make.at("2025-06-10"), limit=service.PAGE_MAX
        )
        o3 = [(row.pool, row.amount, row.per) for row in of_the_day if row.model == "o3" and row.pool != "cache_read"]
        assert o3 == [("input", Decimal(2), Decimal(1_000_000)), ("output", Decimal(8), Decimal(1_000_000))]
        assert await service.list_provider_prices(tx, reader, after=whole[-1].id, provider="anthropic", limit=5) == []
        unknown = ProviderPriceId(make.new_id())
        assert await service.list_provider_prices(tx, reader, after=unknown, limit=5) == []


async def test_searches_pages_and_images_are_priced_as_stated(db: Database) -> None:
    await _seed(db)
    async with db.transaction() as tx:
        book = await service.load_price_book(tx)
    used = [("tavily", "request", 1_500), ("serper", "request", 250), ("metaphor", "request", 100)]
    used += [("firecrawl", "page", 40), ("stability", "image", 3)]
    costs = []
    for provider, pool, quantity in used:
        found = book.cost_of(provider, "any", {pool: Decimal(quantity)}, _NOW)
        assert isinstance(found, PricedCost)
        costs.append(found.cost)
    # 1,500 and 250 searches at 0.001, 100 at 0.003, 40 pages at 0.002, 3 images at 0.04: 2.25 in all
    assert costs == [Decimal(text) for text in ("1.5", "0.25", "0.3", "0.08", "0.12")]
