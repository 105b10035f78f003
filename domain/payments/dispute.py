"""A dispute: a card holder or a bank takes back what was collected. What its state means for the money is a table.

A bank debit that is returned after it had succeeded comes as a dispute too. Only the state as fetched counts, so news
in any order, and repeated ones, lead to the same end.
"""

import dataclasses
from datetime import datetime
from enum import StrEnum

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import AttemptId, CustomerId, DisputeId, InvoiceId, WalletGrantId, encode
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.payments.declines import Decline, DeclineClass
from domain.payments.listed import GatewayDispute


class Stance(StrEnum):
    """Where the money of a dispute stands."""

    INQUIRY = "inquiry"  # asked about, or prevented: nothing was taken
    HELD = "held"  # taken until it is decided
    WON = "won"  # nothing is missing, or what was taken came back
    LOST = "lost"  # gone
    RETURNED = "returned"  # a bank debit that was returned: gone, and owed again


class Move(StrEnum):
    """What is done to the books and the invoice, each at most once for a dispute."""

    WITHHOLD = "withhold"
    RELEASE = "release"
    LOSE = "lose"
    RETURN = "return"
    REINSTATE = "reinstate"


@dataclass(eq=False)
class DisputeStatusUnknown(DomainError):
    """The payment provider says that a dispute is {status}, which is not known here. Look at it there."""

    code = "dispute_status_unknown"
    kind = Kind.CONFLICT
    status: str


@dataclass(eq=False)
class DisputeCurrencyDiffers(DomainError):
    """A dispute in {disputed} is about a payment in {paid}. Book it by hand."""

    code = "dispute_currency_differs"
    kind = Kind.CONFLICT
    disputed: str
    paid: str


# Why a bank returns a debit, and what it means for the next one: only a lack of funds can pass.
RETURNS = {
    "insufficient_funds": DeclineClass.SOFT,
    "incorrect_account_details": DeclineClass.HARD,
    "bank_cannot_process": DeclineClass.HARD,
    "debit_not_authorized": DeclineClass.HARD,
}

_STANCES = {
    "warning_needs_response": Stance.INQUIRY,
    "warning_under_review": Stance.INQUIRY,
    "warning_closed": Stance.INQUIRY,
    "prevented": Stance.INQUIRY,
    "needs_response": Stance.HELD,
    "under_review": Stance.HELD,
    # Only what was lost is appealed against: the money is away until the appeal is won.
    "appeal_needs_response": Stance.LOST,
    "appeal_under_review": Stance.LOST,
    "lost": Stance.LOST,
    "won": Stance.WON,
}

_MOVES: dict[tuple[Stance, Stance], tuple[Move, ...]] = {
    (Stance.INQUIRY, Stance.HELD): (Move.WITHHOLD,),
    (Stance.INQUIRY, Stance.LOST): (Move.WITHHOLD, Move.LOSE),
    (Stance.INQUIRY, Stance.RETURNED): (Move.WITHHOLD, Move.RETURN),
    (Stance.INQUIRY, Stance.WON): (),
    (Stance.HELD, Stance.INQUIRY): (Move.RELEASE,),
    (Stance.HELD, Stance.WON): (Move.RELEASE,),
    (Stance.HELD, Stance.LOST): (Move.LOSE,),
    (Stance.HELD, Stance.RETURNED): (Move.RETURN,),
    (Stance.LOST, Stance.WON): (Move.REINSTATE,),
    (Stance.RETURNED, Stance.WON): (Move.REINSTATE,),
}
# Of these the money is away.
TAKEN = frozenset((Stance.HELD, Stance.LOST, Stance.RETURNED))
# These can still change.
UNDECIDED = frozenset((Stance.INQUIRY, Stance.HELD))


