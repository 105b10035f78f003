"""A plan version that belongs to one customer: what was negotiated, put over the version that everybody is sold."""

from collections.abc import Collection, Sequence
from typing import TypeVar

import msgspec

from domain.plans.definition import (
    EntitlementDefinition,
    PlanDefinition,
    PriceDefinition,
    check_plan,
    check_storable,
    decoded,
)
from domain.plans.exact import DefinitionRefused
from domain.plans.plan import CancelCredit, Catalogue, Existing, PlanVersion, Proration
from domain.plans.start import Start
from domain.plans.written import meter_definition, plan_definition

T = TypeVar("T", PriceDefinition, EntitlementDefinition)


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What differs from the base. A price or an entitlement takes the place of the base's of its key, or is added.

    `without` names keys of the base's prices and entitlements that are left out. `existing` says what becomes of the
    customer's subscription to the plan: it stays on its version, or moves to this one at its renewal.
    """

    prices: tuple[PriceDefinition, ...] = ()
    entitlements: tuple[EntitlementDefinition, ...] = ()
    without: tuple[str, ...] = ()
    features: tuple[str, ...] | None = None
    support: str | None = None
    invoice_grace_s: int | None = None
    existing: Existing = "stay"
    proration: Proration | None = None
    start: Start | None = None
    cancel_credit: CancelCredit | None = None
    net_days: int | None = None


def read_terms(text: bytes) -> Terms:
    """Read terms as JSON. Raises DefinitionRefused with the path to the first fault."""
    terms = decoded(text, Terms)
    check_storable(text)
    return terms


def derived(catalogue: Catalogue, base: PlanVersion, terms: Terms) -> PlanDefinition:
    """Return what a customer's version holds. Raises DefinitionRefused where it could not be billed as written."""
    whole = plan_definition(catalogue, base)
    known = {each.key for each in whole.prices} | {each.key for each in whole.entitlements}
    for index, key in enumerate(terms.without):
        if key not in known:
            raise DefinitionRefused(f"$.without[{index}]", f"names no price or entitlement of the plan: {key}")
    found = msgspec.structs.replace(
        whole,
        prices=_over(whole.prices, terms.prices, terms.without),
        entitlements=_over(whole.entitlements, terms.entitlements, terms.without),
        existing=terms.existing,
        features=whole.features if terms.features is None else terms.features,
        support=whole.support if terms.support is None else terms.support,
        invoice_grace_s=whole.invoice_grace_s if terms.invoice_grace_s is None else terms.invoice_grace_s,
        proration=terms.proration or whole.proration,
        start=terms.start or whole.start,
        cancel_credit=terms.cancel_credit or whole.cancel_credit,
        net_days=whole.net_days if terms.net_days is None else terms.net_days,
    )
    if terms.start is not None and terms.start.trial is not None and terms.start.trial.fall_back is not None:
        raise DefinitionRefused("$.start.trial.fall_back", "is for versions that everybody is sold")
    product_id = catalogue.plan_of_version(base.id).product_id
    check_plan(found, {each.key: meter_definition(each) for each in catalogue.meters_of(product_id)}, "$")
    return found


def _over(base: Sequence[T], terms: Sequence[T], without: Collection[str]) -> tuple[T, ...]:
    """Put entries over those of the same key, in the order of the base, new ones last."""
    instead: dict[str, T] = {each.key: each for each in terms}
    found: list[T] = [instead.get(each.key, each) for each in base if each.key in instead or each.key not in without]
    added: list[T] = [each for each in terms if each.key not in {known.key for known in base}]
    return tuple(found + added)
