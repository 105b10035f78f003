"""Keep customers from plans that are sold on approval. Who may override what is sold is who approves."""

from domain.access.roles import Permission
from domain.kernel.call import Call
from domain.kernel.ids import PlanVersionId
from domain.plans.approval import ApprovalNeeded, is_on_approval
from domain.plans.plan import Catalogue


def check_approved(
    call: Call, catalogue: Catalogue, version_id: PlanVersionId, *, before: PlanVersionId | None = None
) -> None:
    """Refuse a version that its customer has no approval of. One that has the plan already keeps it.

    Raises ApprovalNeeded.
    """
    plan = catalogue.plan_of_version(version_id)
    is_kept = before is not None and catalogue.plan_of_version(before).id == plan.id
    may_approve = call.scope is None and call.principal.may(Permission.SUBSCRIPTION_OVERRIDE)
    if is_on_approval(catalogue.version(version_id)) and not is_kept and not may_approve:
        raise ApprovalNeeded(plan.key)
