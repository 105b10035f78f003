"""Products, plans, their published versions, and the snapshot of all of them that other slices decide from."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NewType
from uuid import UUID

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, MeterId, PlanId, PlanVersionId, PriceId, ProductId
from domain.kernel.values import dataclass
from domain.plans.meter import Meter
from domain.plans.start import AT_ONCE, Start

EntitlementId = NewType("EntitlementId", UUID)
Interval = Literal["month", "year"]
PriceKind = Literal["fee", "usage"]
PriceModel = Literal[
    "flat",
    "per_unit",
    "graduated",
    "volume",
    "package",
    "percentage",
    "graduated_percentage",
    "matrix",
    "dynamic",
]
EntitlementKind = Literal["limit", "feature"]
Policy = Literal["hard", "soft", "observe"]
OnFailure = Literal["open", "closed"]
Source = Literal["requirements", "ours"]
Existing = Literal["stay", "move_at_renewal"]
Proration = Literal["second", "day"]
CancelCredit = Literal["none", "prorate"]
# Days from the issue of an invoice to when it is due; a year is more than anybody sells on.
NET_DAYS_MAX = 365


@dataclass(eq=False)
class ProductNotFound(DomainError):
    """There is no product named {product}. See the list of products."""

    code = "product_not_found"
    kind = Kind.NOT_FOUND
    product: str


@dataclass(eq=False)
class PlanNotFound(DomainError):
    """There is no plan named {plan} in the product {product}. See the list of plans."""

    code = "plan_not_found"
    kind = Kind.NOT_FOUND
    product: str
    plan: str


@dataclass(eq=False)
class PriceNotFound(DomainError):
    """The plan {plan} is not sold by the {interval} in {currency}. See the prices of the plan."""

    code = "price_not_found"
    kind = Kind.NOT_FOUND
    plan: str
    interval: str
    currency: str


@dataclass(eq=False)
class PlanArchived(DomainError):
    """The plan {plan} is not sold any more. See the list of plans."""

    code = "plan_archived"
    kind = Kind.CONFLICT
    plan: str


@dataclass(frozen=True, slots=True)
class Product:
    """What the merchant sells. Its key is stable and is what API keys and catalogue files name.

    `own`: its operator has published it, so that seeding leaves it alone.
    """

    id: ProductId
    key: str
    name: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to buy a product. A higher rank is an upgrade.

    From `archived_at` on, in real time, nobody takes it; who has it keeps it.
    """

    id: PlanId
    product_id: ProductId
    key: str
    name: str
    rank: int
    archived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """One price of a plan version: a fee per interval, or what a meter's quantity costs.

    Fees have an interval and no meter, usage prices the reverse. `definition` holds decimals as text and has the shape
    of its charge model (`domain/plans/models`), with the parts around it (`domain/plans/line.py`).
    """

    id: PriceId
    plan_version_id: PlanVersionId
    key: str
    kind: PriceKind
    currency: str
    interval: Interval | None
    meter_id: MeterId | None
    model: PriceModel
    definition: Mapping[str, Any]
    description: str


