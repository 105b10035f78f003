"""Begin to give a method, verify a bank account, choose the default, remove a method, and follow mandates."""

from collections.abc import Sequence

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Database, Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, MethodId, encode
from domain.limits.account import is_paid
from domain.payments import method_rules as rules
from domain.payments import store
from domain.payments.method import PaymentMethod
from domain.payments.methods.service import (
    METHODS_MAX,
    block_method,
    check_environment,
    ensure_gateway_customer,
    record_from_gateway,
    remove_method,
    tell,
)
from domain.payments.ordering.service import stage
from domain.payments.port import PaymentGateway
from domain.payments.setup import GatewaySetup, SetupState, SetupWay
from domain.plans import service as plans
from domain.subscriptions import service as subscriptions


async def start_setup(
    db: Database, gateway: PaymentGateway, call: Call, *, customer_id: CustomerId, way: SetupWay, wish: str
) -> GatewaySetup:
    """Begin to give a method: the answer's secret opens the gateway's form in the customer's browser.

    `wish` tells one wish from the next: the same one gives the same set-up for a day. Raises CustomerNotFound,
    CustomerErased, Forbidden, GatewayRefused, GatewayUnavailable, GatewayEnvironmentDiffers.
    """
    call.need(Permission.PAYMENT_WRITE)
    async with db.transaction() as tx:
        customer = await erasing.load_present(tx, call, customer_id)
    check_environment(gateway, customer)
    owner = await ensure_gateway_customer(db, gateway, call, customer)
    told = journal.input_digest({"wish": wish}).hex()
    key = f"{customer.environment}:setup:{encode('customer', customer_id)}:{way}:{told}"
    return await gateway.desk.start_setup(owner, way, key=key)


async def read_setup(
    db: Database, gateway: PaymentGateway, call: Call, *, customer_id: CustomerId, setup_id: str
) -> GatewaySetup:
    """Return how a customer's set-up stands, and keep the method where it has one.

    Raises PaymentSetupNotFound for another customer's too, CustomerNotFound, CustomerErased, Forbidden,
    GatewayUnavailable.
    """
    call.need(Permission.PAYMENT_WRITE)
    seen = await _own_setup(db, gateway, call, customer_id, setup_id)
    await _keep(db, gateway, call, seen)
    return seen


async def verify_deposits(
    db: Database,
    gateway: PaymentGateway,
    call: Call,
    *,
    customer_id: CustomerId,
    setup_id: str,
    amounts: Sequence[int] | None,
    code: str | None,
) -> GatewaySetup:
    """Verify a bank account by the small deposits that came: two amounts in cents, or the code on the statement.

    One that is verified comes back as it is. Raises DepositsMalformed, PaymentSetupNotFound, GatewayRefused for a wrong
    answer, CustomerNotFound, CustomerErased, Forbidden, GatewayUnavailable.
    """
    call.need(Permission.PAYMENT_WRITE)
    told_amounts, told_code = rules.check_deposits(amounts, code)
    seen = await _own_setup(db, gateway, call, customer_id, setup_id)
    if seen.state is not SetupState.SUCCEEDED:
        # A wrong answer is kept under its key: each answer has a key of its own.
        answer = journal.input_digest({"amounts": list(told_amounts or ()), "code": told_code}).hex()
        key = f"{gateway.environment}:deposits:{seen.id}:{answer}"
        seen = await gateway.desk.verify_deposits(seen.id, amounts=told_amounts, code=told_code, key=key)
    await _keep(db, gateway, call, seen)
    return seen


async def set_default(tx: Tx, call: Call, *, customer_id: CustomerId, method_id: MethodId) -> PaymentMethod:
    """Charge coming invoices to one of the customer's attached methods. Safe to repeat.

    Raises PaymentMethodNotFound for another customer's too, PaymentMethodBlocked, CustomerNotFound, CustomerErased,
    Forbidden.
    """
    call.need(Permission.PAYMENT_WRITE)
    methods = await _held(tx, call, customer_id)
    wanted = rules.find(methods, method_id)
    changes = rules.chosen(methods, wanted)
    for before, after in changes:
        await store.save_method(tx, before, after)
    if changes:
        about = encode("method", method_id)
        await journal.audit(tx, call, "set_default_method", about, customer_id=customer_id)
        await tell(tx, call, wanted, "payment_method_chosen", "Default payment method changed")
    found = await store.methods_by_id(tx, [method_id], scope=customer_id)
    return found[method_id]


