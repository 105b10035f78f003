"""Make wallets, grant to them, and take back what was granted.

Whoever draws or grants holds the wallet's row, and carries it up to its customer's business time first: what has
expired by then is booked as expired, however late a worker is. Each move of a balance is a row; each that moves money
has its ledger entry in the same transaction.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from domain.access.roles import Permission
from domain.credits import wallet as checks
from domain.credits.purse import Move, Purse
from domain.credits.unit_grant import Refill
from domain.credits.wallet import (
    WALLET_GRANTS_MAX,
    WALLET_PRIORITY_DEFAULT,
    WALLETS_MAX,
    GrantSource,
    MoveKind,
    PayableKind,
    TooManyWalletGrants,
    TooManyWallets,
    Wallet,
    WalletGrant,
    WalletGrantNotFound,
)
from domain.credits.wallets import store
from domain.credits.wallets.keeping import service as keeping
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId, ProductId, WalletGrantId, WalletId
from domain.kernel.money import Money, exponent
from domain.kernel.values import dataclass
from domain.ledger import account

LOOKUP_MAX = 1_000
GRANTS_SHOWN_MAX = 100
# A page of 100, and the row that tells whether another follows.
MOVES_PAGE_MAX = 101


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """What is said of a new grant; see `WalletGrant`. Without `effective_at` it can be used at once."""

    name: str
    amount: Money
    priority: int
    effective_at: datetime | None = None
    expires_at: datetime | None = None
    rollover_max_minor: int | None = None
    rollover_min_minor: int = 0
    refill: Refill | None = None


async def create_wallet(
    tx: Tx,
    call: Call,
    customer_id: CustomerId,
    *,
    name: str,
    currency: str,
    priority: int = WALLET_PRIORITY_DEFAULT,
    product_ids: Collection[ProductId] = (),
    kinds: Collection[PayableKind] = (),
    valid_days: int | None = None,
) -> Wallet:
    """Open an empty wallet of a customer.

    Raises Forbidden, CustomerNotFound, CustomerErased, CurrencyUnknown, WalletMalformed, TooManyWallets.
    """
    call.need(Permission.CREDIT_WRITE)
    exponent(currency)
    customer = await erasing.load_present(tx, call, customer_id)
    now = await customers.business_now(tx, call, customer_id)
    new = Wallet(
        customer_id=customer_id,
        id=WalletId(call.new_id()),
        environment=customer.environment,
        currency=currency,
        name=name,
        priority=priority,
        product_ids=frozenset(product_ids),
        kinds=frozenset(kinds),
        zone=customer.zone,
        created_at=now,
        carried_to=now,
        valid_days=valid_days,
    )
    checks.check_wallet(new)
    if await store.count_wallets(tx, customer_id, currency) >= WALLETS_MAX:
        raise TooManyWallets(WALLETS_MAX)
    await store.insert_wallet(tx, new)
    await keeping.note(tx, call, now, new, "wallet_created", text=f"Wallet {name} opened")
    return new


async def grant(tx: Tx, call: Call, customer_id: CustomerId, wallet_id: WalletId, terms: GrantTerms) -> WalletGrant:
    """Give credit away into a wallet.

    Raises Forbidden, CustomerNotFound, CustomerErased, WalletNotFound, WalletGrantMalformed, TooManyWalletGrants.
    """
    call.need(Permission.CREDIT_WRITE)
    await erasing.load_present(tx, call, customer_id)
    now, held = await keeping.take(tx, call, customer_id, wallet_id)
    new = await _insert_grant(tx, call, now, held, terms, invoice_id=None)
    await keeping.note(
        tx,
        call,
        now,
        held.wallet,
        "wallet_credit_granted",
        text=f"{terms.name} granted",
        amount=terms.amount,
        about=new,
    )
    await keeping.stage_check(tx, call, now, customer_id)
    return new


async def fund(
    tx: Tx, call: Call, customer_id: CustomerId, wallet_id: WalletId, terms: GrantTerms, *, invoice_id: InvoiceId
) -> WalletGrant:
    """Put what a top-up invoice has paid for into its wallet, with its entry; once, as the database sees to."""
    now, held = await keeping.take(tx, call, customer_id, wallet_id)
    new = await _insert_grant(tx, call, now, held, terms, invoice_id=invoice_id)
    await keeping.post(tx, call, now, held.wallet, account.funded(terms.amount), reason="wallet_funded", about=new.id)
    await keeping.note(
        tx, call, now, held.wallet, "wallet_topped_up", text=f"{terms.name} paid", amount=terms.amount, about=new
    )
    return new


async def _insert_grant(
    tx: Tx, call: Call, now: datetime, held: Purse, terms: GrantTerms, *, invoice_id: InvoiceId | None
) -> WalletGrant:
    owner = held.wallet
    Money(0, owner.currency) + terms.amount  # of another currency it is refused
    new = WalletGrant(
        customer_id=owner.customer_id,
        id=WalletGrantId(call.new_id()),
        wallet_id=owner.id,
        source=GrantSource.PROMOTIONAL if invoice_id is None else GrantSource.PURCHASED,
        name=terms.name,
        amount_minor=terms.amount.minor,
        balance_minor=0,
        priority=terms.priority,
        effective_at=terms.effective_at or now,
        expires_at=terms.expires_at,
        voided_at=None,
        rollover_max_minor=terms.rollover_max_minor,
        rollover_min_minor=terms.rollover_min_minor,
        refill=terms.refill,
        invoice_id=invoice_id,
        created_at=now,
    )
    checks.check_grant(new, now)
    if invoice_id is None and sum(not each.has_ended(now) for each in held.grants) >= WALLET_GRANTS_MAX:
        raise TooManyWalletGrants(WALLET_GRANTS_MAX)
    await store.insert_grant(tx, new)
    if new.effective_at <= now:
        await keeping.write(
            tx, call, owner, [Move(new.id, MoveKind.GRANTED, new.amount_minor, now)], about=now.isoformat()
        )
        new = replace(new, balance_minor=new.amount_minor)
    await keeping.plan(tx, call, replace(held, grants=(*held.grants, new)))
    return new


async def void_grant(
    tx: Tx, call: Call, customer_id: CustomerId, wallet_id: WalletId, grant_id: WalletGrantId
) -> WalletGrant:
    """Take what is left of a grant now; of one that was paid for it is breakage. Safe to repeat.

    Raises Forbidden, CustomerNotFound, WalletNotFound, WalletGrantNotFound.
    """
    call.need(Permission.CREDIT_WRITE)
    now, held = await keeping.take(tx, call, customer_id, wallet_id)
    found = await _own_grant(tx, held, grant_id)
    if found.voided_at is not None:
        return found
    if found.balance_minor:
        move = Move(found.id, MoveKind.VOIDED, -found.balance_minor, now)
        await keeping.book(tx, call, held.wallet, held.grants, [move])
        await keeping.stage_check(tx, call, now, customer_id)
    voided = replace(found, voided_at=now, balance_minor=0)
    await store.save_voiding(tx, voided)
    await keeping.note(tx, call, now, held.wallet, "wallet_credit_voided", text=f"{found.name} voided", about=found)
    return voided


async def take_unused(
    tx: Tx, call: Call, customer_id: CustomerId, wallet_id: WalletId, grant_id: WalletGrantId
) -> WalletGrant:
    """Take what is left of a grant that was paid for, so that it can be paid back; return the grant as it was.

    The caller posts where the money goes. Raises CustomerNotFound, WalletNotFound, WalletGrantNotFound.
    """
    now, held = await keeping.take(tx, call, customer_id, wallet_id)
    found = await _own_grant(tx, held, grant_id)
    if found.balance_minor and found.source is GrantSource.PURCHASED:
        move = Move(found.id, MoveKind.REFUNDED, -found.balance_minor, now)
        await keeping.write(tx, call, held.wallet, [move], about=now.isoformat())
        await store.save_voiding(tx, replace(found, voided_at=now))
        await keeping.stage_check(tx, call, now, customer_id)
        await keeping.note(
            tx, call, now, held.wallet, "wallet_credit_refunded", text=f"{found.name} paid back", about=found
        )
    return found


async def _own_grant(tx: Tx, held: Purse, grant_id: WalletGrantId) -> WalletGrant:
    found = (await store.grants_by_id(tx, held.wallet.customer_id, [grant_id])).get(grant_id)
    if found is None or found.wallet_id != held.wallet.id:
        raise WalletGrantNotFound
    return found
