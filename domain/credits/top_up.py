"""What a top-up of a wallet is, and when one may be made by itself: pure rules."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, InvoiceId, TopUpId, WalletId
from domain.kernel.money import Money
from domain.kernel.values import dataclass

TOP_UP_MINOR_MAX = 10**9
# Top-ups of one wallet that wait for their payment at a time.
OPEN_TOP_UPS_MAX = 5
# Within WINDOW, by themselves: a run-away product must not run away with its customer's money.
AUTOMATIC_MAX = 100
AUTOMATIC_DEFAULT = 3
WINDOW = timedelta(hours=24)
# For so long an automatic top-up waits for its customer to confirm it, or for a payment to be begun at all.
CONFIRM_WITHIN = timedelta(hours=23)
# A bank debit takes some days. After so long its customer is told, and nothing more is ordered by itself.
DEBIT_WITHIN = timedelta(days=14)


class TopUpTrigger(StrEnum):
    """Who ordered it."""

    STAFF = "staff"
    CUSTOMER = "customer"
    AUTOMATIC = "automatic"


class TopUpState(StrEnum):
    """How far it is: what was ordered can be used once it is paid."""

    OPEN = "open"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"


class PauseReason(StrEnum):
    """Why a wallet is not topped up by itself any more, until somebody says so again."""

    PAYMENT_FAILED = "payment_failed"
    NO_PAYMENT_METHOD = "no_payment_method"


@dataclass(eq=False)
class TopUpMalformed(DomainError):
    """The top-up was not ordered: an amount is at least {least} and at most {most} {currency}."""

    code = "top_up_malformed"
    kind = Kind.INVALID
    least: str
    most: str
    currency: str


@dataclass(eq=False)
class TopUpNotFound(DomainError):
    """There is no such top-up. See the top-ups of the wallet."""

    code = "top_up_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class TopUpEnded(DomainError):
    """A top-up that is {state} cannot be canceled. What is left of a paid one can be paid back."""

    code = "top_up_ended"
    kind = Kind.CONFLICT
    state: str


@dataclass(eq=False)
class TooManyTopUps(DomainError):
    """{open_max} top-ups of this wallet wait for their payment. Pay or cancel one of them first."""

    code = "too_many_top_ups"
    kind = Kind.TOO_LARGE
    open_max: int


@dataclass(eq=False)
class TopUpInvoiceRefused(DomainError):
    """That cannot be done to the invoice of a top-up. An unpaid one is canceled; what is left of it is paid back."""

    code = "top_up_invoice_refused"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class NothingToPayBack(DomainError):
    """Nothing that was paid for is left of this grant."""

    code = "nothing_to_pay_back"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class AutomaticTopUpMalformed(DomainError):
    """The automatic top-up was not saved: {what}."""

    code = "automatic_top_up_malformed"
    kind = Kind.INVALID
    what: str


@dataclass(frozen=True, slots=True)
class TopUp:
    """An order to fill a wallet, with the invoice that asks for the money. Instants are business time."""

    customer_id: CustomerId
    id: TopUpId
    wallet_id: WalletId
    invoice_id: InvoiceId
    amount: Money
    trigger: TopUpTrigger
    state: TopUpState
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class AutomaticTopUp:
    """When a wallet is topped up by itself: once what is left falls to `threshold`, unbilled usage taken off.

    Either by a fixed `amount`, or up to a `target`; minor units of the wallet's currency. At most `count_max` times
    within WINDOW and one at a time. A failed payment pauses it: `paused`.
    """

    customer_id: CustomerId
    wallet_id: WalletId
    threshold_minor: int
    amount_minor: int | None
    target_minor: int | None
    count_max: int
    paused: PauseReason | None = None


def check_amount(amount: Money, least: Money) -> None:
    """Refuse what the gateway would not collect, or nobody means. Raises TopUpMalformed."""
    if not least.minor <= amount.minor <= TOP_UP_MINOR_MAX:
        raise TopUpMalformed(least.major, Money(TOP_UP_MINOR_MAX, least.currency).major, least.currency)


def check_automatic(rule: AutomaticTopUp, least: Money) -> None:
    """Refuse a rule that could not work. Raises AutomaticTopUpMalformed."""
    fixed, target = rule.amount_minor, rule.target_minor
    faults = (
        ((fixed is None) == (target is None), "it needs either an amount or a target"),
        (not 0 <= rule.threshold_minor <= TOP_UP_MINOR_MAX, "a threshold is 0 or more"),
        (fixed is not None and not least.minor <= fixed <= TOP_UP_MINOR_MAX, f"an amount is at least {least.major}"),
        (
            target is not None and not rule.threshold_minor + least.minor <= target <= TOP_UP_MINOR_MAX,
            f"a target is at least {least.major} above the threshold",
        ),
        (not 1 <= rule.count_max <= AUTOMATIC_MAX, f"within a day it is made 1 to {AUTOMATIC_MAX} times"),
    )
    for is_wrong, what in faults:
        if is_wrong:
            raise AutomaticTopUpMalformed(what)


def amount_due(rule: AutomaticTopUp, ongoing_minor: int, earlier: Sequence[TopUp], now: datetime) -> int | None:
    """Return by how much a wallet is to be topped up by itself now, in minor units; None where it is not.

    `ongoing_minor` is what is left with unbilled usage taken off; `earlier` are the wallet's automatic top-ups that are
    open or not older than WINDOW. A canceled or failed one counts too: the guard is about tries.
    """
    own = [each for each in earlier if each.trigger is TopUpTrigger.AUTOMATIC]
    recent = [each for each in own if each.created_at > now - WINDOW]
    is_held = rule.paused is not None or any(each.state is TopUpState.OPEN for each in own)
    if is_held or len(recent) >= rule.count_max or ongoing_minor > rule.threshold_minor:
        return None
    if rule.amount_minor is not None:
        return rule.amount_minor
    assert rule.target_minor is not None, "a rule has an amount or a target"
    return min(rule.target_minor - ongoing_minor, TOP_UP_MINOR_MAX)
