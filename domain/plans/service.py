"""Publish the catalogue, change the provider price list, and read both."""

import importlib
import importlib.metadata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from importlib import resources
from typing import Any

import msgspec

from domain.access.roles import Permission
from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import NOBODY, CustomerId, MeterId, PlanId, PlanVersionId, ProductId, ProviderPriceId, encode
from domain.kernel.money import exact_text
from domain.kernel.values import dataclass
from domain.plans import public_prices, store
from domain.plans.custom import Terms, derived
from domain.plans.definition import (
    EntitlementDefinition,
    PlanDefinition,
    PriceDefinition,
    ProductDefinition,
    check_product,
    plan_digest,
    read_product,
)
from domain.plans.exact import DefinitionRefused
from domain.plans.meter import Meter
from domain.plans.meter_definition import MeterDefinition
from domain.plans.plan import Catalogue, Plan, PlanVersion, Product, catalogue_of
from domain.plans.price_list import check_set, decide, read_price_list
from domain.plans.provider_price import (
    LIST_CURRENCY,
    PUBLIC_SOURCE,
    ModelAlias,
    PriceBook,
    PriceSet,
    ProviderPrice,
    price_book_of,
)

# A page of the price list that a caller may ask for, with one more to know whether there is another.
PAGE_MAX = 1_001
_CATALOGUES = ("llm.json", "edge.json")
_PRICE_LIST = "provider_prices.json"
_CATALOGUE = "catalogue"


@dataclass(frozen=True, slots=True)
class Seeded:
    """What seeding wrote, and which models of the public price data our list cannot state."""

    versions: tuple[PlanVersionId, ...]
    provider_prices: int
    skipped: tuple[public_prices.Skipped, ...]


async def seed_catalogue(tx: Tx, call: Call) -> Seeded:
    """Publish the default catalogues and fill the provider price list.

    Safe to repeat: a plan gets a version only where its definition changed, and a model that has rows keeps them. A
    product that its operator has published stays as it is: a default must not take the place of a price of theirs.
    """
    versions: list[PlanVersionId] = []
    await store.hold_catalogue(tx)
    own = {product.key for product in await store.list_products(tx) if product.own}
    for product in map(read_product, map(_file, _CATALOGUES)):
        if product.key not in own:
            versions += await publish(tx, call, product)
    written, skipped = await _seed_prices(tx, call)
    return Seeded(tuple(versions), written, skipped)


async def publish(
    tx: Tx, call: Call, product: ProductDefinition, *, own: bool = False, same: Collection[str] = ()
) -> list[PlanVersionId]:
    """Publish a product: its meters, its plans, and a new version of every plan whose definition changed.

    Returns the ids of the new versions; publishing the same again writes nothing new. Plans and meters that the
    definition leaves out stay. `own`: it is its operator's from then on. `same` are plans that are known to stand as
    they are, whatever their digest. Raises DefinitionRefused with the path to the fault.
    """
    check_product(product)
    await store.hold_catalogue(tx)
    values = {"key": product.key, "name": product.name, "own": own}
    product_id = await store.upsert_product(tx, {"id": call.new_id(), **values})
    meters = await _publish_meters(tx, call, product_id, product.meters)
    versions = []
    for plan in product.plans:
        named = {"product_id": product_id, "key": plan.key, "name": plan.name, "rank": plan.rank}
        plan_id = await store.upsert_plan(tx, {"id": call.new_id(), **named})
        if plan.key in same:
            continue
        version_id = await _publish_version(tx, call, plan_id, plan, meters)
        if version_id is not None:
            versions.append(version_id)
    return versions


async def _publish_meters(
    tx: Tx, call: Call, product_id: ProductId, definitions: Sequence[MeterDefinition]
) -> Mapping[str, MeterId]:
    """Insert the meters that are new. A published one never changes: what it counted would mean something else."""
    existing = await store.list_meters(tx)
    mine = {meter.key: meter for meter in existing if meter.product_id == product_id}
    taken = {meter.event_type for meter in existing if meter.product_id != product_id}
    added: list[Meter] = []
    for index, definition in enumerate(definitions):
        if definition.event_type in taken:
            raise DefinitionRefused(f"$.meters[{index}].event_type", "belongs to another product")
        wanted = _meter(MeterId(call.new_id()), product_id, definition)
        found = mine.get(definition.key)
        if found is None:
            added.append(wanted)
        elif found != replace(wanted, id=found.id):
            raise DefinitionRefused(f"$.meters[{index}]", "differs from the published meter: give it another key")
    await store.insert_meters(tx, added)
    return {meter.key: meter.id for meter in (*mine.values(), *added)}


def _meter(meter_id: MeterId, product_id: ProductId, definition: MeterDefinition) -> Meter:
    return Meter(
        id=meter_id,
        product_id=product_id,
        key=definition.key,
        name=definition.name,
        event_type=definition.event_type,
        aggregation=definition.aggregation,
        value_properties=definition.value_properties,
        when_missing=definition.when_missing,
        dimensions=definition.dimensions,
        event_filter=definition.event_filter,
        unit=definition.unit,
        dimension_combinations_max=definition.dimension_combinations_max,
        operation_property=definition.operation_property,
        percent=None if definition.percent is None else Decimal(exact_text(Decimal(definition.percent))),
        carries_over=definition.carries_over,
        by_days=definition.by_days,
    )


