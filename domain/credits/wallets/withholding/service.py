"""Take what is left of a top-up's grant while its payment is disputed, and give it back where that is won."""

from dataclasses import replace

from domain.credits.purse import Move, Purse
from domain.credits.wallet import MoveKind, WalletGrant
from domain.credits.wallets import store
from domain.credits.wallets.keeping import service as keeping
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId, WalletGrantId
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.ledger import account


@dataclass(frozen=True, slots=True)
class Withheld:
    """What was taken out of a grant, in minor units: what of a disputed amount was not used yet."""

    grant: WalletGrant
    minor: int


async def withhold(
    tx: Tx, call: Call, customer_id: CustomerId, invoice_id: InvoiceId, *, minor: int, about: str
) -> Withheld | None:
    """Take up to an amount out of the grant that a top-up invoice paid for; None where it paid for none.

    What is taken is not the customer's while its payment is uncertain: it stands as pending in the books. Once for
    what is named (`about`).
    """
    known = await store.find_grant_of_invoice(tx, customer_id, invoice_id)
    if known is None:
        return None
    now, held = await keeping.take(tx, call, customer_id, known.wallet_id)
    grant = (await store.grants_by_id(tx, customer_id, [known.id]))[known.id]
    taken = min(grant.balance_minor, minor)
    if taken:
        owner, amount = held.wallet, Money(taken, held.wallet.currency)
        await keeping.write(tx, call, owner, [Move(grant.id, MoveKind.WITHHELD, -taken, now)], about=about)
        await keeping.post_about(
            tx, call, now, owner, account.unfunded(amount), reason="wallet_credit_withheld", about=about
        )
        text = f"{grant.name} withheld"
        await keeping.note(tx, call, now, owner, "wallet_credit_withheld", text=text, amount=amount, about=grant)
        await keeping.stage_check(tx, call, now, customer_id)
    return Withheld(grant, taken)


async def release(
    tx: Tx, call: Call, customer_id: CustomerId, grant_id: WalletGrantId, *, minor: int, about: str
) -> int:
    """Give back what was withheld of a grant; return what the caller has to keep as customer credit instead.

    That is all of it where the grant has ended meanwhile. Once for what is named.
    """
    known = (await store.grants_by_id(tx, customer_id, [grant_id]))[grant_id]
    now, held = await keeping.take(tx, call, customer_id, known.wallet_id)
    # Whoever voids it holds the wallet: only now it is known whether it has ended.
    grant = (await store.grants_by_id(tx, customer_id, [grant_id]))[grant_id]
    if grant.has_ended(now):
        return minor
    owner, amount = held.wallet, Money(minor, held.wallet.currency)
    await keeping.write(tx, call, owner, [Move(grant.id, MoveKind.RELEASED, minor, now)], about=about)
    await keeping.post_about(tx, call, now, owner, account.funded(amount), reason="wallet_credit_released", about=about)
    text = f"{grant.name} released"
    await keeping.note(tx, call, now, owner, "wallet_credit_released", text=text, amount=amount, about=grant)
    await keeping.plan(tx, call, Purse(owner, (replace(grant, balance_minor=grant.balance_minor + minor),)))
    return 0
