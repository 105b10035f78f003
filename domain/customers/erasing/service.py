"""Take away who a customer is, and keep others from adding to one that is erased."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from domain.customers import service as customers
from domain.customers import store as customer_store
from domain.customers.customer import Customer, CustomerErased
from domain.customers.erasing import store
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId

# What stands where a name and an address stood. The domain is reserved (RFC 2606): no mail reaches anybody.
NOBODYS_NAME = "Erased customer"
NOBODYS_EMAIL = "erased@customer.invalid"


async def load_present(tx: Tx, call: Call, customer_id: CustomerId) -> Customer:
    """Return a customer to a use case that adds something to it, and keep its erasure waiting as `hold_present` does.

    Raises CustomerNotFound as `customers.load_customer`, CustomerErased.
    """
    found = await customers.load_customer(tx, call, customer_id)
    await hold_present(tx, customer_id)
    return found


async def hold_present(tx: Tx, customer_id: CustomerId) -> None:
    """Refuse to add anything to an erased customer, and keep its erasure waiting until the transaction ends.

    Raises CustomerErased, CustomerNotFound.
    """
    if not await hold_if_present(tx, customer_id):
        raise CustomerErased


async def hold_if_present(tx: Tx, customer_id: CustomerId) -> bool:
    """Return whether a customer is not erased, and keep its erasure waiting until the transaction ends if so.

    For news from outside, which nobody can be refused. Raises CustomerNotFound.
    """
    is_present = await store.lock_presence(tx, customer_id, is_shared=True)
    if is_present is None:
        raise customers.CustomerNotFound
    return is_present


async def hold(tx: Tx, customer_id: CustomerId) -> bool:
    """Keep everybody who would add something to a customer waiting; return whether it is not erased yet.

    Raises CustomerNotFound.
    """
    is_present = await store.lock_presence(tx, customer_id, is_shared=False)
    if is_present is None:
        raise customers.CustomerNotFound
    return is_present


async def erase(tx: Tx, call: Call, of: Customer, *, is_retained: bool) -> Customer:
    """Write over name, address and external id, and give the customer another key. The caller holds it.

    What was sealed with the key before can then be read by nobody, or, retained, by who may read what the law wants
    kept.
    """
    nobody = replace(of, name=NOBODYS_NAME, email=NOBODYS_EMAIL, external_id=None)
    await customer_store.save_erased(tx, nobody, at=call.at, is_retained=is_retained)
    return await customers.load_customer(tx, call, of.id)


async def erased_among(tx: Tx, customer_ids: Collection[CustomerId]) -> set[CustomerId]:
    """Return those of some customers that are erased: one statement."""
    return await store.erased_among(tx, customer_ids)


async def find_ended(tx: Tx, customer_id: CustomerId) -> datetime | None:
    """Return when a customer was erased of whom nothing is kept any more; None for everybody else."""
    return await store.find_ended(tx, customer_id)


async def end_retention(tx: Tx, customer_id: CustomerId) -> None:
    """Delete the key before the erasure. Safe to repeat."""
    await store.delete_retained(tx, customer_id)
