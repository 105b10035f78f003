"""Draw invoices on wallets, and give back what wallets had paid of them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.credits import purse as rules
from domain.credits.purse import Draw, Move, Purse
from domain.credits.wallet import MoveKind
from domain.credits.wallets import store
from domain.credits.wallets.keeping import service as keeping
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId, WalletId, encode
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.ledger import account


async def draw(tx: Tx, call: Call, now: datetime, draws: Sequence[Draw], invoice_id: InvoiceId) -> None:
    """Take what an invoice draws, each use with its sort key, and post it; the caller holds the wallets."""
    if not draws:
        return
    by_wallet: defaultdict[WalletId, list[Draw]] = defaultdict(list)
    for each in draws:
        by_wallet[each.wallet.id].append(each)
    about = encode("invoice", invoice_id)
    for own in by_wallet.values():
        moves = [Move(each.grant.id, MoveKind.USED, -each.amount_minor, now) for each in own]
        await keeping.write(tx, call, own[0].wallet, moves, about=about, invoice_id=invoice_id, draws=own)
    owner = draws[0].wallet
    grants = {each.grant.id: each.grant for each in draws}
    total = sum(each.amount_minor for each in draws)
    prepaid = rules.of_source(grants, [(each.grant.id, each.amount_minor) for each in draws])
    lines = account.drawn(Money(prepaid, owner.currency), Money(total - prepaid, owner.currency))
    await keeping.post_about(tx, call, now, owner, lines, reason="wallet_applied", about=about)
    await keeping.stage_check(tx, call, now, owner.customer_id)


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What came back of an invoice, in minor units, by where it stands in the books."""

    prepaid_minor: int = 0
    promotion_minor: int = 0
    credit_minor: int = 0

    @property
    def total_minor(self) -> int:
        """All of it: what wallets had paid."""
        return self.prepaid_minor + self.promotion_minor + self.credit_minor


async def drawn_by(tx: Tx, customer_id: CustomerId, invoice_id: InvoiceId) -> int:
    """Return what an invoice took of wallets and still has, in minor units."""
    return sum(minor for _, _, minor in await store.list_used(tx, customer_id, invoice_id))


async def give_back(
    tx: Tx, call: Call, now: datetime, customer_id: CustomerId, invoice_id: InvoiceId, *, about: str, minor: int | None
) -> GivenBack:
    """Return what wallets had paid of an invoice, all or a part, the last use first; the caller posts it.

    What goes back to a grant can be used again until it expires. A paid grant that has ended meanwhile gives it to the
    customer's credit instead: `credit_minor`, which the caller books. What had been given and has ended lapses.
    """
    used = await store.list_used(tx, customer_id, invoice_id)
    if not used:
        return GivenBack()
    wallets = {each.id: each for each in await store.lock_wallets(tx, customer_id) if each.id in {u[0] for u in used}}
    held = {each.wallet.id: each for each in await keeping.carried(tx, call, now, list(wallets.values()))}
    grants = await store.grants_by_id(tx, customer_id, [grant_id for _, grant_id, _ in used])
    whole = sum(each for _, _, each in used)
    back = rules.given_back([each[1:] for each in used], grants, now, minor=whole if minor is None else minor)
    for grant_id, amount in back.to_grants:
        own = held[grants[grant_id].wallet_id]
        move = Move(grant_id, MoveKind.RETURNED, amount, now)
        await keeping.write(tx, call, own.wallet, [move], about=about, invoice_id=invoice_id)
        grown = replace(grants[grant_id], balance_minor=grants[grant_id].balance_minor + amount)
        await keeping.plan(tx, call, Purse(own.wallet, (grown,)))
    await keeping.stage_check(tx, call, now, customer_id)
    paid = rules.of_source(grants, back.to_grants)
    given = sum(each for _, each in back.to_grants) - paid + back.lapsed_minor
    return GivenBack(paid, given, back.credit_minor)