async def publish_for(
    tx: Tx, call: Call, customer_id: CustomerId, *, product_key: str, plan_key: str, terms: Terms
) -> PlanVersion:
    """Publish a version of a plan that is one customer's alone: the newest of everybody's with other terms.

    The caller has checked its own permission and the customer. The same terms again give the version that stands.
    Raises ProductNotFound, PlanNotFound, DefinitionRefused.
    """
    await store.hold_catalogue(tx)
    before = await load_catalogue(tx)
    base = before.current_version(product_key, plan_key)
    plan = derived(before, base, terms)
    meters = {meter.key: meter.id for meter in before.meters_of(before.product(product_key).id)}
    await _publish_version(tx, call, base.plan_id, plan, meters, customer_id=customer_id)
    return (await load_catalogue(tx)).current_version_of(base.plan_id, customer_id)


async def _publish_version(
    tx: Tx,
    call: Call,
    plan_id: PlanId,
    plan: PlanDefinition,
    meters: Mapping[str, MeterId],
    *,
    customer_id: CustomerId | None = None,
) -> PlanVersionId | None:
    """Publish the next version of a plan, or nothing where its newest one holds the same."""
    digest, (number_before, digest_before) = (
        plan_digest(plan),
        await store.find_newest_version(tx, plan_id, customer_id),
    )
    if digest_before == digest:
        return None
    version_id, number = PlanVersionId(call.new_id()), number_before + 1
    version = {
        "id": version_id,
        "plan_id": plan_id,
        "number": number,
        "published_at": call.at,
        "invoice_grace_s": plan.invoice_grace_s,
        "features": list(plan.features),
        "support": plan.support,
        "existing": plan.existing,
        "proration": plan.proration,
        "tax_code": plan.tax_code,
        "start": msgspec.to_builtins(plan.start),
        "cancel_credit": plan.cancel_credit,
        "net_days": plan.net_days,
        "digest": digest,
        "customer_id": customer_id,
    }
    await store.insert_version(tx, version, *_parts(call, version_id, plan, meters))
    facts = {"plan": encode("plan", plan_id), "key": plan.key, "number": number, "digest": digest.hex()}
    await journal.audit(
        tx,
        call,
        "publish_plan_version",
        encode("plan_version", version_id),
        facts=facts,
        customer_id=customer_id or NOBODY,
    )
    return version_id