@dataclass(frozen=True, slots=True)
class Dispute:
    """One dispute of a payment. `status` and `reason` are the gateway's words.

    `counted_minor` is what of the amount counts on the invoice: what was paid for it and is not disputed otherwise.
    `withheld_minor` is taken out of the grant that a disputed top-up had bought, `unapplied_minor` out of money that
    its invoice could not take: of that nothing counts on the invoice. `is_booked` says that the bank has taken it.
    `disputed_at` and `evidence_due_at` are the gateway's, in real time, as `created_at`; `opened_at` and `closed_at`
    are business time.
    """

    customer_id: CustomerId
    id: DisputeId
    invoice_id: InvoiceId
    attempt_id: AttemptId
    environment: Environment
    gateway_dispute_id: str
    gateway_payment_id: str
    amount: Money
    reason: str
    status: str
    stance: Stance
    disputed_at: datetime
    evidence_due_at: datetime | None
    created_at: datetime
    opened_at: datetime
    closed_at: datetime | None = None
    is_booked: bool = False
    counted_minor: int = 0
    withheld_minor: int = 0
    grant_id: WalletGrantId | None = None
    unapplied_minor: int = 0
    version: int = 1

    @property
    def is_return(self) -> bool:
        """Whether a bank has returned a debit, rather than a customer disputed a payment."""
        return self.reason in RETURNS

    @property
    def is_open(self) -> bool:
        """Whether it can still be decided either way."""
        return self.stance in UNDECIDED and self.closed_at is None


def stance_of(status: str, reason: str) -> Stance:
    """Say where the money stands by the gateway's words. Raises DisputeStatusUnknown."""
    known = _STANCES.get(status)
    if known is None:
        raise DisputeStatusUnknown(status)
    return Stance.RETURNED if known is Stance.LOST and reason in RETURNS else known


def follow(before: Dispute, seen: GatewayDispute, now: datetime) -> tuple[Dispute, tuple[Move, ...]]:
    """Apply a dispute as it was fetched, at business time `now`; return what is to be done about the money.

    What was won stays won, and what is decided is not opened again: such news is left to a person, whom the comparison
    tells. Safe to repeat. Raises DisputeStatusUnknown.
    """
    wanted = stance_of(seen.status, before.reason)
    if before.stance is wanted:
        moves: tuple[Move, ...] = ()
    elif (before.stance, wanted) in _MOVES and not _came_back(before):
        moves = _MOVES[before.stance, wanted]
    else:
        return before, ()
    is_over = wanted not in UNDECIDED or seen.status in {"warning_closed", "prevented"}
    after = dataclasses.replace(
        before,
        status=seen.status,
        stance=wanted,
        evidence_due_at=seen.evidence_due_at,
        closed_at=(before.closed_at or now) if is_over else None,
    )
    return after, moves


def _came_back(dispute: Dispute) -> bool:
    """Whether it was prevented after its money had been taken: that is its end."""
    return dispute.stance is Stance.INQUIRY and dispute.is_booked


def agrees(known: Dispute, seen: GatewayDispute) -> bool:
    """Whether our row says what the gateway shows."""
    return known.status == seen.status and known.amount.minor == seen.amount_minor


def return_of(reason: str) -> Decline:
    """Return the decline that a returned debit amounts to; its code is the gateway's word for the bank's."""
    return Decline(RETURNS.get(reason, DeclineClass.HARD), reason)


def facts_of(dispute: Dispute) -> dict[str, str]:
    """Return what staff are told of a dispute: ids, the amount, the gateway's words, and until when to answer."""
    due_at = dispute.evidence_due_at
    return {
        "customer_id": encode("customer", dispute.customer_id),
        "invoice_id": encode("invoice", dispute.invoice_id),
        "gateway_dispute_id": dispute.gateway_dispute_id,
        "amount": dispute.amount.major,
        "currency": dispute.amount.currency,
        "reason": dispute.reason,
        "due": f"{due_at:%Y-%m-%d %H:%M} UTC" if due_at else "its end",
    }
