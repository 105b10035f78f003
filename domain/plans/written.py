"""A published product written as its definition again, so that it can be read, changed and published anew."""

from domain.kernel.money import exact_text
from domain.plans.definition import EntitlementDefinition, PlanDefinition, PriceDefinition, ProductDefinition
from domain.plans.meter import Meter
from domain.plans.meter_definition import MeterDefinition
from domain.plans.plan import Catalogue, PlanVersion


def product_definition(catalogue: Catalogue, key: str) -> ProductDefinition:
    """Write a product with its meters and the newest version of each plan that everybody is sold.

    Publishing it again changes nothing. Raises ProductNotFound.
    """
    product = catalogue.product(key)
    return ProductDefinition(
        key=product.key,
        name=product.name,
        meters=tuple(meter_definition(meter) for meter in catalogue.meters_of(product.id)),
        plans=tuple(
            plan_definition(catalogue, catalogue.current_version_of(plan.id)) for plan in catalogue.plans_of(product.id)
        ),
    )


def plan_definition(catalogue: Catalogue, version: PlanVersion) -> PlanDefinition:
    """Write a published version as its definition."""
    plan = catalogue.plan_of_version(version.id)
    return PlanDefinition(
        key=plan.key,
        name=plan.name,
        rank=plan.rank,
        support=version.support,
        features=version.features,
        invoice_grace_s=version.invoice_grace_s,
        prices=_prices(catalogue, version),
        entitlements=_entitlements(catalogue, version),
        existing=version.existing,
        proration=version.proration,
        tax_code=version.tax_code,
        start=version.start,
        cancel_credit=version.cancel_credit,
        net_days=version.net_days,
    )


def _prices(catalogue: Catalogue, version: PlanVersion) -> tuple[PriceDefinition, ...]:
    return tuple(
        PriceDefinition(
            key=each.key,
            kind=each.kind,
            currency=each.currency,
            model=each.model,
            definition=dict(each.definition),
            description=each.description,
            interval=each.interval,
            meter=catalogue.meter(each.meter_id).key if each.meter_id else None,
        )
        for each in version.prices
    )


def _entitlements(catalogue: Catalogue, version: PlanVersion) -> tuple[EntitlementDefinition, ...]:
    return tuple(
        EntitlementDefinition(
            key=each.key,
            description=each.description,
            source=each.source,
            kind=each.kind,
            meter=catalogue.meter(each.meter_id).key if each.meter_id else None,
            money=each.money,
            dimension_filter=dict(each.dimension_filter) if each.dimension_filter is not None else None,
            amount=None if each.amount is None else exact_text(each.amount),
            currency=each.currency,
            policy=each.policy,
            soft_percent=each.soft_percent,
            grace_hours=each.grace_hours,
            on_failure=each.on_failure,
        )
        for each in version.entitlements
    )


def meter_definition(meter: Meter) -> MeterDefinition:
    """Write a published meter as its definition."""
    return MeterDefinition(
        key=meter.key,
        name=meter.name,
        event_type=meter.event_type,
        aggregation=meter.aggregation,
        unit=meter.unit,
        value_properties=meter.value_properties,
        when_missing=meter.when_missing,
        dimensions=meter.dimensions,
        event_filter=dict(meter.event_filter) if meter.event_filter is not None else None,
        dimension_combinations_max=meter.dimension_combinations_max,
        operation_property=meter.operation_property,
        percent=None if meter.percent is None else exact_text(meter.percent),
        carries_over=meter.carries_over,
        by_days=meter.by_days,
    )