async def detach(tx: Tx, call: Call, *, customer_id: CustomerId, method_id: MethodId) -> PaymentMethod:
    """Remove a method for good: it is charged no more from now on, and a job removes it at the gateway.

    Where it was the default the newest one left takes over. Safe to repeat. Raises LastPaymentMethod while a
    subscription is paid by it, PaymentMethodNotFound for another customer's too, CustomerNotFound, CustomerErased,
    Forbidden.
    """
    call.need(Permission.PAYMENT_WRITE)
    methods = await _held(tx, call, customer_id)
    known = (await store.methods_by_id(tx, [method_id], scope=customer_id)).get(method_id)
    if known is not None and known.detached_at is not None:
        return known
    gone = rules.find(methods, method_id)
    rules.check_removal(methods, gone, pays=await _pays(tx, customer_id))
    after = await remove_method(tx, call, methods, gone)
    await stage(tx, call, jobs.DetachMethod(customer_id, method_id), customer_id)
    return after


async def carry_out_detach(
    db: Database, gateway: PaymentGateway, call: Call, *, customer_id: CustomerId, method_id: MethodId
) -> None:
    """Remove at the gateway what was removed here. Safe to repeat. Raises GatewayUnavailable, GatewayRefused."""
    async with db.transaction() as tx:
        customer = await customers.load_customer(tx, call, customer_id)
        method = (await store.methods_by_id(tx, [method_id], scope=customer_id))[method_id]
    check_environment(gateway, customer)
    key = f"{customer.environment}:detach:{encode('method', method_id)}"
    await gateway.desk.detach_method(method.gateway_method_id, key=key)


async def note_mandate(db: Database, gateway: PaymentGateway, call: Call, gateway_mandate_id: str) -> CustomerId | None:
    """Follow a mandate: without one a bank account is charged no more. None where it is not of ours. Safe to repeat."""
    mandate = await gateway.desk.fetch_mandate(gateway_mandate_id)
    if mandate is None:
        return None
    async with db.transaction() as tx:
        customer_id = await store.find_method_owner(tx, mandate.gateway_method_id)
        if customer_id is None:
            return None
        await store.lock_gateway_customer(tx, customer_id)
        before = await store.find_method(tx, customer_id, mandate.gateway_method_id)
        if before is not None and before.detached_at is None:
            is_by_bank = before.blocked not in {None, rules.MANDATE_ENDED}
            if not is_by_bank:  # What a bank has blocked no mandate lets be debited.
                await block_method(tx, call, before, None if mandate.is_active else rules.MANDATE_ENDED)
        return customer_id


async def settle_setup(db: Database, gateway: PaymentGateway, call: Call, gateway_setup_id: str) -> CustomerId | None:
    """Keep the method that a set-up came to; None where it has none, or not one of ours. Safe to repeat."""
    seen = await gateway.desk.fetch_setup(gateway_setup_id)
    return await _keep(db, gateway, call, seen) if seen is not None else None


async def _keep(db: Database, gateway: PaymentGateway, call: Call, seen: GatewaySetup) -> CustomerId | None:
    if seen.state is not SetupState.SUCCEEDED or seen.gateway_method_id is None:
        return None
    return await record_from_gateway(db, gateway, call, seen.gateway_method_id)


async def _own_setup(
    db: Database, gateway: PaymentGateway, call: Call, customer_id: CustomerId, setup_id: str
) -> GatewaySetup:
    """Return a set-up of this customer; another one's is not found, and an erased one has none."""
    rules.check_setup_id(setup_id)
    async with db.transaction() as tx:
        customer = await erasing.load_present(tx, call, customer_id)
        owner = await store.find_gateway_customer(tx, customer_id)
    if owner is None or owner.gateway_customer_id is None:
        raise rules.PaymentSetupNotFound
    check_environment(gateway, customer)
    seen = await gateway.desk.fetch_setup(setup_id)
    if seen is None or seen.gateway_customer_id != owner.gateway_customer_id:
        raise rules.PaymentSetupNotFound
    return seen


async def _held(tx: Tx, call: Call, customer_id: CustomerId) -> Sequence[PaymentMethod]:
    """Return a customer's attached methods, held against other changes of them. Those of an erased one are gone."""
    await erasing.load_present(tx, call, customer_id)
    await store.lock_gateway_customer(tx, customer_id)
    return await store.list_methods(tx, customer_id, limit=METHODS_MAX)


async def _pays(tx: Tx, customer_id: CustomerId) -> bool:
    """Whether a live subscription costs anything."""
    catalogue = await plans.load_catalogue(tx)
    return any(
        each.is_live and is_paid(catalogue, each) for each in await subscriptions.list_subscriptions(tx, customer_id)
    )
