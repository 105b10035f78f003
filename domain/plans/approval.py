"""Plans that are sold on approval: what they cost and allow is agreed with each customer."""

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass
from domain.plans.plan import PlanVersion

KEY = "needs_approval"


@dataclass(eq=False)
class ApprovalNeeded(DomainError):
    """The plan {plan} is sold on approval. Ask for it with requestPlan: once its terms are agreed, it can be chosen."""

    code = "approval_needed"
    kind = Kind.CONFLICT
    plan: str


@dataclass(eq=False)
class ApprovalNotNeeded(DomainError):
    """The plan {plan} is open to you. Subscribe or change to it."""

    code = "approval_not_needed"
    kind = Kind.CONFLICT
    plan: str


def is_on_approval(version: PlanVersion) -> bool:
    """Whether a version is sold on approval only: its feature says so, and it was not agreed with its customer."""
    features = (each.key for each in version.entitlements if each.kind == "feature")
    return version.customer_id is None and KEY in features
