"""Hold wallets, carry them over time, and write the moves of their grants with what is posted and told of them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.credits import purse as rules
from domain.credits.purse import Draw, Move, Purse
from domain.credits.wallet import GrantSource, MoveKind, Wallet, WalletGrant, WalletNotFound
from domain.credits.wallets import store
from domain.customers import service as customers
from domain.db import Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId, WalletId, encode
from domain.kernel.money import Money
from domain.ledger import account
from domain.ledger import service as ledger


async def take(tx: Tx, call: Call, customer_id: CustomerId, wallet_id: WalletId) -> tuple[datetime, Purse]:
    """Hold a wallet until the transaction ends, carried up to its customer's business time, which is returned too.

    Raises CustomerNotFound, WalletNotFound.
    """
    now = await customers.business_now(tx, call, customer_id)
    held = await store.lock_wallets(tx, customer_id, wallet_id=wallet_id)
    if not held:
        raise WalletNotFound
    return now, (await carried(tx, call, now, held))[0]


async def hold(tx: Tx, customer_id: CustomerId) -> None:
    """Hold all wallets of a customer until the transaction ends, and read nothing of them."""
    await store.lock_wallets(tx, customer_id)


async def currencies_of(tx: Tx, customer_id: CustomerId) -> list[str]:
    """Return the currencies in which a customer has wallets: one statement."""
    return sorted(set((await currency_by_wallet(tx, customer_id)).values()))


async def list_wallets(tx: Tx, customer_id: CustomerId) -> list[Wallet]:
    """Return a customer's wallets as they were booked last: one statement."""
    return await store.list_wallets(tx, customer_id)


async def currency_by_wallet(tx: Tx, customer_id: CustomerId) -> dict[WalletId, str]:
    """Return the currency of each of a customer's wallets: one statement."""
    return {each.id: each.currency for each in await store.list_wallets(tx, customer_id)}


async def stage_check(tx: Tx, call: Call, now: datetime, customer_id: CustomerId) -> None:
    """Have it looked whether a wallet is to be topped up or warned of; the caller holds the wallet that has moved."""
    customer = await customers.load_customer(tx, call, customer_id)
    job = jobs.CheckWallets(customer_id)
    await journal.stage(tx, call, job, customer_id=customer_id, clock_id=customer.clock_id, run_at=now)


async def carry(tx: Tx, call: Call, customer_id: CustomerId, wallet_id: WalletId) -> None:
    """Book what came due of a wallet, and stage what comes due next. Safe to repeat."""
    _, held = await take(tx, call, customer_id, wallet_id)
    await plan(tx, call, held)


async def hold_purses(tx: Tx, call: Call, now: datetime, customer_id: CustomerId, currency: str) -> list[Purse]:
    """Hold a customer's wallets of a currency, carried up to business time `now`; one statement without any."""
    held = await store.lock_wallets(tx, customer_id, currency=currency)
    return await carried(tx, call, now, held) if held else []


async def carried(tx: Tx, call: Call, now: datetime, held: Sequence[Wallet]) -> list[Purse]:
    """Return held wallets carried up to business time `now`; what came due is written and posted."""
    owner, since = held[0].customer_id, min(each.carried_to for each in held)
    grants: defaultdict[WalletId, list[WalletGrant]] = defaultdict(list)
    for each in await store.list_grants(tx, owner, [wallet.id for wallet in held], living_at=since):
        grants[each.wallet_id].append(each)
    found = []
    for wallet in held:
        before = Purse(wallet, tuple(grants[wallet.id]))
        after, moves = rules.carried(before, now)
        if moves:
            await book(tx, call, wallet, before.grants, moves)
        if after.wallet != wallet:
            await store.save_carried(tx, after.wallet)
        found.append(after)
        if moves:
            await stage_check(tx, call, now, owner)
    return found


async def book(tx: Tx, call: Call, owner: Wallet, grants: Sequence[WalletGrant], moves: Sequence[Move]) -> None:
    """Write moves that time or staff made, and post what of it was paid for and is lost: breakage."""
    by_id = {each.id: each for each in grants}
    for move in moves:
        about = move.at.isoformat()
        await write(tx, call, owner, [move], about=about)
        if by_id[move.grant_id].source is GrantSource.PURCHASED and move.amount_minor < 0:
            lines = account.lapsed(Money(-move.amount_minor, owner.currency))
            await post(tx, call, move.at, owner, lines, reason=f"wallet_{move.kind}", about=move.grant_id)
        if move.kind is MoveKind.EXPIRED:
            amount = Money(-move.amount_minor, owner.currency)
            text, about_grant = f"{by_id[move.grant_id].name} expired", by_id[move.grant_id]
            await note(tx, call, move.at, owner, "wallet_credit_expired", text=text, amount=amount, about=about_grant)


async def plan(tx: Tx, call: Call, held: Purse) -> None:
    """Stage the booking of what comes due next by itself."""
    due_at = rules.next_boundary(held)
    if due_at is None:
        return
    owner = held.wallet
    customer = await customers.load_customer(tx, call, owner.customer_id)
    job = jobs.CarryWallet(owner.customer_id, owner.id, due_at.isoformat())
    await journal.stage(tx, call, job, customer_id=owner.customer_id, clock_id=customer.clock_id, run_at=due_at)


async def write(
    tx: Tx,
    call: Call,
    owner: Wallet,
    moves: Sequence[Move],
    *,
    about: str,
    invoice_id: InvoiceId | None = None,
    draws: Sequence[Draw] = (),
) -> None:
    """Append moves and move the balances with them; the caller holds the wallet."""
    rows = [(call.new_id(), move, about) for move in moves]
    await store.insert_moves(tx, owner, rows, invoice_id=invoice_id, draws=draws)


async def post(
    tx: Tx, call: Call, now: datetime, owner: Wallet, lines: list[account.Posting], *, reason: str, about: UUID
) -> None:
    """Post an entry about a grant of a wallet."""
    await post_about(tx, call, now, owner, lines, reason=reason, about=encode("wallet_grant", about))


async def post_about(
    tx: Tx, call: Call, now: datetime, owner: Wallet, lines: list[account.Posting], *, reason: str, about: str
) -> None:
    """Post an entry of a wallet about what is named."""
    await ledger.post(
        tx,
        call,
        now,
        customer_id=owner.customer_id,
        environment=owner.environment,
        reason=reason,
        about=about,
        lines=lines,
    )


async def note(
    tx: Tx,
    call: Call,
    now: datetime,
    owner: Wallet,
    event_type: str,
    *,
    text: str,
    amount: Money | None = None,
    about: WalletGrant | None = None,
) -> None:
    """Tell of a change of a wallet, and append its audit entry."""
    facts = {"wallet_id": encode("wallet", owner.id)}
    if about is not None:
        facts["wallet_grant_id"] = encode("wallet_grant", about.id)
    await journal.tell(tx, call, now, owner.customer_id, event_type, description=text, amount=amount, metadata=facts)
    await journal.audit(tx, call, event_type, facts["wallet_id"], customer_id=owner.customer_id, facts=facts)
