"""What a credit on a draft gives back of: earlier lines whose discounts go back with it in proportion."""

from collections.abc import Sequence

from domain.credits.discounting import BilledBefore
from domain.invoices.invoice import FEE_KINDS, Invoice, Line, LineKind
from domain.kernel.ids import InvoiceId
from domain.kernel.values import dataclass


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

    A later difference follows the revisions of its identity on other invoices. What is left of a fee follows the
    charges under the same price up to the end of the same fee period; where one is on the draft, both are reduced by
    the coupons of now. What of it lowered unpaid invoices by credit notes took their discounts back with it: the rest
    follows the other charges.
    """
    own = [each for each in standing if each.identity == line.identity and each.invoice_id != draft.id]
    noted = _unpaid_of(line, standing)
    if is_unused_fee(line) or noted:
        charged = [each for each in standing if _is_charged_before(each, line) and each.invoice_id not in noted]
        if any(each.invoice_id == draft.id for each in charged):
            return Credited(lowers=True)
        return Credited(_billed(charged))
    return Credited(_billed(own))


def _unpaid_of(credit: Line, standing: Sequence[Line]) -> frozenset[InvoiceId]:
    """Return the invoices that a credit has lowered so far: what stands on a note names the invoice of its charge."""
    if credit.identity.kind not in FEE_KINDS or credit.amount.minor > 0:
        return frozenset()
    own = {each.invoice_id for each in standing if each.identity == credit.identity and each.amount.minor < 0}
    charged = {each.invoice_id for each in standing if _is_charged_before(each, credit)}
    return frozenset(own & charged)


def _is_charged_before(charge: Line, credit: Line) -> bool:
    own, taken = charge.identity, credit.identity
    return (
        own.kind in FEE_KINDS
        and charge.amount.minor > 0
        and (own.subscription_id, own.price_id, own.period.end)
        == (taken.subscription_id, taken.price_id, taken.period.end)
        and own.period.start <= taken.period.start
    )


def _billed(lines: Sequence[Line]) -> BilledBefore | None:
    discounts = tuple(discount for line in lines for discount in line.discounts)
    return BilledBefore(sum(line.amount.minor for line in lines), discounts) if discounts else None
