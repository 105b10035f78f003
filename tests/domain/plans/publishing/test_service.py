"""A product is published by its operator, tried before, read back, and then left alone by seeding."""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from domain.access.roles import Permission
from domain.db import Database
from domain.kernel.call import Call, Forbidden
from domain.plans import service as plans
from domain.plans.definition import PlanDefinition, ProductDefinition, read_product
from domain.plans.exact import DefinitionRefused
from domain.plans.plan import Catalogue, ProductNotFound
from domain.plans.price import rate
from domain.plans.publishing import service
from domain.plans.publishing.changes import PlanChange, Publication, differences
from tests import make

_PAGE = (Path(__file__).parents[4] / "docs/catalogue.md").read_text(encoding="utf-8")
_TEXT = _PAGE.partition("```json\n")[2].partition("```")[0]
_EXAMPLE = read_product(_TEXT.encode())
_TEAM = next(plan for plan in _EXAMPLE.plans if plan.key == "team")


async def _publish(db: Database, product: ProductDefinition, call: Call | None = None) -> Publication:
    async with db.transaction() as tx:
        return await service.publish_product(tx, call or make.call(), product)


async def _catalogue(db: Database) -> Catalogue:
    async with db.transaction() as tx:
        return await plans.load_catalogue(tx)


def _with(plan: PlanDefinition) -> ProductDefinition:
    """Return the example with another plan in the place of the one of its key."""
    changed = tuple(plan if each.key == plan.key else each for each in _EXAMPLE.plans)
    return msgspec.structs.replace(_EXAMPLE, plans=changed)


async def test_the_example_of_the_page_is_published_and_priced_as_the_page_says(db: Database) -> None:
    first = await _publish(db, _EXAMPLE)
    assert (first.is_new, first.meters, first.left_out) == (True, ("queries", "indexed"), ())
    assert first.plans == (PlanChange("free", 1, ()), PlanChange("team", 1, ()))
    catalogue = await _catalogue(db)
    version = catalogue.current_version("search", "team")
    [usage] = catalogue.usage_prices(version.id, "EUR")
    # 150,000 less 10,000 included: 100,000 at 0.002 and 40,000 at 0.0015.
    assert rate(usage, Decimal(150_000)).amount == 260
    # Publishing the same again changes nothing.
    again = await _publish(db, _EXAMPLE)
    assert again.nothing
    assert (await _catalogue(db)).fingerprint == catalogue.fingerprint


async def test_only_a_plan_that_differs_gets_a_version_and_what_is_left_out_stays(db: Database) -> None:
    await _publish(db, _EXAMPLE)
    dearer = msgspec.structs.replace(_TEAM.prices[0], definition={"unit_amount": "14.00"})
    changed = msgspec.structs.replace(
        _TEAM,
        prices=(dearer, *_TEAM.prices[2:]),
        entitlements=(*_TEAM.entitlements, msgspec.structs.replace(_TEAM.entitlements[2], key="audit")),
        existing="move_at_renewal",
    )
    product = msgspec.structs.replace(_EXAMPLE, plans=(changed,), meters=_EXAMPLE.meters[:1])
    with pytest.raises(DefinitionRefused):
        await _publish(db, product)  # a limit of the plan names the meter that is left out
    found = await _publish(db, msgspec.structs.replace(product, meters=_EXAMPLE.meters))
    details = ("~ existing", "~ price seat_month_eur", "- price seat_year_eur", "+ entitlement audit")
    assert found.plans == (PlanChange("team", 2, details),)
    assert found.left_out == ("plan free",)
    catalogue = await _catalogue(db)
    assert [plan.key for plan in catalogue.plans_of(catalogue.product("search").id)] == ["free", "team"]
    assert catalogue.current_version("search", "team").number == 2
    assert catalogue.current_version("search", "free").number == 1


