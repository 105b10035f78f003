"""Attach payment methods and follow what becomes of them at the gateway."""

import dataclasses
import re
from collections.abc import Collection, Sequence

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.customers.erasing import service as erasing
from domain.db import Database, Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, MethodId, encode
from domain.payments import store
from domain.payments.method import PaymentMethod, attached
from domain.payments.method_rules import MANDATE_ENDED, successor
from domain.payments.ordering import store as orders
from domain.payments.ordering.service import stage
from domain.payments.port import GatewayEnvironmentDiffers, GatewayIdMalformed, GatewayMethod, PaymentGateway
from domain.payments.store import GatewayCustomer

METHODS_MAX = 50
OPEN_INVOICES_MAX = 100
# The gateway's kinds of methods whose payments succeed or fail while one waits.
AT_ONCE = frozenset({"card", "link"})
BLOCKED_NOTICE = "payment_method_blocked"
_METHOD_ID = re.compile(r"pm_[A-Za-z0-9_]{1,250}")


async def attach_method(
    db: Database, gateway: PaymentGateway, call: Call, *, customer_id: CustomerId, gateway_method_id: str
) -> PaymentMethod:
    """Attach a method that the customer's browser made with the gateway; the first one becomes the default.

    Safe to repeat. What is open and unpaid is then collected, unless what it asks for has ended. Raises
    CustomerNotFound, CustomerErased, Forbidden, GatewayIdMalformed, GatewayRefused, GatewayUnavailable,
    GatewayEnvironmentDiffers.
    """
    call.need(Permission.PAYMENT_WRITE)
    if not _METHOD_ID.fullmatch(gateway_method_id):
        raise GatewayIdMalformed
    async with db.transaction() as tx:
        customer = await erasing.load_present(tx, call, customer_id)
        known = await store.find_method(tx, customer_id, gateway_method_id)
    check_environment(gateway, customer)
    if known is not None and known.detached_at is None:
        return known
    gateway_customer_id = await ensure_gateway_customer(db, gateway, call, customer)
    key = f"{customer.environment}:attach:{encode('customer', customer_id)}:{gateway_method_id}"
    seen = await gateway.attach_method(gateway_customer_id, gateway_method_id, key=key)
    async with db.transaction() as tx:
        # Erased meanwhile, it is deleted at the gateway, with what was just attached there.
        await erasing.hold_present(tx, customer_id)
        method = await record_method(tx, call, customer_id=customer_id, seen=seen)
    assert method is not None, "what was just attached is kept"
    return method


async def answers_at_once(tx: Tx, customer_id: CustomerId) -> bool:
    """Whether a customer's default method answers at once, as a card does; a bank debit or a transfer takes days."""
    found = await store.list_methods(tx, customer_id, limit=METHODS_MAX)
    return any(each.is_default and each.kind in AT_ONCE for each in found)


async def record_method(tx: Tx, call: Call, *, customer_id: CustomerId, seen: GatewayMethod) -> PaymentMethod | None:
    """Bring our row of a method to what the gateway has; None for a detached one that we never had. Safe to repeat.

    A new method stages the collection of every open invoice; one that asks for what has ended is not charged by it
    (`ending.is_over`).
    """
    await store.lock_gateway_customer(tx, customer_id)
    before = await store.find_method(tx, customer_id, seen.id)
    if before is not None:
        return await _follow(tx, call, before, seen)
    if seen.gateway_customer_id is None:
        return None
    others = await store.list_methods(tx, customer_id, limit=METHODS_MAX)
    is_default = not any(method.is_default for method in others)
    new = attached(customer_id, MethodId(call.new_id()), seen, is_default=is_default, at=call.at)
    await store.insert_method(tx, new)
    await customers.note_method(tx, customer_id, has_method=True)
    facts = {"kind": new.kind, "is_default": is_default}
    await journal.audit(tx, call, "attach_method", encode("method", new.id), customer_id=customer_id, facts=facts)
    await tell(tx, call, new, "payment_method_attached", "Payment method added")
    await _collect_open_invoices(tx, call, customer_id)
    return new


async def record_from_gateway(
    db: Database, gateway: PaymentGateway, call: Call, gateway_method_id: str
) -> CustomerId | None:
    """Fetch a method from the gateway and follow it; None where its owner is no customer of ours. Safe to repeat.

    Nothing is kept of an erased customer's.
    """
    seen = await gateway.fetch_method(gateway_method_id)
    if seen is None:
        return None
    async with db.transaction() as tx:
        if seen.gateway_customer_id is not None:
            customer_id = await store.find_customer_id(tx, seen.gateway_customer_id)
        else:
            customer_id = await store.find_method_owner(tx, gateway_method_id)
        if customer_id is not None and await erasing.hold_if_present(tx, customer_id):
            await record_method(tx, call, customer_id=customer_id, seen=seen)
        return customer_id


async def list_methods(tx: Tx, call: Call, customer_id: CustomerId) -> Sequence[PaymentMethod]:
    """Return a customer's attached methods, the default one first, at most METHODS_MAX.

    Raises Forbidden, CustomerNotFound.
    """
    call.need(Permission.PAYMENT_READ)
    await customers.load_customer(tx, call, customer_id)
    return await store.list_methods(tx, customer_id, limit=METHODS_MAX)


