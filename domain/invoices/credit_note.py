"""What a credit note gives back of an invoice: part of its lines with their tax, and what becomes of the money."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from domain.invoices.invoice import Invoice, Line, State
from domain.invoices.reversal import InvoiceDisputed
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CreditNoteId, CustomerId, InvoiceId, LineId
from domain.kernel.money import Money, round_half_up, split
from domain.kernel.values import dataclass

SERIES = "CN-"
NUMBER_KIND = "credit_note"
PARTS_MAX = 250
# Of these something is owed, or was given up: a note lowers that first.
OWED = frozenset((State.OPEN, State.UNCOLLECTIBLE, State.CHARGED_BACK))


class CreditKind(StrEnum):
    """What becomes of what was paid. What is still due is taken off first, whatever the kind."""

    REFUND = "refund"
    CUSTOMER_CREDIT = "customer_credit"
    OFFSET = "offset"


class CreditReason(StrEnum):
    """Why it is given back. Only a correction counts where lines are derived anew."""

    CORRECTION = "correction"
    GOODWILL = "goodwill"
    DUPLICATE = "duplicate"
    FRAUDULENT = "fraudulent"
    ORDER_CHANGE = "order_change"
    PRODUCT_UNSATISFACTORY = "product_unsatisfactory"


@dataclass(eq=False)
class CreditRefused(DomainError):
    """An invoice that is {state} cannot be credited. A draft is changed, a void invoice is owed no more."""

    code = "credit_refused"
    kind = Kind.CONFLICT
    state: str


@dataclass(eq=False)
class CreditMalformed(DomainError):
    """Name 1 to 250 different lines of the invoice, with an amount above zero in its currency, or its rest."""

    code = "credit_malformed"
    kind = Kind.INVALID


@dataclass(eq=False)
class CreditTooLarge(DomainError):
    """Only {left} {currency} can still be credited there. Credit notes never exceed what was invoiced."""

    code = "credit_too_large"
    kind = Kind.CONFLICT
    left: str
    currency: str


@dataclass(eq=False)
class NothingToOffset(DomainError):
    """Nothing is due on the invoice any more. Credit it as a refund or as customer credit."""

    code = "nothing_to_offset"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class CreditPart:
    """What is to be given back of one line: minor units above zero before discounts and tax, or None for all its rest.

    Its share of the line's discount and tax goes back with it.
    """

    line_id: LineId
    amount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Credited:
    """What was given back of a line: of its amount before discounts, of its discount and of its tax, with its sign."""

    amount_minor: int = 0
    discount_minor: int = 0
    tax_minor: int = 0
    tax_inclusive: bool = False

    @property
    def net_minor(self) -> int:
        """What was given back after discounts, without any tax."""
        return self.amount_minor - self.discount_minor - (self.tax_minor if self.tax_inclusive else 0)


@dataclass(frozen=True, slots=True)
class Correction:
    """The part of a credit note with reason correction that names a line, before discounts."""

    note_id: CreditNoteId
    line_id: LineId
    amount_minor: int


@dataclass(frozen=True, slots=True)
class CreditNoteLine:
    """What a note gives back of one line. `quantity` is the line's whole, also where it is a part of the amount."""

    line_id: LineId
    description: str
    quantity: Decimal
    unit: str
    amount: Money
    discount: Money
    tax: Money
    tax_inclusive: bool = False

    @property
    def total_minor(self) -> int:
        """What goes back with it in all."""
        return self.amount.minor - self.discount.minor + (0 if self.tax_inclusive else self.tax.minor)


@dataclass(frozen=True, slots=True)
class CreditNote:
    """A document that takes back a part of an invoice. It is never changed.

    Its total is the sum of `offset_minor`, taken off what was due, `credit_minor`, kept as customer credit,
    `refund_minor`, to be paid back, and `wallet_minor`, what prepaid wallets had paid and got back.
    """

    customer_id: CustomerId
    id: CreditNoteId
    invoice_id: InvoiceId
    environment: Environment
    currency: str
    number: str
    kind: CreditKind
    reason: CreditReason
    issued_at: datetime
    subtotal: Money
    discount: Money
    tax: Money
    tax_included_minor: int
    offset_minor: int
    credit_minor: int
    refund_minor: int
    wallet_minor: int

    @property
    def total(self) -> Money:
        """What is given back in all, tax included."""
        return self.net + self.tax

    @property
    def net(self) -> Money:
        """What is given back after discounts, without any tax."""
        return self.subtotal - self.discount - Money(self.tax_included_minor, self.currency)


@dataclass(frozen=True, slots=True)
class Shares:
    """Where the money of a note goes, in minor units; they add up to its total."""

    offset_minor: int
    credit_minor: int
    refund_minor: int
    wallet_minor: int


