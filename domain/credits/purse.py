"""Carry wallets over the boundaries of their grants, and draw invoices on them: pure rules.

Boundaries are the same replay as that of unit grants (`burn.py`), begun from stored balances. An invoice draws on
wallets by their own order, and inside of a wallet on grants by priority, earliest expiry (never last), creation and id.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from uuid import UUID

from domain.credits import burn
from domain.credits.unit_grant import CADENCES
from domain.credits.wallet import GrantSource, MoveKind, PayableKind, Wallet, WalletGrant
from domain.kernel.ids import ProductId, WalletGrantId
from domain.kernel.money import split
from domain.kernel.values import dataclass
from domain.subscriptions.schedule import Cadence, boundary, period_number

_MONTH = Cadence(months=1)
_INSTANT = timedelta(microseconds=1)
# Months of one wallet that are caught up at once: fifty years.
RESETS_MAX = 600
_KINDS = {
    burn.Moved.GRANTED: MoveKind.GRANTED,
    burn.Moved.REFILLED: MoveKind.REFILLED,
    burn.Moved.ROLLED_OVER: MoveKind.ROLLED_OVER,
    burn.Moved.EXPIRED: MoveKind.EXPIRED,
    burn.Moved.VOIDED: MoveKind.VOIDED,
}


@dataclass(frozen=True, slots=True)
class Move:
    """One change of a grant's balance at an instant, in minor units: above zero adds."""

    grant_id: WalletGrantId
    kind: MoveKind
    amount_minor: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Purse:
    """A wallet with its grants that have not ended, or had not when they were last carried."""

    wallet: Wallet
    grants: tuple[WalletGrant, ...]

    @property
    def balance_minor(self) -> int:
        """What is left in it."""
        return sum(grant.balance_minor for grant in self.grants)


@dataclass(frozen=True, slots=True)
class Payable:
    """What one line asks for, tax included; below zero where it lowers the invoice. None: not of a product or kind."""

    amount_minor: int
    kind: PayableKind | None = None
    product_id: ProductId | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """What an invoice takes of one grant, in minor units above zero; draws are in the order of burning."""

    wallet: Wallet
    grant: WalletGrant
    amount_minor: int


def carried(purse: Purse, now: datetime) -> tuple[Purse, tuple[Move, ...]]:
    """Carry a wallet over what came due since `carried_to`, `now` included: a missed hour is caught up exactly.

    At an instant come expiry, the month's rollover, refills, and grants that become effective.
    """
    wallet, since = purse.wallet, purse.wallet.carried_to
    if now <= since:
        return purse, ()
    book = burn.replay(
        [_burning(grant, wallet, since) for grant in purse.grants],
        (),
        start=since,
        until=now,
        resets=_resets(purse, now),
        opening={str(grant.id): Fraction(grant.balance_minor) for grant in purse.grants},
    )
    moves = tuple(_move(each) for each in book.moves if not (each.kind is burn.Moved.GRANTED and each.at <= since))
    grants = tuple(replace(each, balance_minor=_whole(book.balances[str(each.id)])) for each in purse.grants)
    return Purse(replace(wallet, carried_to=now), grants), moves


def next_boundary(purse: Purse) -> datetime | None:
    """Return the first instant after `carried_to` at which the balance may move by itself; None for never."""
    since, wallet = purse.wallet.carried_to, purse.wallet
    found: list[datetime] = []
    for grant in purse.grants:
        if grant.voided_at is None:
            instants = (grant.effective_at, grant.expires_at if _is_worth(grant) else None)
            found += [at for at in instants if at is not None and at > since]
            if grant.refill is not None:
                found.append(_following(grant, wallet)(max(since, grant.effective_at)))
    if any(_is_cut(grant) for grant in purse.grants):
        found.append(_month_after(wallet, since))
    return min(found, default=None)


def draws(purses: Sequence[Purse], payables: Sequence[Payable], *, paid_minor: int = 0) -> tuple[Draw, ...]:
    """Return what wallets pay of an invoice, in the order of burning.

    `paid_minor` was paid before them, by customer credit. What lowers the invoice, and what was paid before, is spread
    over the lines in proportion; so is what a wallet pays over the lines that it may pay.
    """
    open_minor = _less(
        [max(each.amount_minor, 0) for each in payables],
        paid_minor - sum(min(each.amount_minor, 0) for each in payables),
    )
    found: list[Draw] = []
    for purse in sorted(purses, key=lambda each: each.wallet.draw_key):
        mine = [index for index, each in enumerate(payables) if pays(purse.wallet, each)]
        wanted = sum(open_minor[index] for index in mine)
        taken = _from_grants(purse, wanted)
        rest = _less([open_minor[index] for index in mine], sum(each.amount_minor for each in taken))
        for index, left in zip(mine, rest, strict=True):
            open_minor[index] = left
        found += taken
    return tuple(found)


def pays(wallet: Wallet, payable: Payable) -> bool:
    """Whether a wallet may pay a line."""
    return (not wallet.product_ids or payable.product_id in wallet.product_ids) and (
        not wallet.kinds or payable.kind in wallet.kinds
    )