async def methods_of_customers(
    tx: Tx, ids: Collection[CustomerId], *, scope: CustomerId | None
) -> dict[CustomerId, list[PaymentMethod]]:
    """Return the attached methods of each of several customers in one statement, for loaders."""
    return await store.methods_of_customers(tx, ids, scope=scope, limit=METHODS_MAX)


def check_environment(gateway: PaymentGateway, customer: Customer) -> None:
    """Refuse to collect from a live customer with a test key, and the reverse. Raises GatewayEnvironmentDiffers."""
    if customer.environment is not gateway.environment:
        raise GatewayEnvironmentDiffers(customer.environment)


async def ensure_gateway_customer(db: Database, gateway: PaymentGateway, call: Call, customer: Customer) -> str:
    """Return the gateway's id of a customer, making one where there is none. The key is stored before it is used."""
    new = GatewayCustomer(customer.id, f"{customer.environment}:cus:{encode('customer', customer.id)}", None)
    async with db.transaction() as tx:
        await store.insert_gateway_customer(tx, new, at=call.at)
        known = await store.find_gateway_customer(tx, customer.id)
    assert known is not None, "it was just inserted"
    if known.gateway_customer_id is not None:
        return known.gateway_customer_id
    made = await gateway.ensure_customer(customer.id, customer.environment, key=known.key)
    async with db.transaction() as tx:
        await store.save_gateway_customer_id(tx, customer.id, made)
        known = await store.find_gateway_customer(tx, customer.id)
    assert known is not None, "it is never deleted"
    return known.gateway_customer_id or made


async def _follow(tx: Tx, call: Call, before: PaymentMethod, seen: GatewayMethod) -> PaymentMethod:
    """Follow a method that is known: renewed by its bank, or detached for good."""
    if before.detached_at is not None:
        return before
    if seen.gateway_customer_id is None:
        return await remove_method(
            tx, call, await store.list_methods(tx, before.customer_id, limit=METHODS_MAX), before
        )
    after = dataclasses.replace(
        before,
        last4=seen.last4,
        exp_month=seen.exp_month,
        exp_year=seen.exp_year,
        fingerprint=seen.fingerprint or before.fingerprint,
    )
    if after != before:
        await store.save_method(tx, before, after)
        about = encode("method", before.id)
        await journal.audit(tx, call, "update_method", about, customer_id=before.customer_id)
        await tell(tx, call, before, "payment_method_updated", "Payment method renewed")
        after = dataclasses.replace(after, version=before.version + 1)
    reason = seen.blocked or (before.blocked if before.blocked == MANDATE_ENDED else None)
    return await block_method(tx, call, after, reason)


async def remove_method(tx: Tx, call: Call, methods: Sequence[PaymentMethod], gone: PaymentMethod) -> PaymentMethod:
    """Write that one of a customer's attached methods is removed; another one may take over as the default.

    The caller holds the methods.
    """
    after = dataclasses.replace(gone, is_default=False, detached_at=call.at)
    await store.save_method(tx, gone, after)
    heir = successor(methods, gone)
    if heir is not None:
        await store.save_method(tx, heir, dataclasses.replace(heir, is_default=True))
    await customers.note_method(tx, gone.customer_id, has_method=any(each.id != gone.id for each in methods))
    facts = {"default": encode("method", heir.id)} if heir else {}
    await journal.audit(tx, call, "detach_method", encode("method", gone.id), customer_id=gone.customer_id, facts=facts)
    await tell(tx, call, gone, "payment_method_detached", "Payment method removed")
    return dataclasses.replace(after, version=gone.version + 1)


async def block_method(tx: Tx, call: Call, before: PaymentMethod, reason: str | None) -> PaymentMethod:
    """Write why a method cannot be charged any more, or None that it can, and mail its owner of that, once.

    Safe to repeat. The caller holds the method.
    """
    if before.blocked == reason:
        return before
    after = dataclasses.replace(before, blocked=reason)
    await store.save_method(tx, before, after)
    action = "block_method" if reason else "unblock_method"
    about = encode("method", before.id)
    await journal.audit(tx, call, action, about, customer_id=before.customer_id, facts={"reason": reason or ""})
    if reason is not None:
        await tell(tx, call, before, "payment_method_blocked", "Payment method cannot be charged any more")
        await stage(tx, call, jobs.SendNotice(before.customer_id, BLOCKED_NOTICE, str(before.id)), before.customer_id)
    return dataclasses.replace(after, version=before.version + 1)


async def tell(tx: Tx, call: Call, method: PaymentMethod, event_type: str, description: str) -> None:
    """Append a billing event about a method."""
    now = await customers.business_now(tx, call, method.customer_id)
    facts = {"method_id": encode("method", method.id), "kind": method.kind}
    await journal.tell(tx, call, now, method.customer_id, event_type, description=description, metadata=facts)


async def _collect_open_invoices(tx: Tx, call: Call, customer_id: CustomerId) -> None:
    """Stage the collection of what is open.

    It holds the invoices' locks: a collection that ends at this moment has either seen the new method, or its job is
    done already and this one is staged.
    """
    customer = await customers.load_customer(tx, call, customer_id)
    now = await customers.business_now(tx, call, customer_id)
    for invoice_id in await orders.lock_open_invoice_ids(tx, customer_id, limit=OPEN_INVOICES_MAX):
        job = jobs.CollectInvoice(customer_id, invoice_id)
        await journal.stage(tx, call, job, customer_id=customer_id, clock_id=customer.clock_id, run_at=now)
