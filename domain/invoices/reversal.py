"""What becomes of an invoice when a bank takes back what was paid for it: pure rules over a table of states.

While it is undecided the invoice stays paid and says how much is disputed. What is lost makes it charged back; a
returned debit makes it open again, as it never was paid.
"""

from dataclasses import replace

from domain.invoices.invoice import Invoice, InvoiceStateRefused, State, minimum
from domain.kernel.errors import DomainError, Kind
from domain.kernel.money import Money
from domain.kernel.values import dataclass

# Of these something was paid that a bank can take back.
_PAID = frozenset((State.PAID, State.CHARGED_BACK))


@dataclass(eq=False)
class InvoiceDisputed(DomainError):
    """A payment of this invoice is disputed. Wait until that is decided, then do this again."""

    code = "invoice_disputed"
    kind = Kind.CONFLICT


@dataclass(eq=False)
class TooLittleToCollect(DomainError):
    """{amount} {currency} is less than a payment can be. Write it off, or put it on another invoice."""

    code = "too_little_to_collect"
    kind = Kind.CONFLICT
    amount: str
    currency: str


def countable(invoice: Invoice, minor: int) -> int:
    """Return what of a disputed amount counts on an invoice: no more than was paid and is not disputed otherwise."""
    left = invoice.amount_paid.minor - invoice.disputed_minor if invoice.state in _PAID else 0
    return max(min(minor, left), 0)


def withheld(before: Invoice, minor: int) -> Invoice:
    """Note that a part of what was paid is away until a dispute is decided."""
    return replace(before, disputed_minor=before.disputed_minor + minor)


def released(before: Invoice, minor: int) -> Invoice:
    """Note that a disputed part came back."""
    return replace(before, disputed_minor=before.disputed_minor - minor)


def lost(before: Invoice, minor: int) -> Invoice:
    """Note that a disputed part is gone: the invoice is charged back, also where a part of it stays paid."""
    after = released(before, minor)
    if before.state not in _PAID or not minor:
        return after
    kept = before.amount_paid.minor - minor
    return replace(after, state=State.CHARGED_BACK, kept_minor=kept)


def opens_again(before: Invoice, minor: int) -> bool:
    """Whether a returned debit is asked for again: the invoice was paid by it, and it is enough for a payment."""
    return before.state is State.PAID and minor >= minimum(before.currency).minor


def returned(before: Invoice, minor: int) -> Invoice:
    """Note that a debit was returned: the invoice is open again, and the part is due at once."""
    assert opens_again(before, minor), "what is not asked for again is lost"
    kept = before.amount_paid.minor - minor
    return replace(
        released(before, minor), state=State.OPEN, paid_at=None, kept_minor=kept, reopened=before.reopened + 1
    )


def taken_back(before: Invoice, minor: int) -> Invoice:
    """Open a paid invoice again, as staff take a payment back that they had recorded. Its due date stays.

    Raises InvoiceStateRefused for any other one, InvoiceDisputed while another part is disputed, TooLittleToCollect.
    """
    if before.state is not State.PAID:
        raise InvoiceStateRefused(before.state, State.OPEN)
    if before.disputed_minor:
        raise InvoiceDisputed
    if not opens_again(before, minor):
        taken = Money(minor, before.currency)
        raise TooLittleToCollect(taken.major, taken.currency)
    return returned(withheld(before, minor), minor)


def reinstated(before: Invoice, minor: int) -> Invoice:
    """Note that a lost part came back after all: once nothing of it is missing, a charged-back invoice is paid.

    One that is asked for again, or was paid another time, stays as it is: what came is owed to the customer.
    """
    if before.state is not State.CHARGED_BACK:
        return before
    kept = min(before.kept_minor + minor, before.collectable.minor)
    if kept == before.collectable.minor:
        return replace(before, state=State.PAID, kept_minor=0)
    return replace(before, kept_minor=kept)


def asked_again(before: Invoice) -> Invoice:
    """Open a charged-back invoice for what was lost of it. Its due date stays.

    Raises InvoiceStateRefused for any other one, InvoiceDisputed while another part is disputed, TooLittleToCollect.
    """
    if before.state is not State.CHARGED_BACK:
        raise InvoiceStateRefused(before.state, State.OPEN)
    if before.disputed_minor:
        raise InvoiceDisputed
    if before.outstanding.minor < minimum(before.currency).minor:
        raise TooLittleToCollect(before.outstanding.major, before.currency)
    return replace(before, state=State.OPEN, paid_at=None, reopened=before.reopened + 1)


def charged_back(invoice: Invoice) -> Money:
    """Return what banks have taken back for good and nobody asks for."""
    return invoice.outstanding if invoice.state is State.CHARGED_BACK else Money(0, invoice.currency)
