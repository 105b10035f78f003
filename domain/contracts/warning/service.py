"""Set from which balance on a wallet's customer is warned, and warn once for each fall to it."""

from dataclasses import replace
from datetime import datetime

from domain.access.roles import Permission
from domain.credits import low_balance as rules
from domain.credits.wallet import AMOUNT_MINOR_MAX, Wallet, WalletMalformed
from domain.credits.wallets import store
from domain.credits.wallets.keeping import service as keeping
from domain.customers.customer import Customer
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, WalletId, encode
from domain.kernel.money import CurrencyMismatch, Money

NOTICE = "wallet_low"


async def warn_below(
    tx: Tx, call: Call, customer_id: CustomerId, wallet_id: WalletId, threshold: Money | None
) -> Wallet:
    """Have a wallet's customer warned once no more than a threshold is left in it, unbilled usage taken off.

    None: never. One that is that low already is warned of at once. Safe to repeat. Raises Forbidden, CustomerNotFound,
    CustomerErased, WalletNotFound, CurrencyMismatch, WalletMalformed.
    """
    call.need(Permission.ALERT_WRITE)
    await erasing.load_present(tx, call, customer_id)
    now, held = await keeping.take(tx, call, customer_id, wallet_id)
    before = held.wallet
    if threshold is not None and threshold.currency != before.currency:
        raise CurrencyMismatch(before.currency, threshold.currency)
    if threshold is not None and not 0 <= threshold.minor <= AMOUNT_MINOR_MAX:
        raise WalletMalformed("a threshold is 0 or more")
    wanted = threshold.minor if threshold is not None else None
    if wanted == before.warn_below_minor:
        return before
    after = replace(before, warn_below_minor=wanted, warned_at=None)
    await store.save_warning(tx, after)
    about, facts = encode("wallet", wallet_id), {"threshold_minor": wanted, "currency": before.currency}
    await journal.audit(tx, call, "set_low_balance_warning", about, customer_id=customer_id, facts=facts)
    await keeping.stage_check(tx, call, now, customer_id)
    return after


async def look(tx: Tx, call: Call, now: datetime, owner: Customer, wallet: Wallet, *, left_minor: int) -> None:
    """Warn where a wallet has fallen to its threshold since the last look; the caller holds it. Safe to repeat."""
    after = rules.watched(wallet, left_minor, now)
    if after == wallet:
        return
    await store.save_warning(tx, after)
    if after.warned_at is None:
        return
    # Each fall is a mail of its own, also two at one instant of a test clock.
    job = jobs.SendNotice(owner.id, NOTICE, f"{wallet.id}:{call.new_id()}")
    await journal.stage(tx, call, job, customer_id=owner.id, clock_id=owner.clock_id, run_at=now)
    await keeping.note(tx, call, now, wallet, "wallet_low_balance", text=f"Little is left in {wallet.name}")
