"""Overrides: what staff grant one customer instead of the amount of the plan, from an instant on."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, ProductId
from domain.kernel.values import dataclass
from domain.plans.plan import Catalogue

REASON_LENGTH_MAX = 500
# Of one customer; far more than there are limits.
OVERRIDES_MAX = 1_000


@dataclass(eq=False)
class OverrideMalformed(DomainError):
    """The limit was not changed: {what}."""

    code = "override_malformed"
    kind = Kind.INVALID
    what: str


@dataclass(eq=False)
class LimitUnknown(DomainError):
    """No plan of the product {product} has a limit named {key}. See the limits of its plans."""

    code = "limit_unknown"
    kind = Kind.NOT_FOUND
    product: str
    key: str


@dataclass(eq=False)
class TooManyOverrides(DomainError):
    """A customer has at most {overrides_max} overrides, ended ones included."""

    code = "too_many_overrides"
    kind = Kind.TOO_LARGE
    overrides_max: int


@dataclass(frozen=True, slots=True)
class Override:
    """An amount in force in [from_at, until_at) of business time; None is unlimited, 0 is nothing."""

    customer_id: CustomerId
    id: UUID
    product_id: ProductId
    key: str
    amount: Decimal | None
    from_at: datetime
    until_at: datetime | None
    reason: str
    set_by: str
    created_at: datetime

    def is_in_force(self, at: datetime) -> bool:
        """Whether it holds at an instant."""
        return self.from_at <= at and (self.until_at is None or at < self.until_at)


@dataclass(frozen=True, slots=True)
class Wish:
    """What staff want to grant of a limit of a product, by their keys; `from_at` None: from now on."""

    product: str
    key: str
    amount: Decimal | None
    reason: str
    from_at: datetime | None = None
    until_at: datetime | None = None


def catalogue_limits(catalogue: Catalogue, product_id: ProductId) -> frozenset[str]:
    """Return the keys of all limits that any version of any plan of a product has."""
    plans = {plan.id for plan in catalogue.plans_of(product_id)}
    versions = (version for version in catalogue.versions.values() if version.plan_id in plans)
    return frozenset(each.key for version in versions for each in version.entitlements if each.kind == "limit")


def check(new: Override) -> Override:
    """Return an override that can be granted. Raises OverrideMalformed."""
    if new.amount is not None and not (new.amount.is_finite() and 0 <= new.amount < Decimal(10) ** 20):
        raise OverrideMalformed("the amount is at least 0 and below 10^20, or unlimited")
    exponent = new.amount.as_tuple().exponent if new.amount is not None else 0
    if not isinstance(exponent, int) or exponent < -18:
        raise OverrideMalformed("the amount has at most 18 decimals")
    if new.until_at is not None and new.until_at <= new.from_at:
        raise OverrideMalformed("it ends after it begins")
    if not 0 < len(new.reason) <= REASON_LENGTH_MAX or not new.reason.isprintable():
        raise OverrideMalformed(f"the reason has 1 to {REASON_LENGTH_MAX} printable characters")
    return new


def in_force(overrides: Iterable[Override], product_id: ProductId, at: datetime) -> dict[str, Override]:
    """Return the override of each limit of a product that holds at an instant: of several, the one made last."""
    found = (each for each in overrides if each.product_id == product_id and each.is_in_force(at))
    return {each.key: each for each in sorted(found, key=lambda each: (each.created_at, each.id))}


def amounts_of(overrides: Mapping[str, Override]) -> dict[str, Fraction | None]:
    """Return what overrides in force grant, whatever the plan, by the keys of limits; None is unlimited."""
    return {key: None if each.amount is None else Fraction(each.amount) for key, each in overrides.items()}
