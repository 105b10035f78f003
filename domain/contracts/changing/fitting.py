"""Whether a plan holds what stands already: levels carry over, so a smaller plan would begin above its limits."""

from collections.abc import Mapping, Sequence

from domain.kernel.errors import DomainError, Kind
from domain.kernel.money import exact_text
from domain.kernel.values import dataclass
from domain.limits.override import Override
from domain.limits.service import limits_of
from domain.limits.status import LimitStatus
from domain.plans.plan import Catalogue
from domain.subscriptions.subscription import Subscription
from domain.usage.reading import Usage


@dataclass(eq=False)
class PlanTooSmall(DomainError):
    """The plan does not hold what there is: {violations}. Reduce it, or have the change made at the period's end."""

    code = "plan_too_small"
    kind = Kind.CONFLICT
    violations: str


def violations_of(
    catalogue: Catalogue, after: Subscription, usage: Usage, overrides: Mapping[str, Override]
) -> tuple[LimitStatus, ...]:
    """Return the limits on levels that a subscription would be above of, in the order of its plan.

    What is counted anew in each period is no violation: a check answers by the new limit from then on.
    """
    entitlements = catalogue.version(after.plan_version_id).entitlements
    carried = {each.key for each in entitlements if each.meter_id and catalogue.meter(each.meter_id).carries}
    statuses = limits_of(catalogue, after, usage, overrides)
    return tuple(each for each in statuses if each.key in carried and each.limit is not None and each.used > each.limit)


def told(violations: Sequence[LimitStatus]) -> str:
    """Write violations for people: modules 40 of 25, collaborators 4 of 3."""
    return ", ".join(f"{each.key} {exact_text(each.used)} of {exact_text(each.limit or 0)}" for each in violations)
