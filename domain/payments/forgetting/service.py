"""Forget what an erased customer paid with."""

from domain.customers.customer import Customer
from domain.db import Database, Tx
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, encode
from domain.payments import store as payments
from domain.payments.forgetting import store
from domain.payments.methods.service import check_environment, ensure_gateway_customer
from domain.payments.port import PaymentGateway


async def forget_methods(tx: Tx, call: Call, customer_id: CustomerId) -> None:
    """Remove every method of a customer here, for good. Safe to repeat."""
    await payments.lock_gateway_customer(tx, customer_id)
    await store.save_forgotten(tx, customer_id, at=call.at)


async def gateway_id_of(tx: Tx, customer_id: CustomerId) -> str | None:
    """Return the gateway's id of a customer, or None where it knows of none."""
    known = await payments.find_gateway_customer(tx, customer_id)
    return known.gateway_customer_id if known is not None else None


async def delete_at_gateway(db: Database, gateway: PaymentGateway, call: Call, customer: Customer) -> None:
    """Delete a customer at the gateway, with its methods there. Safe to repeat, also after a reply that was lost.

    Where it was being made there and the reply was lost, it is found by the key of that first. The key of its deletion
    is stored before it is used, and stays; one that is gone there already is as wanted. Raises GatewayUnavailable,
    GatewayRefused, GatewayEnvironmentDiffers.
    """
    async with db.transaction() as tx:
        known = await payments.find_gateway_customer(tx, customer.id)
    if known is None:
        return
    check_environment(gateway, customer)
    gateway_id = await ensure_gateway_customer(db, gateway, call, customer)
    wanted = f"{customer.environment}:forget:{encode('customer', customer.id)}"
    async with db.transaction() as tx:
        key = await store.keep_deletion_key(tx, customer.id, wanted)
    await gateway.delete_customer(gateway_id, key=key)
