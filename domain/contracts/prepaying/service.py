"""Wallets beside what is not billed yet: the ongoing balance, and top-ups that are made by themselves.

What is unbilled is what stands on drafts, and the usage that the next invoice of each subscription would bring, made
inside of a savepoint and undone. So the ongoing balance cannot differ from what invoices will draw.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from domain.access.roles import Permission
from domain.contracts.desk.service import Desk, open_desk
from domain.contracts.previewing.service import NothingUpcoming, preview_invoice
from domain.contracts.stepping.service import PeriodsStillClosing
from domain.contracts.warning import service as warning
from domain.credits import purse as rules
from domain.credits.purse import Purse
from domain.credits.top_up import (
    AUTOMATIC_DEFAULT,
    AUTOMATIC_MAX,
    OPEN_TOP_UPS_MAX,
    WINDOW,
    AutomaticTopUp,
    PauseReason,
    TopUp,
    TopUpTrigger,
    amount_due,
    check_automatic,
)
from domain.credits.wallet import Wallet
from domain.credits.wallets.keeping import service as keeping
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.invoices import service as invoices
from domain.invoices import store as invoice_store
from domain.invoices.balances.service import payables_of
from domain.invoices.funding import store
from domain.invoices.invoice import Line, LineKind, minimum
from domain.invoices.topping import service as topping
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, SubscriptionId, WalletId, encode
from domain.kernel.money import CurrencyMismatch, Money
from domain.kernel.values import dataclass
from domain.subscriptions import service as subscriptions

_RUNNING = frozenset((LineKind.USAGE, LineKind.CAP))


@dataclass(frozen=True, slots=True)
class Ongoing:
    """A wallet's balance, and what of it unbilled usage and drafts would draw, in minor units."""

    wallet: Wallet
    balance_minor: int
    unbilled_minor: int

    @property
    def left_minor(self) -> int:
        """What is left with what is unbilled taken off."""
        return self.balance_minor - self.unbilled_minor


async def list_ongoing(tx: Tx, call: Call, customer_id: CustomerId) -> list[Ongoing]:
    """Return the ongoing balances of a customer's wallets; nothing is written. Raises Forbidden, CustomerNotFound."""
    call.need(Permission.CREDIT_READ)
    async with tx.undone() as tried:
        desk = await open_desk(tried, call, customer_id)
        return [own for found in (await _ongoing(tried, call, desk)).values() for own in found]


async def _ongoing(tx: Tx, call: Call, desk: Desk) -> dict[str, list[Ongoing]]:
    """Return ongoing balances by currency, in the order of drawing; the wallets are held and carried."""
    currencies = await keeping.currencies_of(tx, desk.customer.id)
    unbilled = await _unbilled(tx, call, desk, currencies) if currencies else {}
    found: dict[str, list[Ongoing]] = {}
    for currency in currencies:
        purses = await keeping.hold_purses(tx, call, desk.now, desk.customer.id, currency)
        found[currency] = await _drawn(tx, purses, unbilled.get(currency, ()))
    return found


async def _drawn(tx: Tx, purses: Sequence[Purse], lines: Sequence[Line]) -> list[Ongoing]:
    taken: defaultdict[WalletId, int] = defaultdict(int)
    for each in rules.draws(purses, await payables_of(tx, lines)) if lines else ():
        taken[each.wallet.id] += each.amount_minor
    in_order = sorted(purses, key=lambda each: each.wallet.draw_key)
    return [Ongoing(each.wallet, each.balance_minor, taken[each.wallet.id]) for each in in_order]


async def _unbilled(tx: Tx, call: Call, desk: Desk, currencies: Sequence[str]) -> Mapping[str, Sequence[Line]]:
    """Return the lines of drafts, and those of running usage beside them, by currency."""
    found: dict[str, list[Line]] = {each: await _drafted(tx, desk, each) for each in currencies}
    held = await subscriptions.subscriptions_by_id(tx, desk.held, scope=desk.customer.id)
    for subscription_id in sorted(each.id for each in held.values() if each.currency in found):
        own = found[held[subscription_id].currency]
        known = {line.identity for line in own}
        try:
            preview = await preview_invoice(tx, call, subscription_id=subscription_id)
        except (NothingUpcoming, PeriodsStillClosing):
            continue
        own += [line for line in preview.lines if _is_running(line, subscription_id) and line.identity not in known]
    return found


def _is_running(line: Line, subscription_id: SubscriptionId) -> bool:
    """Whether a line is usage of a subscription, or a one-off charge, which comes with whatever is invoiced next."""
    own = line.identity
    return own.kind is LineKind.ONE_OFF or (own.subscription_id == subscription_id and own.kind in _RUNNING)


async def _drafted(tx: Tx, desk: Desk, currency: str) -> list[Line]:
    own = desk.customer
    draft = await invoice_store.lock_draft(tx, customer_id=own.id, environment=own.environment, currency=currency)
    if draft is None:
        return []
    return (await invoices.lines_by_invoice_ids(tx, [draft.id], scope=own.id))[draft.id]


