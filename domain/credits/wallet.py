"""What a prepaid wallet and its grants are, and what may be asked of them: values and checks."""

import re
from datetime import datetime
from enum import StrEnum

from domain.credits.unit_grant import NAME_LENGTH_MAX, PRIORITY_MAX, Refill
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, InvoiceId, ProductId, WalletGrantId, WalletId
from domain.kernel.values import dataclass

WALLETS_MAX = 20
# Grants of one wallet that have not ended; ended ones stay on record and do not count.
WALLET_GRANTS_MAX = 200
RESTRICTIONS_MAX = 100
AMOUNT_MINOR_MAX = 10**15
VALID_DAYS_MAX = 3_650
WALLET_PRIORITY_DEFAULT = 50
# What was given burns before what was paid for, where nothing else is said.
PROMOTIONAL_PRIORITY_DEFAULT = 40
PURCHASED_PRIORITY_DEFAULT = 50
_PRINTABLE = re.compile(r"\S.*")


class GrantSource(StrEnum):
    """Whether the customer paid for a grant. Only what was paid for is owed to the customer until it is used."""

    PURCHASED = "purchased"
    PROMOTIONAL = "promotional"


class PayableKind(StrEnum):
    """What kinds of lines a wallet can be restricted to; a cap goes with the usage that it lowers."""

    FEE = "fee"
    USAGE = "usage"


class MoveKind(StrEnum):
    """Why the balance of a grant moved."""

    GRANTED = "granted"
    REFILLED = "refilled"
    USED = "used"
    RETURNED = "returned"
    ROLLED_OVER = "rolled_over"
    EXPIRED = "expired"
    VOIDED = "voided"
    REFUNDED = "refunded"
    WITHHELD = "withheld"
    RELEASED = "released"


@dataclass(eq=False)
class WalletMalformed(DomainError):
    """The wallet was not saved: {what}."""

    code = "wallet_malformed"
    kind = Kind.INVALID
    what: str


@dataclass(eq=False)
class WalletGrantMalformed(DomainError):
    """The credit was not granted: {what}."""

    code = "wallet_grant_malformed"
    kind = Kind.INVALID
    what: str


@dataclass(eq=False)
class WalletNotFound(DomainError):
    """There is no such wallet. See the wallets of the customer."""

    code = "wallet_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class WalletGrantNotFound(DomainError):
    """The wallet has no such grant. See the grants of the wallet."""

    code = "wallet_grant_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class TooManyWallets(DomainError):
    """A customer has at most {wallets_max} wallets in one currency. Use one of them."""

    code = "too_many_wallets"
    kind = Kind.TOO_LARGE
    wallets_max: int


@dataclass(eq=False)
class TooManyWalletGrants(DomainError):
    """A wallet has at most {grants_max} grants that have not ended. Wait until some are used or expire."""

    code = "too_many_wallet_grants"
    kind = Kind.TOO_LARGE
    grants_max: int


@dataclass(frozen=True, slots=True)
class Wallet:
    """Prepaid money of one customer in one currency. Invoices draw on wallets by `priority`, then `created_at`.

    A top-up can be used for `valid_days` from its payment on; None: for ever. With products or kinds it pays only lines
    of these, tax included; without, it pays any. What is left of a grant
    with a rollover bound is cut at each month's end, counted from `created_at` in `zone`. Boundaries of grants are
    booked up to `carried_to`. Its customer is warned once no more than `warn_below_minor` is left (None: never), which
    it has been since `warned_at`. All instants are business time.
    """

    customer_id: CustomerId
    id: WalletId
    environment: Environment
    currency: str
    name: str
    priority: int
    product_ids: frozenset[ProductId]
    kinds: frozenset[PayableKind]
    zone: str
    created_at: datetime
    carried_to: datetime
    valid_days: int | None = None
    warn_below_minor: int | None = None
    warned_at: datetime | None = None

    @property
    def draw_key(self) -> tuple[int, datetime, WalletId]:
        """The place in the order in which an invoice draws on wallets."""
        return self.priority, self.created_at, self.id


@dataclass(frozen=True, slots=True)
class WalletGrant:
    """An amount in a wallet. A smaller `priority` burns first, then the earliest expiry, never last.

    `invoice_id` is the top-up invoice by which it was paid. A refill sets the balance to the amount; both it and the
    bounds of the rollover are for what was given, never for what was paid for.
    """

    customer_id: CustomerId
    id: WalletGrantId
    wallet_id: WalletId
    source: GrantSource
    name: str
    amount_minor: int
    balance_minor: int
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    voided_at: datetime | None
    rollover_max_minor: int | None
    rollover_min_minor: int
    refill: Refill | None
    invoice_id: InvoiceId | None
    created_at: datetime

    def has_ended(self, now: datetime) -> bool:
        """Whether nothing can be left of it any more: it expired or was voided."""
        return self.voided_at is not None or (self.expires_at is not None and self.expires_at <= now)


def check_wallet(new: Wallet) -> None:
    """Refuse a wallet that could not work. Raises WalletMalformed."""
    faults = (
        (not _is_name(new.name), f"a name has 1 to {NAME_LENGTH_MAX} printable characters"),
        (not 0 <= new.priority <= PRIORITY_MAX, f"a priority is 0 to {PRIORITY_MAX}"),
        (
            new.valid_days is not None and not 1 <= new.valid_days <= VALID_DAYS_MAX,
            f"top-ups can be used for 1 to {VALID_DAYS_MAX} days",
        ),
        (len(new.product_ids) > RESTRICTIONS_MAX, f"it names at most {RESTRICTIONS_MAX} products"),
    )
    for is_wrong, what in faults:
        if is_wrong:
            raise WalletMalformed(what)


def check_grant(new: WalletGrant, now: datetime) -> None:
    """Refuse a grant that could not work, or would change what is over. Raises WalletGrantMalformed."""
    rollover_max = AMOUNT_MINOR_MAX if new.rollover_max_minor is None else new.rollover_max_minor
    is_bounded = new.rollover_max_minor is not None or new.rollover_min_minor or new.refill is not None
    faults = (
        (not _is_name(new.name), f"a name has 1 to {NAME_LENGTH_MAX} printable characters"),
        (not 0 < new.amount_minor <= AMOUNT_MINOR_MAX, "an amount is above 0 and at most 10^15 minor units"),
        (not 0 <= new.priority <= PRIORITY_MAX, f"a priority is 0 to {PRIORITY_MAX}"),
        (new.effective_at < now, "it begins now or later"),
        (new.expires_at is not None and new.expires_at <= new.effective_at, "it expires after it begins"),
        (
            not 0 <= new.rollover_min_minor <= rollover_max <= AMOUNT_MINOR_MAX,
            "what rolls over at least is 0 to what does at most",
        ),
        (
            new.source is GrantSource.PURCHASED and bool(is_bounded),
            "what was paid for is neither cut nor filled up",
        ),
    )
    for is_wrong, what in faults:
        if is_wrong:
            raise WalletGrantMalformed(what)


def _is_name(text: str) -> bool:
    return bool(_PRINTABLE.fullmatch(text)) and len(text) <= NAME_LENGTH_MAX and text.isprintable()
