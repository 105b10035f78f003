"""The gateway's copy of an invoice: its lines, its keys, and whether the gateway's sums are ours."""

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from domain.invoices.credit_note import CreditNote
from domain.invoices.invoice import Invoice, Line
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CreditNoteId, CustomerId, InvoiceId, encode
from domain.kernel.values import dataclass
from domain.payments.attempt import key_expired
from domain.payments.port import LINES_MAX, GatewayInvoice, GatewayInvoiceState, PushedInvoice, PushedLine

DESCRIPTION_LENGTH_MAX = 300
LINES_BATCH = 100
NO_LINE = "Usage"
FROM_BALANCE = "Paid from balance"
SETTLED = "Already settled"


@dataclass(eq=False)
class GatewayCopyDiffers(DomainError):
    """The payment provider's copy of the invoice differs from ours ({fields}). Nothing was charged; staff are told."""

    code = "gateway_copy_differs"
    kind = Kind.CONFLICT
    fields: str


class PushState(StrEnum):
    """How far the gateway's copy is."""

    WAITING = "waiting"  # for a payment method; nothing was sent
    PUSHING = "pushing"
    PUSHED = "pushed"
    CLOSED = "closed"  # void, written off, paid another way or deleted there: nothing is to be collected any more


@dataclass(frozen=True, slots=True)
class Push:
    """Our record of the gateway's copy. `number` counts the copies begun; `keyed_at` (real) is the age of its keys.

    `sealed_page` is the sealed address of the gateway's own page on which the customer can pay it (`pages` opens it);
    None until it is open there.
    `credited_minor` is what credit notes have taken off the invoice as far as the copy shows it. Of one that is asked
    for again, `credited_before_minor` was taken off, and `paid_before_minor` stays paid, before the copy was begun.
    """

    customer_id: CustomerId
    invoice_id: InvoiceId
    number: int
    state: PushState
    gateway_invoice_id: str | None
    keyed_at: datetime
    sealed_page: bytes | None = None
    version: int = 1
    credited_minor: int = 0
    credited_before_minor: int = 0
    paid_before_minor: int = 0

    @property
    def settled_minor(self) -> int:
        """What was settled before the copy was begun: nothing of it is collected by the copy."""
        return self.credited_before_minor + self.paid_before_minor


def begin(before: Push, at: datetime) -> Push:
    """Start or resume a copy. A waiting one gets its keys' age now; one under way keeps them."""
    if before.state is not PushState.WAITING:
        return before
    return dataclasses.replace(before, state=PushState.PUSHING, keyed_at=at)


def begin_anew(before: Push, at: datetime) -> Push:
    """Start over with new keys; the copy before was deleted."""
    return dataclasses.replace(
        before, number=before.number + 1, state=PushState.PUSHING, gateway_invoice_id=None, keyed_at=at
    )


def begin_again(before: Push, invoice: Invoice, at: datetime) -> Push:
    """Begin another copy of an invoice that is asked for again: the one before was paid at the gateway, for ever.

    What credit notes took off, and what is still paid of it, is settled before the new copy.
    """
    return dataclasses.replace(
        before,
        number=before.number + 1,
        state=PushState.WAITING,
        gateway_invoice_id=None,
        keyed_at=at,
        sealed_page=None,
        credited_minor=invoice.offset_minor,
        credited_before_minor=invoice.offset_minor,
        paid_before_minor=invoice.kept_minor,
    )


def number_of(invoice: Invoice) -> str:
    """Return the number of the gateway's copy: ours, and which time it is asked for where that is not the first."""
    assert invoice.number is not None, "an opened invoice has a number"
    return f"{invoice.number}-R{invoice.reopened}" if invoice.reopened else invoice.number


def unclosed(before: Push) -> Push:
    """Have a copy that was closed looked at once more; the gateway takes a payment also of what it has written off."""
    is_closed = before.state is PushState.CLOSED and before.gateway_invoice_id is not None
    return dataclasses.replace(before, state=PushState.PUSHED) if is_closed else before


def is_stale(push: Push, at: datetime) -> bool:
    """Whether the keys of an unfinished copy are too old to be repeated."""
    return push.state is PushState.PUSHING and key_expired(push.keyed_at, at)


def key(environment: Environment, push: Push, step: str) -> str:
    """Return the idempotency key of one write of a copy: the same after a crash."""
    return f"{environment}:inv:{encode('invoice', push.invoice_id)}:{push.number}:{step}"


