"""Have staff hear of a customer who asks for a plan that is sold on approval."""

from domain.access.roles import Permission
from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, encode
from domain.plans import service as plans
from domain.plans.approval import ApprovalNotNeeded, is_on_approval


async def request_plan(tx: Tx, call: Call, customer_id: CustomerId, *, product_key: str, plan_key: str) -> None:
    """Tell staff that a customer wants a plan that is sold on approval. Safe to repeat while they have not read it.

    Raises Forbidden, CustomerNotFound, CustomerErased, ProductNotFound, PlanNotFound, PlanArchived, and
    ApprovalNotNeeded for a plan that the customer can choose: it is open to all, or was agreed.
    """
    call.need(Permission.SUBSCRIPTION_WRITE)
    customer = await erasing.load_present(tx, call, customer_id)
    catalogue = await plans.load_catalogue(tx)
    if not is_on_approval(catalogue.sold_version(product_key, plan_key, customer_id)):
        raise ApprovalNotNeeded(plan_key)
    name = encode("customer", customer_id)
    facts = {"customer_id": name, "product": product_key, "plan": plan_key}
    about, kind = f"{name}/{product_key}/{plan_key}", StaffAlertKind.PLAN_REQUESTED
    if await staffing.raise_alert(tx, call, kind, about, environment=customer.environment, facts=facts):
        await journal.audit(tx, call, "request_plan", name, customer_id=customer_id, facts=facts)