def after(purse: Purse, taken: Sequence[Draw]) -> Purse:
    """Return a wallet less what was drawn on it."""
    by_grant = {each.grant.id: each.amount_minor for each in taken}
    grants = (replace(each, balance_minor=each.balance_minor - by_grant.get(each.id, 0)) for each in purse.grants)
    return replace(purse, grants=tuple(grants))


@dataclass(frozen=True, slots=True)
class Returned:
    """What comes back of an invoice: to grants, and to the customer's credit where a paid grant has ended meanwhile.

    `lapsed_minor` comes back to nothing: what had been given, and would have expired.
    """

    to_grants: tuple[tuple[WalletGrantId, int], ...]
    credit_minor: int
    lapsed_minor: int


def given_back(
    used: Sequence[tuple[WalletGrantId, int]], grants: Mapping[WalletGrantId, WalletGrant], now: datetime, *, minor: int
) -> Returned:
    """Say where an amount that wallets had paid goes back: what burned last comes back first.

    `used` is what an invoice took of each grant and still has, in the order of burning.
    """
    to_grants, credit, lapsed, left = list[tuple[WalletGrantId, int]](), 0, 0, minor
    for grant_id, amount in reversed(used):
        part, grant = min(left, amount), grants[grant_id]
        left -= part
        if not part:
            continue
        if not grant.has_ended(now):
            to_grants.append((grant_id, part))
        elif grant.source is GrantSource.PURCHASED:
            credit += part
        else:
            lapsed += part
    return Returned(tuple(to_grants), credit, lapsed)


def of_source(grants: Mapping[WalletGrantId, WalletGrant], parts: Sequence[tuple[WalletGrantId, int]]) -> int:
    """Return how much of some parts was paid for."""
    return sum(minor for grant_id, minor in parts if grants[grant_id].source is GrantSource.PURCHASED)


def _from_grants(purse: Purse, wanted: int) -> list[Draw]:
    found: list[Draw] = []
    for grant in sorted(purse.grants, key=lambda each: _burning(each, purse.wallet, purse.wallet.carried_to).burn_key):
        part = min(wanted, grant.balance_minor)
        if part > 0:
            found.append(Draw(purse.wallet, grant, part))
            wanted -= part
    return found


def _less(parts: Sequence[int], minor: int) -> list[int]:
    """Take an amount off parts in proportion to them; never more than there is."""
    whole = sum(parts)
    taken = split(min(max(minor, 0), whole), [Fraction(part) for part in parts])
    return [part - each for part, each in zip(parts, taken, strict=True)]


def _burning(grant: WalletGrant, wallet: Wallet, since: datetime) -> burn.Grant:
    """Return a grant as it is replayed from an instant on; one that was effective then has its stored balance."""
    has_begun = grant.effective_at <= since
    return burn.Grant(
        id=str(grant.id),
        amount=Fraction(grant.amount_minor),
        priority=grant.priority,
        effective_at=since - _INSTANT if has_begun else grant.effective_at,
        created_at=grant.created_at,
        expires_at=grant.expires_at,
        voided_at=grant.voided_at,
        rollover_max=Fraction(grant.rollover_max_minor) if grant.rollover_max_minor is not None else None,
        rollover_min=Fraction(grant.rollover_min_minor),
        following=_following(grant, wallet) if grant.refill else None,
    )


def _following(grant: WalletGrant, wallet: Wallet) -> Callable[[datetime], datetime]:
    assert grant.refill is not None, "only a grant with refills has a next one"
    anchor, zone, every = grant.effective_at, wallet.zone, CADENCES[grant.refill]
    return lambda at: boundary(anchor, zone, every, period_number(anchor, zone, every, at) + 1)


def _is_cut(grant: WalletGrant) -> bool:
    """Whether a month's end can move its balance."""
    return grant.voided_at is None and (grant.rollover_max_minor is not None or grant.rollover_min_minor > 0)


def _is_worth(grant: WalletGrant) -> bool:
    """Whether something can be left of it when it expires."""
    return grant.balance_minor > 0 or grant.refill is not None or grant.rollover_min_minor > 0


def _resets(purse: Purse, now: datetime) -> list[datetime]:
    """Return the ends of the wallet's months since it was carried, where a grant has a bound to its rollover."""
    found: list[datetime] = []
    if any(_is_cut(grant) for grant in purse.grants):
        at = _month_after(purse.wallet, purse.wallet.carried_to)
        while at <= now and len(found) < RESETS_MAX:
            found.append(at)
            at = _month_after(purse.wallet, at)
    return found


def _month_after(wallet: Wallet, at: datetime) -> datetime:
    anchor, zone = wallet.created_at, wallet.zone
    return boundary(anchor, zone, _MONTH, period_number(anchor, zone, _MONTH, at) + 1)


def _move(move: burn.Move) -> Move:
    return Move(WalletGrantId(UUID(move.grant_id)), _KINDS[move.kind], _whole(move.amount), move.at)


def _whole(amount: Fraction) -> int:
    assert amount.denominator == 1, "amounts of wallets are whole minor units"
    return amount.numerator
