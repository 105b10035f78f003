"""Tell customers where to transfer to, and mirror what the gateway says of money that they have transferred.

What arrives is booked against cash not applied to any invoice; what pays an invoice is taken off it, and the settlement
of that payment books the cash against what was receivable. Each is booked once, in whatever order the news comes.
"""

from collections.abc import Collection

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.db import Database, Tx
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId
from domain.kernel.money import Money
from domain.ledger import account as books
from domain.ledger import service as ledger
from domain.payments import store as payments
from domain.payments.port import GatewayRefused, PaymentGateway
from domain.payments.transfer import GatewayAccount, GatewayCash
from domain.payments.transferring import cash, store
from domain.payments.transferring.cash import Account, Movement

# Pages of 100: far more than a customer transfers between two looks.
PAGES_MAX = 20
AWAITED_MAX = 1_000
FUNDED = "funded"


async def instructions(
    db: Database, gateway: PaymentGateway, call: Call, *, customer_id: CustomerId, currency: str
) -> GatewayAccount | None:
    """Return the account that a customer transfers to, as the gateway now says, whole.

    None where the gateway has none in the currency, or does not know the customer: it does once an invoice was sent.
    Nothing is written. Raises Forbidden, CustomerNotFound, GatewayUnavailable.
    """
    call.need(Permission.PAYMENT_READ)
    async with db.transaction() as tx:
        customer = await customers.load_customer(tx, call, customer_id)
        known = await payments.find_gateway_customer(tx, customer_id)
    if known is None or known.gateway_customer_id is None or customer.environment is not gateway.environment:
        return None
    return await ask(gateway, customer, known.gateway_customer_id, currency)


async def remember(db: Database, gateway: PaymentGateway, customer: Customer, owner: str, currency: str) -> None:
    """Keep of a customer's account what is needed to name it in mails. Safe to repeat. Raises GatewayUnavailable."""
    found = await ask(gateway, customer, owner, currency)
    if found is not None:
        async with db.transaction() as tx:
            kept = Account(customer.id, currency, found.country, found.bank_name, found.last4)
            await store.save_account(tx, kept)


async def ask(gateway: PaymentGateway, customer: Customer, owner: str, currency: str) -> GatewayAccount | None:
    """Return the account of a customer in a currency, whole, or None. Raises GatewayUnavailable."""
    try:
        key = cash.account_key(customer.environment, customer.id, currency)
        return await gateway.transfers.fetch_account(owner, currency, key=key)
    except GatewayRefused:
        # A currency in which it takes no transfers: there is nothing to tell, and the invoice has a page all the same.
        return None


async def account_of(tx: Tx, customer_id: CustomerId, currency: str) -> Account | None:
    """Return what is kept of the account in a currency, for mails."""
    return next((each for each in await store.accounts_of(tx, customer_id) if each.currency == currency), None)


async def converge(db: Database, gateway: PaymentGateway, call: Call, gateway_customer_id: str) -> CustomerId | None:
    """Book what moved of a customer's transferred money and is not booked yet; None where it is none of ours.

    Safe to repeat and to run twice. Raises GatewayUnavailable.
    """
    async with db.transaction() as tx:
        customer_id = await payments.find_customer_id(tx, gateway_customer_id)
    if customer_id is None:
        return None
    unknown = await _unknown(db, gateway, customer_id, gateway_customer_id)
    if unknown:
        async with db.transaction() as tx:
            await payments.lock_gateway_customer(tx, customer_id)
            customer = await customers.load_customer(tx, call, customer_id)
            for each in reversed(unknown):
                await _book(tx, call, customer, each)
    return customer_id


async def _unknown(
    db: Database, gateway: PaymentGateway, customer_id: CustomerId, gateway_customer_id: str
) -> list[GatewayCash]:
    """Return the movements that are not booked, the newest first. They are booked in order, so a known one ends it."""
    found: list[GatewayCash] = []
    after = None
    for _ in range(PAGES_MAX):
        page = await gateway.transfers.list_cash(gateway_customer_id, after=after)
        async with db.transaction() as tx:
            known = await store.known_of(tx, customer_id, [each.id for each in page.items])
        found += [each for each in page.items if each.id not in known]
        after = page.last_id
        if known or after is None:
            break
    return found


async def _book(tx: Tx, call: Call, customer: Customer, seen: GatewayCash) -> None:
    now = await customers.business_now(tx, call, customer.id)
    amount = Money(seen.amount_minor, seen.currency)
    new = Movement(customer.id, seen.id, seen.kind, amount, seen.gateway_payment_id, seen.moved_at, now)
    if not amount.minor or not await store.insert_movement(tx, new):
        return
    await ledger.post(
        tx,
        call,
        now,
        customer_id=customer.id,
        environment=customer.environment,
        reason="cash_moved",
        about=seen.id,
        lines=books.transferred(amount),
    )
    if seen.kind == FUNDED:
        text = f"{amount.major} {amount.currency} arrived by bank transfer"
        await journal.tell(
            tx, call, now, customer.id, "transfer_received", description=text, amount=amount, metadata={}
        )


async def balances_of(tx: Tx, ids: Collection[CustomerId]) -> dict[CustomerId, list[Money]]:
    """Return what customers have transferred and no invoice has used, where it is not zero: for loaders."""
    return await store.balances_of(tx, ids)


async def missing_of(
    tx: Tx, invoices: Collection[tuple[CustomerId, InvoiceId]]
) -> dict[tuple[CustomerId, InvoiceId], Money]:
    """Return what is still to be transferred for open invoices that were sent: for loaders, two statements.

    Others are left out.
    """
    owners = {customer_id for customer_id, _ in invoices}
    balances = await store.balances_of(tx, owners)
    awaited = await store.awaited_of(tx, owners, limit=AWAITED_MAX)
    found: dict[tuple[CustomerId, InvoiceId], Money] = {}
    for owner in owners:
        available = {each.currency: each.minor for each in balances[owner]}
        for invoice_id, amount in cash.missing(awaited[owner], available).items():
            found[owner, invoice_id] = amount
    return {key: found[key] for key in invoices if key in found}