def _parts(
    call: Call, version_id: PlanVersionId, plan: PlanDefinition, meters: Mapping[str, MeterId]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of a version's prices and entitlements."""

    def row(part: PriceDefinition | EntitlementDefinition) -> dict[str, Any]:
        values = {name: getattr(part, name) for name in part.__struct_fields__ if name != "meter"}
        meter_id = None if part.meter is None else meters[part.meter]
        return {**values, "id": call.new_id(), "plan_version_id": version_id, "meter_id": meter_id}

    prices = [row(price) for price in plan.prices]
    entitlements = [row(entitlement) for entitlement in plan.entitlements]
    for values in entitlements:
        values["amount"] = None if values["amount"] is None else Decimal(values["amount"])
    return prices, entitlements


async def _seed_prices(tx: Tx, call: Call) -> tuple[int, tuple[public_prices.Skipped, ...]]:
    """Add the merchant's list, then the public prices of every model that has no row yet."""
    merchant = read_price_list(_file(_PRICE_LIST))
    await store.insert_providers(tx, merchant.providers)
    written = await _add_unknown(tx, call, merchant.sets)
    await store.insert_aliases(tx, merchant.aliases)
    if await store.has_source(tx, _public_source()):
        return written, ()
    public = read_public_prices(merchant.valid_from)
    written += await _add_unknown(tx, call, public.sets)
    await store.insert_aliases(tx, public.aliases)
    return written, public.skipped


def _public_source() -> str:
    return f"{PUBLIC_SOURCE} {importlib.metadata.version(PUBLIC_SOURCE)}"


def read_public_prices(earliest: datetime) -> public_prices.PublicPrices:
    """Return what the installed public price data state; prices without a date hold from `earliest`."""
    # The package takes as long to load as everything else here together, and is seldom needed.
    providers = importlib.import_module("genai_prices.data").providers
    return public_prices.translate(providers, _public_source(), earliest)


async def add_model_names(tx: Tx, call: Call, aliases: Sequence[ModelAlias]) -> None:
    """Add other names of models; those that are there stay. Raises Forbidden."""
    call.need(Permission.PRICE_WRITE)
    await store.insert_aliases(tx, aliases)


async def _add_unknown(tx: Tx, call: Call, sets: Sequence[PriceSet]) -> int:
    known = {(row.provider, row.model) for row in await store.list_provider_prices(tx)}
    return await import_provider_prices(tx, call, [each for each in sets if (each.provider, each.model) not in known])


async def import_provider_prices(tx: Tx, call: Call, sets: Sequence[PriceSet]) -> int:
    """Add sets of rows to the provider price list and return how many rows were written.

    A set takes over from its valid_from on, which is a full hour not before the call; an interval without any row may
    be filled later too. Adding the same again writes nothing. Raises DefinitionRefused, PriceInForce.
    """
    if not sets:
        return 0
    await store.hold_catalogue(tx)
    providers = frozenset(provider.key for provider in await store.list_providers(tx))
    by_model: dict[tuple[str, str], list[ProviderPrice]] = {}
    for row in await store.list_provider_prices(tx):
        by_model.setdefault((row.provider, row.model), []).append(row)
    added: list[ProviderPrice] = []
    for index, new in enumerate(sets):
        check_set(new, providers, f"$[{index}]")
        existing = by_model.setdefault((new.provider, new.model), [])
        change = decide(new, existing, call.at)
        if change.close:
            await store.save_price_end(tx, change.close, valid_to=new.valid_from)
            existing[:] = [replace(row, valid_to=new.valid_from) if row.id in change.close else row for row in existing]
        if change.insert:
            rows = _rows(call, new)
            existing += rows
            added += rows
    if added:
        await store.insert_provider_prices(tx, added)
        facts = {"rows": len(added), "sources": sorted({row.source for row in added})}
        await journal.audit(tx, call, "import_provider_prices", "provider_price", facts=facts)
    return len(added)


def _rows(call: Call, new: PriceSet) -> list[ProviderPrice]:
    return [
        ProviderPrice(
            id=ProviderPriceId(call.new_id()),
            provider=new.provider,
            model=new.model,
            pool=pool,
            amount=amount,
            per=per,
            currency=LIST_CURRENCY,
            valid_from=new.valid_from,
            valid_to=new.valid_to,
            source=new.source,
            above=above,
        )
        for pool, above, amount, per in new.rows
    ]


async def catalogue_fingerprint(tx: Tx) -> str:
    """Return a text that changes whenever the catalogue or the price list does: reload both then. One statement."""
    return await store.find_fingerprint(tx)


async def load_catalogue(tx: Tx) -> Catalogue:
    """Return a snapshot of everything that is sold, for use inside the system.

    It is read once and kept while the fingerprint stays: then this takes one statement.
    """
    fingerprint = await store.find_fingerprint(tx)
    kept = tx.kept.get(_CATALOGUE)
    if not isinstance(kept, Catalogue) or kept.fingerprint != fingerprint:
        tx.kept[_CATALOGUE] = kept = await _read_catalogue(tx, fingerprint)
    return kept


async def _read_catalogue(tx: Tx, fingerprint: str) -> Catalogue:
    # What refers comes before what it refers to: a version published meanwhile is left out, never left dangling.
    versions = await store.list_versions(tx)
    plans = await store.list_plans(tx)
    return catalogue_of(fingerprint, await store.list_products(tx), plans, versions, await store.list_meters(tx))


async def load_price_book(tx: Tx) -> PriceBook:
    """Return a snapshot of the provider price list; keep it while the fingerprint stays."""
    fingerprint = await store.find_fingerprint(tx)
    rows = await store.list_provider_prices(tx)
    return price_book_of(fingerprint, await store.list_providers(tx), await store.list_aliases(tx), rows)


async def get_catalogue(tx: Tx, call: Call) -> Catalogue:
    """Return the snapshot to a caller who may read the catalogue. Raises Forbidden."""
    call.need(Permission.CATALOGUE_READ)
    return await load_catalogue(tx)


async def list_products(tx: Tx, call: Call) -> Sequence[Product]:
    """Return all products by key. Raises Forbidden."""
    call.need(Permission.CATALOGUE_READ)
    return await store.list_products(tx)


async def list_plans(tx: Tx, call: Call, product_key: str) -> Sequence[Plan]:
    """Return a product's plans, lowest rank first; none of an unknown product. Raises Forbidden."""
    call.need(Permission.CATALOGUE_READ)
    found = {product.id for product in await store.list_products(tx) if product.key == product_key}
    return [plan for plan in await store.list_plans(tx) if plan.product_id in found]


async def find_plan(tx: Tx, call: Call, product_key: str, plan_key: str) -> Plan | None:
    """Return a plan by its keys, or None. Raises Forbidden."""
    plans = {plan.key: plan for plan in await list_plans(tx, call, product_key)}
    return plans.get(plan_key)


async def list_provider_prices(
    tx: Tx,
    call: Call,
    *,
    provider: str | None = None,
    at: datetime | None = None,
    after: ProviderPriceId | None = None,
    limit: int,
) -> Sequence[ProviderPrice]:
    """Return rows by provider, model, pool, date and `above`: of one provider (key), in force at an instant, after one.

    The list is the same for live and test. Raises Forbidden.
    """
    call.need(Permission.PRICE_READ)
    assert 0 <= limit <= PAGE_MAX, "the edge bounds a page"
    return await store.list_provider_prices(tx, provider_key=provider, at=at, after=after, limit=limit)


def _file(name: str) -> bytes:
    return resources.files("domain.plans.catalogue").joinpath(name).read_bytes()
