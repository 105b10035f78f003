"""What publishing a definition would change: told before it is done, and after."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from domain.kernel.money import exact_text
from domain.kernel.values import dataclass
from domain.plans.definition import EntitlementDefinition, PlanDefinition, PriceDefinition, ProductDefinition
from domain.plans.plan import Catalogue, Plan
from domain.plans.written import plan_definition

# What belongs to the plan itself: it changes for everybody at once, without a version.
_OF_PLAN = ("name", "rank")
_PARTS = ("prices", "entitlements")


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What becomes of one plan. `number` is that of the version it gets; None where it keeps the one that stands.

    `details` has a text for each part that differs: `+ price fee_year_usd`, `~ entitlement seats`, `- price old`,
    `~ name`. A plan that is new has none.
    """

    plan: str
    number: int | None
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Publication:
    """What publishing a product changes, by key.

    `is_new` says that there was no such product. `meters` are added. `left_out` are plans and meters that stand and
    that the definition does not name: they stay as they are, because subscriptions and usage refer to them.
    """

    product: str
    is_new: bool
    meters: tuple[str, ...]
    plans: tuple[PlanChange, ...]
    left_out: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether everything is there already."""
        return not (self.is_new or self.meters or self.plans)


def publication_of(catalogue: Catalogue, wanted: ProductDefinition) -> Publication:
    """Compare a definition with what stands. A plan that says the same in another order or spelling is the same."""
    product = next((each for each in catalogue.products if each.key == wanted.key), None)
    if product is None:
        plans = tuple(PlanChange(each.key, 1, ()) for each in wanted.plans)
        meters = tuple(each.key for each in wanted.meters)
        return Publication(wanted.key, is_new=True, meters=meters, plans=plans, left_out=())
    standing = {plan.key: plan for plan in catalogue.plans_of(product.id)}
    counted = {meter.key for meter in catalogue.meters_of(product.id)}
    changes = (_change_of(catalogue, standing.get(each.key), each) for each in wanted.plans)
    left_out = [f"plan {key}" for key in standing if key not in {each.key for each in wanted.plans}]
    left_out += [f"meter {key}" for key in sorted(counted - {each.key for each in wanted.meters})]
    return Publication(
        wanted.key,
        is_new=False,
        meters=tuple(each.key for each in wanted.meters if each.key not in counted),
        plans=tuple(change for change in changes if change is not None),
        left_out=tuple(left_out),
    )


def _change_of(catalogue: Catalogue, plan: Plan | None, wanted: PlanDefinition) -> PlanChange | None:
    """Compare a plan with what everybody is sold of it; None where nothing differs."""
    if plan is None:
        return PlanChange(wanted.key, 1, ())
    details = differences(plan_definition(catalogue, catalogue.current_version_of(plan.id)), wanted)
    if not details:
        return None
    if set(details) <= {f"~ {name}" for name in _OF_PLAN}:
        return PlanChange(wanted.key, None, details)
    newest = max(version.number for version in catalogue.versions.values() if version.plan_id == plan.id)
    return PlanChange(wanted.key, newest + 1, details)


def differences(before: PlanDefinition, after: PlanDefinition) -> tuple[str, ...]:
    """Say in which parts two definitions of a plan differ; none where both mean the same."""
    found = [
        f"~ {name}"
        for name in before.__struct_fields__
        if name not in ("key", *_PARTS) and getattr(before, name) != getattr(after, name)
    ]
    found += _between("price", before.prices, after.prices)
    found += _between("entitlement", before.entitlements, after.entitlements)
    return tuple(found)


def _between(
    what: str,
    before: Sequence[PriceDefinition | EntitlementDefinition],
    after: Sequence[PriceDefinition | EntitlementDefinition],
) -> list[str]:
    old, new = _by_key(before), _by_key(after)
    changed = [f"~ {what} {key}" for key in new if key in old and old[key] != new[key]]
    added = [f"+ {what} {key}" for key in new if key not in old]
    return [*changed, *added, *(f"- {what} {key}" for key in old if key not in new)]


def _by_key(parts: Sequence[PriceDefinition | EntitlementDefinition]) -> Mapping[str, Any]:
    """Return the parts by key, each amount spelt in one way."""
    return {each.key: _spelt(each) for each in parts}


def _spelt(part: PriceDefinition | EntitlementDefinition) -> Any:
    if isinstance(part, EntitlementDefinition) and part.amount is not None:
        return msgspec.structs.replace(part, amount=exact_text(Decimal(part.amount)))
    return part
