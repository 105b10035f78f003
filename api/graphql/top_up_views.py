"""What top-ups look like from outside."""

from datetime import datetime
from enum import StrEnum

import strawberry

from api.graphql import ids
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Money, money_of
from domain.access.roles import Permission
from domain.contracts.prepaying.service import Ongoing
from domain.credits import top_up as rules
from domain.kernel import money


class WalletPayBack(StrEnum):
    """What becomes of prepaid credit that is paid back."""

    REFUND = "refund"
    CUSTOMER_CREDIT = "customer_credit"


name_enum(
    WalletPayBack,
    "WalletPayBack",
    "What becomes of prepaid credit that is paid back.",
    REFUND="It is paid back.",
    CUSTOMER_CREDIT="It pays the customer's next invoices, of any kind.",
)
name_enum(
    rules.TopUpTrigger,
    "TopUpTrigger",
    "Who ordered a top-up.",
    STAFF="The merchant.",
    CUSTOMER="The customer.",
    AUTOMATIC="It was made by itself.",
)
name_enum(
    rules.TopUpState,
    "TopUpState",
    "How far a top-up is.",
    OPEN="Its payment is waited for.",
    PAID="It can be used.",
    FAILED="Its payment failed; its invoice is void.",
    CANCELED="It was taken back; its invoice is void.",
)
name_enum(
    rules.PauseReason,
    "AutomaticTopUpPause",
    "Why a wallet is not topped up by itself any more, until its rule is saved again.",
    PAYMENT_FAILED="A payment failed.",
    NO_PAYMENT_METHOD="There was no payment method.",
)


@guarded_type(Permission.CREDIT_READ, "An order to fill a wallet, with the invoice that asks for the money.")
class TopUp:
    """A top-up."""

    id: strawberry.ID = strawberry.field(description="`top_…`")
    wallet_id: strawberry.ID = strawberry.field(description="`wal_…`")
    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`")
    amount: Money = strawberry.field(description="What is bought; it is taxed when it is used.")
    trigger: rules.TopUpTrigger = strawberry.field(description="Who ordered it.")
    state: rules.TopUpState = strawberry.field(description="How far it is.")
    created_at: datetime = strawberry.field(description="In business time.")
    ended_at: datetime | None = strawberry.field(description="When it was paid, failed or was canceled.")


@guarded_type(Permission.CREDIT_READ, "When a wallet is topped up by itself.")
class AutomaticTopUp:
    """A rule."""

    wallet_id: strawberry.ID = strawberry.field(description="`wal_…`")
    threshold: Money = strawberry.field(
        description="It is made once what is left is no more than this, unbilled usage taken off."
    )
    amount: Money | None = strawberry.field(description="By so much; null where it has a target.")
    target: Money | None = strawberry.field(description="Up to so much; null where it has an amount.")
    count_max: int = strawberry.field(description="Within 24 hours at most so often.")
    paused: rules.PauseReason | None = strawberry.field(description="Why it makes none any more; null: it does.")


@guarded_type(Permission.INVOICE_READ, "What is left in a wallet once what is not billed yet is taken off.")
class OngoingBalance:
    """An ongoing balance."""

    wallet_id: strawberry.ID = strawberry.field(description="`wal_…`")
    balance: Money = strawberry.field(description="What invoices can draw on now.")
    unbilled: Money = strawberry.field(description="What running usage and drafts would draw, tax of drafts included.")
    left: Money = strawberry.field(description="The balance less what is unbilled.")


@guarded_type(Permission.CREDIT_READ, "The top-up, as it now is.")
class TopUpSaved:
    """Success of topUpWallet and cancelTopUp."""

    shown: strawberry.Private[TopUp]

    @reading(Permission.CREDIT_READ, "The top-up.")
    async def top_up(self) -> TopUp:
        """Show it."""
        return self.shown


@guarded_type(Permission.CREDIT_READ, "The rule, as it now is.")
class AutomaticTopUpSaved:
    """Success of setAutomaticTopUp."""

    shown: strawberry.Private[AutomaticTopUp]

    @reading(Permission.CREDIT_READ, "The rule.")
    async def automatic_top_up(self) -> AutomaticTopUp:
        """Show it."""
        return self.shown


@guarded_type(Permission.PAYMENT_WRITE, "The wallet is not topped up by itself any more.")
class AutomaticTopUpRemoved:
    """Success of removeAutomaticTopUp."""

    wallet_id: strawberry.ID = strawberry.field(description="`wal_…`")


def top_up_of(value: rules.TopUp) -> TopUp:
    """Wrap a top-up."""
    return TopUp(
        id=ids.id_of("top_up", value.id),
        wallet_id=ids.id_of("wallet", value.wallet_id),
        invoice_id=ids.id_of("invoice", value.invoice_id),
        amount=money_of(value.amount),
        trigger=value.trigger,
        state=value.state,
        created_at=value.created_at,
        ended_at=value.ended_at,
    )


def rule_of(value: rules.AutomaticTopUp, currency: str) -> AutomaticTopUp:
    """Wrap a rule."""
    return AutomaticTopUp(
        wallet_id=ids.id_of("wallet", value.wallet_id),
        threshold=_money(value.threshold_minor, currency),
        amount=_money(value.amount_minor, currency) if value.amount_minor is not None else None,
        target=_money(value.target_minor, currency) if value.target_minor is not None else None,
        count_max=value.count_max,
        paused=value.paused,
    )


def ongoing_of(value: Ongoing) -> OngoingBalance:
    """Wrap an ongoing balance."""
    currency = value.wallet.currency
    return OngoingBalance(
        wallet_id=ids.id_of("wallet", value.wallet.id),
        balance=_money(value.balance_minor, currency),
        unbilled=_money(value.unbilled_minor, currency),
        left=_money(value.left_minor, currency),
    )


def _money(minor: int, currency: str) -> Money:
    return money_of(money.Money(minor, currency))
