"""Which unpaid invoice a change's credit lowers: what a change takes back goes off what was never paid.

The newest charges are taken back first: the unit that was added last is the first that goes. An invoice bears no more
than what is unused of its own charges, so that what was paid is never taken off another invoice.
"""

from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction

from domain.invoices.credit_note import OWED, Credited, CreditPart, credited_lines
from domain.invoices.derivation import NewLine
from domain.invoices.invoice import FEE_KINDS, Invoice, Line
from domain.kernel.errors import DomainError
from domain.kernel.ids import InvoiceId, LineId
from domain.kernel.money import round_half_up
from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class Unpaid:
    """An unpaid invoice with all its lines, and what notes have given back of each of them."""

    invoice: Invoice
    lines: tuple[Line, ...]
    before: Mapping[LineId, Credited]


@dataclass(frozen=True, slots=True)
class Offset:
    """The part of a credit that lowers one unpaid invoice, in minor units above zero, by which of its lines."""

    invoice_id: InvoiceId
    amount_minor: int
    parts: tuple[CreditPart, ...]


def is_unpaid(invoice: Invoice) -> bool:
    """Whether what is due on an invoice can be lowered; likewise what was given up of it, or is lost.

    While an attempt is under way, or a part of it is disputed, it counts as paid.
    """
    return invoice.state in OWED and not invoice.charging and not invoice.disputed_minor


def takes_back(line: NewLine) -> bool:
    """Whether a new line gives back what a change has left unused of a fee, or a fee that it has replaced whole."""
    return line.identity.kind in FEE_KINDS and line.amount_minor < 0


def charged_by(standing: Collection[Line], credit: NewLine) -> list[Line]:
    """Return the lines of the fee that a credit takes back of: what was charged and what was taken back before."""
    own = credit.identity
    return [
        line
        for line in standing
        if line.identity.kind in FEE_KINDS
        and (line.identity.subscription_id, line.identity.price_id, line.period.end)
        == (own.subscription_id, own.price_id, own.period.end)
        and line.period.start <= own.period.start
    ]


def offset_of(credit: NewLine, charged: Sequence[Line], unpaid: Mapping[InvoiceId, Unpaid]) -> Offset | None:
    """Return the next invoice that a credit lowers, newest charge first; None where none of it is unpaid.

    `charged` is as `charged_by` says. Ask again once the part stands on its note: the rest may lower another one.
    """
    by_invoice = _newest_first(charged)
    remaining = -credit.amount_minor
    for number, (invoice_id, lines) in enumerate(by_invoice):
        unused = max(round_half_up(sum((_unused(line, credit) for line in lines), Fraction(0))), 0)
        # Each line was rounded by itself: the oldest invoice bears what that has left over.
        is_rounding = number == len(by_invoice) - 1 and remaining - unused <= len(charged)
        taken = remaining if is_rounding and unused else min(unused, remaining)
        found = _offset(unpaid[invoice_id], lines, taken) if taken and invoice_id in unpaid else None
        if found is not None:
            return found
        remaining -= taken
    return None


def _newest_first(charged: Sequence[Line]) -> list[tuple[InvoiceId, list[Line]]]:
    found: dict[InvoiceId, list[Line]] = {}
    for line in sorted(charged, key=lambda each: (each.period.start, each.invoice_id), reverse=True):
        found.setdefault(line.invoice_id, []).append(line)
    return list(found.items())


def _unused(line: Line, credit: NewLine) -> Fraction:
    """Return what is left at the credit's instant of a line that was for the share of time left at its own."""
    left = Fraction(line.derivation["share_of_time"])
    return line.amount.minor * Fraction(credit.derivation["share_of_time"]) / left if left else Fraction(0)


def _offset(unpaid: Unpaid, charged: Sequence[Line], wanted_minor: int) -> Offset | None:
    """Spread what an invoice bears over its charges, newest first; None where it cannot be credited there."""
    parts, left = list[CreditPart](), wanted_minor
    own = {line.id for line in unpaid.lines}
    for line in charged:
        before = unpaid.before.get(line.id, Credited())
        amount = min(line.amount.minor - before.amount_minor, left)
        if line.id in own and amount > 0:
            parts.append(CreditPart(line.id, amount))
            left -= amount
    try:
        credited_lines(unpaid.invoice, unpaid.lines, unpaid.before, parts)
    except DomainError:  # coupons or earlier notes have taken all: what is left is a line as any other credit
        return None
    return Offset(unpaid.invoice.id, wanted_minor - left, tuple(parts))
