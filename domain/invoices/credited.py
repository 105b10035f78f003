"""What a credit on a draft gives back of: earlier lines whose discounts go back with it in proportion."""

from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction

from domain.credits.discounting import BilledBefore
from domain.invoices.invoice import FEE_KINDS, Invoice, Line, LineKind
from domain.kernel.ids import InvoiceId
from domain.kernel.values import dataclass

# A line and the share of it that counts.
_Share = tuple[Line, Fraction]


@dataclass(frozen=True, slots=True)
class Credited:
    """`before` was billed on other invoices; `lowers`: the credit lowers what stands on the same draft."""

    before: BilledBefore | None = None
    lowers: bool = False


def is_credit(line: Line) -> bool:
    """Whether a line gives something back; the line of a cap does where it is above zero."""
    return line.amount.minor > 0 if line.identity.kind is LineKind.CAP else line.amount.minor < 0


def is_unused_fee(line: Line) -> bool:
    """Whether a line takes back what is left of a fee that a change has ended."""
    return line.identity.kind is LineKind.PRORATION and line.amount.minor < 0 and not line.revision


def credited(line: Line, standing: Sequence[Line], draft: Invoice) -> Credited:
    """Say what a credit on a draft gives back of, from the lines that stand.

    A later difference follows the revisions of its identity on other invoices. What is left of a fee follows what was
    billed for the same time under the same price, up to the end of the same fee period; what an earlier change took
    back is no part of that. Where a charge is on the draft, both are reduced by the coupons of now. What of it lowered
    unpaid invoices by credit notes took their discounts back with it: the rest follows the other charges.
    """
    own = [each for each in standing if each.identity == line.identity and each.invoice_id != draft.id]
    noted = _unpaid_of(line, standing) - {draft.id}
    if is_unused_fee(line) or noted:
        same = [each for each in standing if _is_of_same_fee(each, line) and each.invoice_id not in noted]
        if any(each.invoice_id == draft.id and each.amount.minor > 0 for each in same):
            return Credited(lowers=True)
        return Credited(_billed_for_rest(same, line))
    return Credited(_billed(own))


def _unpaid_of(credit: Line, standing: Sequence[Line]) -> frozenset[InvoiceId]:
    """Return the invoices that a credit has lowered so far: what stands on a note names the invoice of its charge."""
    if credit.identity.kind not in FEE_KINDS or credit.amount.minor > 0:
        return frozenset()
    own = {each.invoice_id for each in standing if each.identity == credit.identity and each.amount.minor < 0}
    charged = {each.invoice_id for each in standing if each.amount.minor > 0 and _is_of_same_fee(each, credit)}
    return frozenset(own & charged)


def _is_of_same_fee(other: Line, credit: Line) -> bool:
    """Whether a line charges, or has taken back, what a credit takes back of: the same fee up to the same end."""
    own, taken = other.identity, credit.identity
    return (
        own.kind in FEE_KINDS
        and own != taken
        and (own.subscription_id, own.price_id, own.period.end)
        == (taken.subscription_id, taken.price_id, taken.period.end)
        and own.period.start <= taken.period.start
    )


def _billed(lines: Sequence[Line]) -> BilledBefore | None:
    discounts = tuple(discount for line in lines for discount in line.discounts)
    return BilledBefore(sum(line.amount.minor for line in lines), discounts) if discounts else None


def _billed_for_rest(lines: Sequence[Line], credit: Line) -> BilledBefore | None:
    """Return what of lines was billed for the time that a credit is for, with the discounts of that."""
    rest = [(line, _share_of_rest(line, credit)) for line in lines]
    # A later difference of a line, and what stands on a note of its invoice, took its discounts back in proportion.
    kept = _less_taken(_less_taken(rest, lambda line: line.identity), lambda line: line.invoice_id)
    discounts = tuple(discount for line, _ in kept for discount in line.discounts)
    if not discounts:
        return None
    billed = sum((line.amount.minor * share for line, share in kept), Fraction(0))
    return BilledBefore(billed, discounts, tuple(share for line, share in kept for _ in line.discounts))


def _share_of_rest(line: Line, credit: Line) -> Fraction:
    """Return the share of a line's time that is left where a credit begins."""
    left = Fraction(line.derivation["share_of_time"])
    return Fraction(credit.derivation["share_of_time"]) / left if left else Fraction(0)


def _less_taken(rest: Sequence[_Share], key: Callable[[Line], Hashable]) -> list[_Share]:
    """Return the shares of charges that the credits beside them, by a key, have left; those credits count no more."""
    kept = list[_Share]()
    for line, share in rest:
        beside = [each.amount.minor * part for each, part in rest if key(each) == key(line)]
        charged, taken = (sum((each for each in beside if each * sign > 0), Fraction(0)) for sign in (1, -1))
        left = max(1 + taken / charged, Fraction(0)) if charged else Fraction(1)
        kept.append((line, share * (left if line.amount.minor > 0 or not charged else 0)))
    return kept
