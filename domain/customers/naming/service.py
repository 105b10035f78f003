"""Change who a customer is: its name, where its notices go, and the merchant's own id of it."""

from dataclasses import replace

from domain.access.roles import Permission
from domain.customers.customer import Customer, check_customer
from domain.customers.erasing import service as erasing
from domain.customers.naming import store
from domain.customers.service import ExternalIdTaken, data_key, load_customer
from domain.db import Tx
from domain.journal import service as journal
from domain.kernel.call import Call, Forbidden
from domain.kernel.ids import CustomerId, encode

_NAMES = ("name", "email", "external_id")


async def change_customer(
    tx: Tx,
    call: Call,
    customer_id: CustomerId,
    *,
    name: str | None = None,
    email: str | None = None,
    external_id: str | None = None,
) -> Customer:
    """Change what is given of a customer; what is None stays. Issued documents keep what they say. Safe to repeat.

    Notices go to the new address from now on, also where the one before was stopped. The external id is the merchant's,
    and for staff alone. Raises Forbidden, CustomerNotFound, CustomerErased, NameMalformed, EmailMalformed,
    ExternalIdMalformed, ExternalIdTaken.
    """
    call.need(Permission.PROFILE_WRITE)
    if external_id is not None and call.scope is not None:
        raise Forbidden(Permission.CUSTOMER_WRITE)
    await load_customer(tx, call, customer_id)
    await erasing.hold_present(tx, customer_id)
    before = await load_customer(tx, call, customer_id)
    after = replace(
        before,
        name=before.name if name is None else name.strip(),
        email=before.email if email is None else email.strip(),
        external_id=before.external_id if external_id is None else external_id,
    )
    check_customer(after)
    if after == before:
        return before
    if not await store.save_names(tx, await data_key(tx, customer_id), after):
        raise ExternalIdTaken(before.environment)
    # What changed, and nothing personal.
    facts = {"changed": [each for each in _NAMES if getattr(after, each) != getattr(before, each)]}
    await journal.audit(tx, call, "change_customer", encode("customer", before.id), customer_id=before.id, facts=facts)
    return await load_customer(tx, call, customer_id)