async def test_a_name_changes_without_a_version(db: Database) -> None:
    await _publish(db, _EXAMPLE)
    found = await _publish(db, _with(msgspec.structs.replace(_TEAM, name="Teams", rank=11)))
    assert found.plans == (PlanChange("team", None, ("~ name", "~ rank")),)
    catalogue = await _catalogue(db)
    plan = catalogue.plan("search", "team")
    assert (plan.name, plan.rank, catalogue.current_version("search", "team").number) == ("Teams", 11, 1)


@pytest.mark.parametrize("key", ["llm", "edge"])
async def test_what_was_read_back_is_published_without_a_change(published: Database, key: str) -> None:
    before = await _catalogue(published)
    async with published.transaction() as tx:
        found = await service.get_definition(tx, make.call(), key)
    # Read back, amounts are spelt in one way and prices stand in the order of their keys: that is no change.
    assert (await _publish(published, read_product(msgspec.json.encode(found)))).nothing
    assert (await _catalogue(published)).fingerprint == before.fingerprint


async def test_a_product_that_its_operator_published_is_left_alone_by_seeding(published: Database) -> None:
    async with published.transaction() as tx:
        edge = await service.get_definition(tx, make.call(), "edge")
    starter = next(plan for plan in edge.plans if plan.key == "starter")
    dearer = msgspec.structs.replace(starter.prices[0], definition={"amount": "39.00"})
    changed = msgspec.structs.replace(starter, prices=(dearer, *starter.prices[1:]))
    await _publish(published, msgspec.structs.replace(edge, plans=(changed,)))
    async with published.transaction() as tx:
        seeded = await plans.seed_catalogue(tx, make.call("2026-02-01"))
    assert seeded.versions == ()
    version = (await _catalogue(published)).current_version("edge", "starter")
    assert (version.number, version.prices[0].definition) == (2, {"amount": "39.00"})


async def test_who_may_not_publish_changes_nothing(db: Database) -> None:
    reader = make.call(by=make.principal(Permission.CATALOGUE_READ, Permission.PRICE_WRITE))
    with pytest.raises(Forbidden):
        await _publish(db, _EXAMPLE, reader)
    assert (await _catalogue(db)).products == ()
    async with db.transaction() as tx:
        with pytest.raises(Forbidden):
            await service.get_definition(tx, reader, "search")
        with pytest.raises(ProductNotFound):
            await service.get_definition(tx, make.call(), "search")


def test_an_amount_that_is_spelt_in_another_way_is_the_same() -> None:
    limit = _TEAM.entitlements[0]
    spelt = msgspec.structs.replace(limit, amount="1000000.00")
    more = msgspec.structs.replace(limit, amount="1000000.01")
    others = _TEAM.entitlements[1:]
    assert differences(_TEAM, msgspec.structs.replace(_TEAM, entitlements=(*others, spelt))) == ()
    found = differences(_TEAM, msgspec.structs.replace(_TEAM, entitlements=(more, *others), support="None"))
    assert found == ("~ support", "~ entitlement queries")


@pytest.mark.parametrize(
    ("written", "instead", "path"),
    [
        ('"Search"', '""', "$.name"),
        ('"Search"', '"Sear\\u0000ch"', "$.name"),
        ('"dimensions": ["region"]', '"dimensions": ["region"], "event_filter": {"a": "\\u0000"}', "$"),
        ('"Team"', f'"{"x" * 101}"', "$.plans[1].name"),
        ('"rank": 10', '"rank": 2147483648', "$.plans[1].rank"),
        ('"Synonyms"', '""', "$.plans[1].features[0]"),
        ('"E-mail support"', f'"{"x" * 501}"', "$.plans[1].support"),
        ('"Single sign-on"', '""', "$.plans[1].entitlements[2].description"),
    ],
)
def test_words_that_could_not_be_stored_or_shown_are_refused(written: str, instead: str, path: str) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        read_product(_TEXT.replace(written, instead).encode())
    assert refused.value.path == path