async def save_rule(
    tx: Tx,
    call: Call,
    customer_id: CustomerId,
    wallet_id: WalletId,
    *,
    threshold: Money,
    amount: Money | None = None,
    target: Money | None = None,
    count_max: int = AUTOMATIC_DEFAULT,
) -> AutomaticTopUp:
    """Have a wallet topped up by itself from now on; a paused rule goes on. What is due is ordered at once.

    Safe to repeat. Raises Forbidden, CustomerNotFound, CustomerErased, WalletNotFound, CurrencyMismatch,
    AutomaticTopUpMalformed.
    """
    call.need(Permission.PAYMENT_WRITE)
    await erasing.load_present(tx, call, customer_id)
    now, held = await keeping.take(tx, call, customer_id, wallet_id)
    for each in (threshold, amount, target):
        if each is not None and each.currency != held.wallet.currency:
            raise CurrencyMismatch(held.wallet.currency, each.currency)
    rule = AutomaticTopUp(
        customer_id=customer_id,
        wallet_id=wallet_id,
        threshold_minor=threshold.minor,
        amount_minor=amount.minor if amount else None,
        target_minor=target.minor if target else None,
        count_max=count_max,
    )
    check_automatic(rule, minimum(held.wallet.currency))
    if (await store.list_automatic(tx, customer_id)).get(wallet_id) != rule:
        await store.save_automatic(tx, rule)
        await _note(tx, call, wallet_id, customer_id, "set_automatic_top_up")
    await keeping.stage_check(tx, call, now, customer_id)
    return rule


async def remove_rule(tx: Tx, call: Call, customer_id: CustomerId, wallet_id: WalletId) -> None:
    """Top a wallet up by itself no more; one that is under way goes on. Safe to repeat.

    Raises Forbidden, CustomerNotFound, WalletNotFound.
    """
    call.need(Permission.PAYMENT_WRITE)
    await keeping.take(tx, call, customer_id, wallet_id)
    if wallet_id in await store.list_automatic(tx, customer_id):
        await store.delete_automatic(tx, customer_id, wallet_id)
        await _note(tx, call, wallet_id, customer_id, "remove_automatic_top_up")


async def _note(tx: Tx, call: Call, wallet_id: WalletId, customer_id: CustomerId, action: str) -> None:
    await journal.audit(tx, call, action, encode("wallet", wallet_id), customer_id=customer_id)


async def list_rules(tx: Tx, call: Call, customer_id: CustomerId) -> list[tuple[AutomaticTopUp, str]]:
    """Return the rules of a customer's wallets, each with its currency. Raises Forbidden, CustomerNotFound."""
    call.need(Permission.CREDIT_READ)
    await customers.load_customer(tx, call, customer_id)
    currencies = await keeping.currency_by_wallet(tx, customer_id)
    return [(rule, currencies[wallet_id]) for wallet_id, rule in (await store.list_automatic(tx, customer_id)).items()]


async def list_top_ups(tx: Tx, call: Call, customer_id: CustomerId) -> list[TopUp]:
    """Return a customer's newest top-ups, at most topping.SHOWN_MAX. Raises Forbidden, CustomerNotFound."""
    call.need(Permission.CREDIT_READ)
    await customers.load_customer(tx, call, customer_id)
    return await store.list_top_ups(tx, customer_id, limit=topping.SHOWN_MAX)


async def check(tx: Tx, call: Call, customer_id: CustomerId) -> list[TopUp]:
    """Order the top-ups that are due by themselves, and warn of what runs low; one statement without any wallet.

    Safe to repeat and to run twice at once: the wallet is held while it is decided, one automatic top-up of a wallet is
    under way at a time, and WINDOW holds a bounded number. Without a payment method the rule is paused instead.
    """
    held = await keeping.list_wallets(tx, customer_id)
    if not held:
        return []
    wanted = {key: rule for key, rule in (await store.list_automatic(tx, customer_id)).items() if rule.paused is None}
    if not wanted and not any(each.warn_below_minor is not None for each in held):
        return []
    desk = await open_desk(tx, call, customer_id)
    found = [own for listed in (await _ongoing(tx, call, desk)).values() for own in listed]
    made = []
    for own in found:
        await warning.look(tx, call, desk.now, desk.customer, own.wallet, left_minor=own.left_minor)
        if own.wallet.id in wanted:
            ordered = await _decide(tx, call, desk, wanted[own.wallet.id], own)
            made += [ordered] if ordered else []
    return made


async def _decide(tx: Tx, call: Call, desk: Desk, rule: AutomaticTopUp, own: Ongoing) -> TopUp | None:
    earlier = await store.list_waiting_or_recent(
        tx, rule.customer_id, rule.wallet_id, since=desk.now - WINDOW, limit=AUTOMATIC_MAX + OPEN_TOP_UPS_MAX + 1
    )
    minor = amount_due(rule, own.left_minor, earlier, desk.now)
    if minor is None:
        return None
    if not desk.customer.has_method:
        await topping.pause(tx, call, desk.now, rule.customer_id, rule.wallet_id, reason=PauseReason.NO_PAYMENT_METHOD)
        return None
    amount = Money(minor, own.wallet.currency)
    return await topping.begin(tx, call, desk.now, own.wallet, amount, trigger=TopUpTrigger.AUTOMATIC)