@dataclass(frozen=True, slots=True)
class Entitlement:
    """A limit on a meter in each usage period, or a feature; the amount of a feature is a number that goes with it.

    `amount` is in the meter's unit, for `money` in the currency's major unit; None is unlimited and 0 is nothing.
    `dimension_filter` narrows the meter to some dimension values. A soft limit lets `soft_percent` of the amount
    through for `grace_hours` after it was passed. `source` says who chose the amount.
    """

    id: EntitlementId
    plan_version_id: PlanVersionId
    key: str
    kind: EntitlementKind
    meter_id: MeterId | None
    money: bool
    dimension_filter: Mapping[str, str] | None
    amount: Decimal | None
    currency: str | None
    policy: Policy | None
    soft_percent: int | None
    grace_hours: int | None
    on_failure: OnFailure
    source: Source
    description: str


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """What a subscription pins: published once, never edited.

    `invoice_grace_s` is how long a draft invoice waits before it is opened. `existing` says whether subscriptions to
    earlier versions stay on them or move at their renewal. `proration` is what a change inside a fee period counts
    shares of time in: true seconds, or local days, of which that of the change belongs to the new state. `tax_code`
    says what is sold, for taxes that differ by it. `start` says whether a subscription begins with a trial, and what it
    waits for. `digest` is SHA-256 of the definition. A version with a customer is that customer's alone: nobody else is
    shown it or can subscribe to it. `cancel_credit` is what becomes of paid time that an end now leaves unused, unless
    said otherwise then. `net_days` is how many days after its issue an invoice with its lines is due, unless the
    customer has other terms; None is at once.
    """

    id: PlanVersionId
    plan_id: PlanId
    number: int
    published_at: datetime
    invoice_grace_s: int
    features: tuple[str, ...]
    support: str
    existing: Existing
    digest: bytes
    prices: tuple[Price, ...]
    entitlements: tuple[Entitlement, ...]
    proration: Proration = "second"
    tax_code: str | None = None
    start: Start = AT_ONCE
    customer_id: CustomerId | None = None
    cancel_credit: CancelCredit = "none"
    net_days: int | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that is sold, at one instant. Callers keep it while `catalogue_fingerprint` stays the same."""

    fingerprint: str
    products: tuple[Product, ...]
    plans: tuple[Plan, ...]
    versions: Mapping[PlanVersionId, PlanVersion]
    meters: Mapping[MeterId, Meter]
    _products_by_id: Mapping[ProductId, Product]
    _plans_by_id: Mapping[PlanId, Plan]
    _current: Mapping[tuple[PlanId, CustomerId | None], PlanVersion]
    _meters_by_event_type: Mapping[str, tuple[Meter, ...]]

    def product(self, key: str) -> Product:
        """Return a product by its key. Raises ProductNotFound."""
        for product in self.products:
            if product.key == key:
                return product
        raise ProductNotFound(key)

    def product_by_id(self, product_id: ProductId) -> Product:
        """Return a product that is known to exist."""
        return self._products_by_id[product_id]

    def plan(self, product_key: str, plan_key: str) -> Plan:
        """Return a plan by its keys. Raises ProductNotFound, PlanNotFound."""
        product = self.product(product_key)
        for plan in self.plans:
            if plan.product_id == product.id and plan.key == plan_key:
                return plan
        raise PlanNotFound(product_key, plan_key)

    def plans_of(self, product_id: ProductId) -> tuple[Plan, ...]:
        """Return a product's plans, lowest rank first."""
        return tuple(plan for plan in self.plans if plan.product_id == product_id)

    def sold_plans_of(self, product_id: ProductId) -> tuple[Plan, ...]:
        """Return those of a product's plans that are not archived, lowest rank first."""
        return tuple(plan for plan in self.plans_of(product_id) if plan.archived_at is None)

    def version(self, version_id: PlanVersionId) -> PlanVersion:
        """Return any published version that is known to exist, with its prices and entitlements."""
        return self.versions[version_id]

    def current_version(self, product_key: str, plan_key: str, customer_id: CustomerId | None = None) -> PlanVersion:
        """Return what a new subscription pins: the customer's own newest version, or else everybody's.

        Raises PlanNotFound.
        """
        plan_id = self.plan(product_key, plan_key).id
        if (plan_id, None) not in self._current:
            raise PlanNotFound(product_key, plan_key)
        return self.current_version_of(plan_id, customer_id)

    def sold_version(self, product_key: str, plan_key: str, customer_id: CustomerId | None = None) -> PlanVersion:
        """Return the current version to one who takes the plan anew. Raises PlanNotFound, PlanArchived."""
        found = self.current_version(product_key, plan_key, customer_id)
        if self.plan(product_key, plan_key).archived_at is not None:
            raise PlanArchived(plan_key)
        return found

    def versions_of(self, plan_id: PlanId) -> tuple[PlanVersion, ...]:
        """Return the versions of a plan that everybody was or is sold, the newest first."""
        found = [each for each in self.versions.values() if each.plan_id == plan_id and each.customer_id is None]
        return tuple(reversed(found))

    def current_version_of(self, plan_id: PlanId, customer_id: CustomerId | None = None) -> PlanVersion:
        """Return the newest version of a plan that is known to exist, the customer's own before everybody's."""
        return self._current.get((plan_id, customer_id)) or self._current[plan_id, None]

    def own_versions(self, customer_id: CustomerId) -> tuple[PlanVersion, ...]:
        """Return the newest version of each plan of which the customer has one of its own, by the plans' order."""
        found = (self._current.get((plan.id, customer_id)) for plan in self.plans)
        return tuple(version for version in found if version is not None)

    def plan_of_version(self, version_id: PlanVersionId) -> Plan:
        """Return the plan that a version belongs to."""
        return self._plans_by_id[self.versions[version_id].plan_id]

    def fee_price(self, version_id: PlanVersionId, interval: str, currency: str) -> Price:
        """Return the fee of a version for an interval and a currency. Raises PriceNotFound."""
        for price in self.versions[version_id].prices:
            if price.kind == "fee" and price.interval == interval and price.currency == currency:
                return price
        raise PriceNotFound(self.plan_of_version(version_id).key, interval, currency)

    def usage_prices(self, version_id: PlanVersionId, currency: str) -> tuple[Price, ...]:
        """Return what usage costs under a version in a currency, in the order of their keys."""
        prices = self.versions[version_id].prices
        return tuple(price for price in prices if price.kind == "usage" and price.currency == currency)

    def meter(self, meter_id: MeterId) -> Meter:
        """Return a meter that is known to exist."""
        return self.meters[meter_id]

    def meters_for(self, event_type: str) -> tuple[Meter, ...]:
        """Return the meters that an event of this type may feed; none where no product has the type."""
        return self._meters_by_event_type.get(event_type, ())

    def meters_of(self, product_id: ProductId) -> tuple[Meter, ...]:
        """Return a product's meters in the order of their keys."""
        return tuple(meter for meter in self.meters.values() if meter.product_id == product_id)


def catalogue_of(
    fingerprint: str,
    products: Iterable[Product],
    plans: Iterable[Plan],
    versions: Iterable[PlanVersion],
    meters: Iterable[Meter],
) -> Catalogue:
    """Build a snapshot from its parts, in the order in which they are listed."""
    kept_products = tuple(sorted(products, key=lambda product: product.key))
    kept_plans = tuple(sorted(plans, key=lambda plan: (plan.product_id, plan.rank, plan.key)))
    numbered = sorted(versions, key=lambda version: version.number)
    kept_meters = sorted(meters, key=lambda meter: (meter.product_id, meter.key))
    by_event_type: dict[str, tuple[Meter, ...]] = {}
    for meter in kept_meters:
        by_event_type[meter.event_type] = (*by_event_type.get(meter.event_type, ()), meter)
    return Catalogue(
        fingerprint=fingerprint,
        products=kept_products,
        plans=kept_plans,
        versions={version.id: version for version in numbered},
        meters={meter.id: meter for meter in kept_meters},
        _products_by_id={product.id: product for product in kept_products},
        _plans_by_id={plan.id: plan for plan in kept_plans},
        _current={(version.plan_id, version.customer_id): version for version in numbered},
        _meters_by_event_type=by_event_type,
    )
