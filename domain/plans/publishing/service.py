"""Publish a product as its operator wrote it, or only say what that would change; and read it back as a definition."""

from domain.access.roles import Permission
from domain.db import Tx
from domain.kernel.call import Call
from domain.plans import service as plans
from domain.plans import store
from domain.plans.definition import ProductDefinition
from domain.plans.publishing.changes import Publication, publication_of
from domain.plans.written import product_definition


async def publish_product(tx: Tx, call: Call, product: ProductDefinition) -> Publication:
    """Publish a product with its meters, and a new version of each plan that differs; say what changed.

    From then on it is the operator's: seeding leaves it alone. Safe to repeat: the same again changes nothing. To only
    try it, end the transaction without keeping anything. Raises Forbidden, DefinitionRefused.
    """
    call.need(Permission.CATALOGUE_WRITE)
    await store.hold_catalogue(tx)
    found = publication_of(await plans.load_catalogue(tx), product)
    changed = {change.plan for change in found.plans if change.number is not None}
    same = frozenset(plan.key for plan in product.plans if plan.key not in changed)
    await plans.publish(tx, call, product, own=True, same=same)
    return found


async def get_definition(tx: Tx, call: Call, product_key: str) -> ProductDefinition:
    """Return what stands of a product, as it may be changed and published. Raises Forbidden, ProductNotFound."""
    call.need(Permission.CATALOGUE_WRITE)
    return product_definition(await plans.load_catalogue(tx), product_key)