def pay_key(environment: Environment, invoice_id: InvoiceId, attempt_number: int) -> str:
    """Return the idempotency key of a charge: one for each attempt."""
    return f"{environment}:pay:{encode('invoice', invoice_id)}:{attempt_number}"


def fitted(lines: Sequence[PushedLine]) -> tuple[PushedLine, ...]:
    """Return what is sent of our lines: none of zero, texts cut, and at most LINES_MAX.

    Where there are more, the last ones are added up into one charge and one credit: the total stays the same, and our
    own invoice keeps them apart.
    """
    sent = [
        dataclasses.replace(line, description=line.description[:DESCRIPTION_LENGTH_MAX] or NO_LINE)
        for line in lines
        if line.amount_minor
    ]
    if len(sent) <= LINES_MAX:
        return tuple(sent)
    kept, rest = sent[: LINES_MAX - 2], sent[LINES_MAX - 2 :]
    charges = [line for line in rest if line.amount_minor > 0]
    credited = [line for line in rest if line.amount_minor < 0]
    for name, added in (("charges", charges), ("credits", credited)):
        if added:
            amount, tax = sum(line.amount_minor for line in added), sum(line.tax_minor for line in added)
            kept.append(PushedLine(f"{len(added)} more {name}, see the invoice", amount, tax))
    return tuple(kept)


def notes_since(push: Push, notes: Sequence[CreditNote]) -> list[CreditNote]:
    """Return the notes that take something off the copy: of all notes, the oldest first, those after it was begun."""
    found, before = [], push.credited_before_minor
    for note in notes:
        if before > 0:
            before -= note.offset_minor
        elif note.offset_minor:
            found.append(note)
    return found


def batches(lines: Sequence[PushedLine]) -> list[Sequence[PushedLine]]:
    """Cut the lines into the writes that carry them."""
    return [lines[start : start + LINES_BATCH] for start in range(0, len(lines), LINES_BATCH)]


def credit_key(environment: Environment, note_id: CreditNoteId) -> str:
    """Return the idempotency key of a credit note on a copy: one for each note of ours."""
    return f"{environment}:cn:{encode('credit_note', note_id)}"


def pushed_invoice(
    invoice: Invoice, lines: Sequence[Line], gateway_customer_id: str, *, settled_minor: int = 0
) -> PushedInvoice:
    """Return what the gateway is to collect for an opened invoice: its lines after discounts, less what balances paid.

    So totals agree. Credit notes follow by themselves, once the copy is open; what was settled before it was begun is a
    line of it.
    """
    sent = [PushedLine(line.description, line.net.minor, line.tax.minor, line.period) for line in lines]
    if invoice.applied_minor:
        sent.insert(0, PushedLine(FROM_BALANCE, -invoice.applied_minor))
    if settled_minor:
        sent.insert(0, PushedLine(SETTLED, -settled_minor))
    return PushedInvoice(
        customer_id=invoice.customer_id,
        invoice_id=invoice.id,
        environment=invoice.environment,
        gateway_customer_id=gateway_customer_id,
        number=number_of(invoice),
        currency=invoice.currency,
        total_minor=invoice.total.minor - invoice.applied_minor - settled_minor,
        tax_minor=invoice.tax.minor,
        lines=fitted(sent),
        days_until_due=_days_until_due(invoice),
    )


def _days_until_due(invoice: Invoice) -> int | None:
    """Return the terms of an invoice that is sent. The gateway's own clock may be another: it is told no instant."""
    if not invoice.is_sent:
        return None
    assert invoice.issued_at is not None, "an opened invoice was issued"
    assert invoice.due_at is not None, "and is due"
    return (invoice.due_at - invoice.issued_at).days


def differences(invoice: Invoice, push: Push, seen: GatewayInvoice, *, before_pay: bool = False) -> list[str]:
    """Name the sums on which the gateway's copy differs from our invoice.

    `before_pay` also asks for an open copy on which all that is due here is due there: credit notes have followed.
    """
    pairs: dict[str, tuple[object, object]] = {
        "currency": (invoice.currency, seen.currency),
        "total": (invoice.total.minor - invoice.applied_minor - push.settled_minor, seen.total_minor),
        "tax": (invoice.tax.minor, seen.tax_minor),
    }
    if before_pay:
        pairs["remaining"] = (invoice.amount_due.minor, seen.remaining_minor)
        pairs["state"] = (GatewayInvoiceState.OPEN, seen.state)
    return [name for name, (ours, theirs) in pairs.items() if ours != theirs]
