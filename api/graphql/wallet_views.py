"""What wallets look like from outside."""

from datetime import datetime

import strawberry

from api.graphql import ids
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Money, money_of
from domain.access.roles import Permission
from domain.credits import wallet as rules
from domain.credits.unit_grant import Refill
from domain.credits.wallets.reading.service import Standing
from domain.credits.wallets.store import StoredMove
from domain.kernel import money

name_enum(
    rules.GrantSource,
    "WalletGrantSource",
    "Where a grant of a wallet comes from.",
    PURCHASED="It was paid for, by a top-up invoice.",
    PROMOTIONAL="It was given away.",
)
name_enum(
    rules.PayableKind,
    "WalletPayableKind",
    "Kinds of invoice lines that a wallet can be restricted to.",
    FEE="Fees of plans, and what changes of plans take back or add.",
    USAGE="Usage, and the caps that lower it.",
)
name_enum(
    rules.MoveKind,
    "WalletMoveKind",
    "Why the balance of a grant moved.",
    GRANTED="It began.",
    REFILLED="It was filled up.",
    USED="An invoice drew on it.",
    RETURNED="A void invoice or a credit note gave back.",
    ROLLED_OVER="A month ended: what is more than may outlive it was cut, or what is less than it begins with added.",
    EXPIRED="Its time was over.",
    VOIDED="Staff took what was left.",
    REFUNDED="What was left of it was paid back.",
    WITHHELD="Its payment is disputed, or was returned.",
    RELEASED="The dispute of its payment was won.",
)


@guarded_type(Permission.CREDIT_READ, "An amount that was put into a wallet, and what is left of it.")
class WalletGrant:
    """A grant."""

    id: strawberry.ID = strawberry.field(description="`wgr_…`")
    source: rules.GrantSource = strawberry.field(description="Whether it was paid for.")
    name: str = strawberry.field(description="For people.")
    amount: Money = strawberry.field(description="What was put in.")
    balance: Money = strawberry.field(description="What is left now.")
    priority: int = strawberry.field(description="A smaller one burns first; then the earliest expiry, never last.")
    effective_at: datetime = strawberry.field(description="In business time: invoices from then on can draw on it.")
    expires_at: datetime | None = strawberry.field(description="The first instant at which nothing is left of it.")
    voided_at: datetime | None = strawberry.field(description="When what was left was taken or paid back.")
    rollover_max: Money | None = strawberry.field(
        description="At most so much outlives a month of the wallet; null: all."
    )
    rollover_min: Money = strawberry.field(description="A month of the wallet begins with at least so much.")
    refill: Refill | None = strawberry.field(description="How often it is filled up to its amount.")
    invoice_id: strawberry.ID | None = strawberry.field(description="`inv_…` that paid for it; null: it was given.")


@guarded_type(Permission.CREDIT_READ, "One change of the balance of a grant.")
class WalletMove:
    """A move."""

    grant_id: strawberry.ID = strawberry.field(description="`wgr_…`")
    kind: rules.MoveKind = strawberry.field(description="Why it moved.")
    amount: Money = strawberry.field(description="Above zero adds to the balance.")
    at: datetime = strawberry.field(description="In business time.")
    invoice_id: strawberry.ID | None = strawberry.field(description="`inv_…` that drew on it or gave back.")


@guarded_type(Permission.CREDIT_READ, "Prepaid money of one customer in one currency; it pays invoices after tax.")
class Wallet:
    """A wallet."""

    id: strawberry.ID = strawberry.field(description="`wal_…`")
    name: str = strawberry.field(description="For people.")
    currency: str = strawberry.field(description="ISO 4217; it pays invoices of this currency only.")
    priority: int = strawberry.field(description="Invoices draw on a smaller one first; then on the oldest.")
    product_ids: list[strawberry.ID] = strawberry.field(description="`prod_…` whose lines it pays; empty: any.")
    kinds: list[rules.PayableKind] = strawberry.field(description="Kinds of lines that it pays; empty: any.")
    created_at: datetime = strawberry.field(description="In business time; the wallet's months are counted from it.")
    valid_days: int | None = strawberry.field(
        description="For so many days from its payment a top-up can be used; null: for ever."
    )
    balance: Money = strawberry.field(description="What invoices can draw on now.")
    warn_below: Money | None = strawberry.field(
        description="The customer is mailed once no more is left, unbilled usage taken off; null: never."
    )
    grants: list[WalletGrant] = strawberry.field(description="The newest first, at most 100, ended ones too.")


@guarded_type(Permission.CREDIT_READ, "The wallet, as it now is.")
class WalletSaved:
    """Success of what changes a wallet."""

    shown: strawberry.Private[Wallet]

    @reading(Permission.CREDIT_READ, "The wallet.")
    async def wallet(self) -> Wallet:
        """Show it."""
        return self.shown


def wallet_of(value: Standing) -> Wallet:
    """Wrap a wallet."""
    own = value.wallet
    return Wallet(
        id=ids.id_of("wallet", own.id),
        name=own.name,
        currency=own.currency,
        priority=own.priority,
        product_ids=[ids.id_of("product", each) for each in sorted(own.product_ids)],
        kinds=sorted(own.kinds),
        created_at=own.created_at,
        valid_days=own.valid_days,
        balance=_money(value.purse.balance_minor, own.currency),
        warn_below=_money(own.warn_below_minor, own.currency) if own.warn_below_minor is not None else None,
        grants=[_grant_of(each, own.currency) for each in value.shown],
    )


def move_of(value: StoredMove, currency: str) -> WalletMove:
    """Wrap a move."""
    return WalletMove(
        grant_id=ids.id_of("wallet_grant", value.grant_id),
        kind=value.kind,
        amount=_money(value.amount_minor, currency),
        at=value.at,
        invoice_id=ids.id_of("invoice", value.invoice_id) if value.invoice_id else None,
    )


def _grant_of(value: rules.WalletGrant, currency: str) -> WalletGrant:
    return WalletGrant(
        id=ids.id_of("wallet_grant", value.id),
        source=value.source,
        name=value.name,
        amount=_money(value.amount_minor, currency),
        balance=_money(value.balance_minor, currency),
        priority=value.priority,
        effective_at=value.effective_at,
        expires_at=value.expires_at,
        voided_at=value.voided_at,
        rollover_max=_money(value.rollover_max_minor, currency) if value.rollover_max_minor is not None else None,
        rollover_min=_money(value.rollover_min_minor, currency),
        refill=value.refill,
        invoice_id=ids.id_of("invoice", value.invoice_id) if value.invoice_id else None,
    )


def _money(minor: int, currency: str) -> Money:
    return money_of(money.Money(minor, currency))