def shares_of(
    invoice: Invoice, total_minor: int, kind: CreditKind, *, from_wallets_minor: int = 0, moved_minor: int = 0
) -> Shares:
    """Say where the money goes: what is due is lowered first, and what was paid goes where the kind says.

    A written-off invoice counts as due. What prepaid wallets paid, of which `from_wallets_minor` is left, goes back to
    them once all that was paid in money is given back; earlier notes gave back `moved_minor` of that. What customer
    credit paid comes back as customer credit where the kind is offset. A charged-back invoice counts as due likewise;
    what is disputed is not given back. Raises NothingToOffset, InvoiceDisputed.
    """
    due = invoice.outstanding.minor if invoice.state in OWED else 0
    if kind is CreditKind.OFFSET and not due:
        raise NothingToOffset
    offset = min(due, total_minor)
    rest = total_minor - offset
    in_money = max(invoice.amount_paid.minor - invoice.disputed_minor - moved_minor, 0)
    wallet = min(max(rest - in_money, 0), from_wallets_minor)
    rest -= wallet
    if rest > in_money and invoice.disputed_minor:
        raise InvoiceDisputed
    return Shares(offset, 0, rest, wallet) if kind is CreditKind.REFUND else Shares(offset, rest, 0, wallet)


def credited_lines(
    invoice: Invoice, lines: Collection[Line], before: Mapping[LineId, Credited], parts: Sequence[CreditPart]
) -> list[CreditNoteLine]:
    """Work out a note's lines. `before` is what earlier notes gave back of each line.

    Item and tax are rounded apart; a line's last note takes what is left of its tax, so that notes add up to the
    invoice. Raises CreditRefused, CreditMalformed, CreditTooLarge.
    """
    if invoice.state in {State.DRAFT, State.VOID}:
        raise CreditRefused(invoice.state)
    own = {line.id: line for line in lines}
    named = [part.line_id for part in parts]
    if not 1 <= len(parts) <= PARTS_MAX or len(set(named)) != len(parts) or not set(named) <= own.keys():
        raise CreditMalformed
    found = [_credited(own[part.line_id], before.get(part.line_id, Credited()), part) for part in parts]
    total = sum(line.total_minor for line in found)
    left = invoice.total.minor - sum(each.net_minor + each.tax_minor for each in before.values())
    if total > left:
        raise CreditTooLarge(Money(max(left, 0), invoice.currency).major, invoice.currency)
    if total <= 0:
        raise CreditMalformed
    return found


def rest_of(lines: Collection[Line], before: Mapping[LineId, Credited]) -> list[CreditPart]:
    """Return the parts that give back all that is left of an invoice."""
    return [CreditPart(line.id) for line in lines if _left(line, before.get(line.id, Credited()))]


def share_back(share_minor: int, whole_minor: int, amount_minor: int, *, taken_minor: int, before_minor: int) -> int:
    """Return how much of a line's discount or tax goes back with a part of it: its share, half-up, or the last rest.

    `whole_minor` and `share_minor` are the line's, `amount_minor` is the part, `before_minor` the parts before it and
    `taken_minor` what went back with them, all with the sign of the line.
    """
    left = share_minor - taken_minor
    if before_minor + amount_minor == whole_minor:
        return left
    share = round_half_up(Fraction(share_minor * amount_minor, whole_minor))
    return min(share, left) if whole_minor > 0 else max(share, left)


def taxes_back(taxes_minor: Sequence[int], whole_minor: int, amount_minor: int) -> list[int]:
    """Split the tax that goes back with the first part of a line among the line's several taxes, exactly."""
    total = share_back(sum(taxes_minor), whole_minor, amount_minor, taken_minor=0, before_minor=0)
    return split(total, [Fraction(tax) for tax in taxes_minor])


def without_corrections(lines: Collection[Line], corrections: Collection[Correction]) -> list[Line]:
    """Return lines as the derivation has to see them: less what corrections took back; a whole one takes all of it."""
    taken: dict[LineId, int] = {}
    for correction in corrections:
        taken[correction.line_id] = taken.get(correction.line_id, 0) + correction.amount_minor
    return [_without(line, taken[line.id]) if line.id in taken else line for line in lines]


def _without(line: Line, taken_minor: int) -> Line:
    left = line.amount.minor - taken_minor
    return replace(line, amount=Money(left, line.amount.currency), quantity=line.quantity if left else Decimal(0))


def _left(line: Line, before: Credited) -> int:
    return line.amount.minor - before.amount_minor


def _credited(line: Line, before: Credited, part: CreditPart) -> CreditNoteLine:
    left, whole, currency = _left(line, before), line.amount.minor, line.amount.currency
    if part.amount_minor is not None and part.amount_minor <= 0:
        raise CreditMalformed
    amount = left if part.amount_minor is None else part.amount_minor * (1 if whole > 0 else -1)
    if not amount or abs(amount) > abs(left):
        raise CreditTooLarge(Money(abs(left), currency).major, currency)

    def share(of_line: Money, taken_minor: int) -> Money:
        before_minor = before.amount_minor
        back = share_back(of_line.minor, whole, amount, taken_minor=taken_minor, before_minor=before_minor)
        return Money(back, currency)

    return CreditNoteLine(
        line.id,
        line.description,
        line.quantity,
        line.unit,
        Money(amount, currency),
        share(line.discount, before.discount_minor),
        share(line.tax, before.tax_minor),
        line.tax_inclusive,
    )
