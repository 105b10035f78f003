"""Publish a plan version that belongs to one customer."""

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import CustomerId
from domain.plans import service as plans
from domain.plans.custom import Terms
from domain.plans.plan import Catalogue, PlanVersion


async def publish_custom_version(
    tx: Tx, call: Call, *, customer_id: CustomerId, product_key: str, plan_key: str, terms: Terms
) -> tuple[Catalogue, PlanVersion]:
    """Publish what was negotiated with a customer as a version of a plan that is the customer's alone.

    From then on the customer subscribes to this version of the plan, and a subscription that stands moves to it at its
    renewal where the terms say so; nobody else is shown it. Safe to repeat; audited. Raises Forbidden,
    CustomerNotFound, CustomerErased, ProductNotFound, PlanNotFound, DefinitionRefused.
    """
    call.need(Permission.SUBSCRIPTION_OVERRIDE)
    if call.scope is not None:
        raise Forbidden(Permission.SUBSCRIPTION_OVERRIDE)
    await erasing.load_present(tx, call, customer_id)
    found = await plans.publish_for(tx, call, customer_id, product_key=product_key, plan_key=plan_key, terms=terms)
    return await plans.load_catalogue(tx), found


async def custom_versions(tx: Tx, call: Call, customer_id: CustomerId) -> tuple[Catalogue, tuple[PlanVersion, ...]]:
    """Return the versions that are a customer's alone, the newest of each plan. Raises Forbidden, CustomerNotFound."""
    call.need(Permission.SUBSCRIPTION_READ)
    await customers.load_customer(tx, call, customer_id)
    catalogue = await plans.load_catalogue(tx)
    return catalogue, catalogue.own_versions(customer_id)
