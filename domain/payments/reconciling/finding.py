"""What differs between the gateway and our rows, and what is done about it: healed, or left to a person."""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.invoices.invoice import Invoice, State
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.payments.attempt import LIVE, Attempt, AttemptState, is_received
from domain.payments.dispute import Dispute, agrees
from domain.payments.listed import GatewayDispute, GatewayHolder, GatewayPayment, GatewayRefund
from domain.payments.method import PaymentMethod
from domain.payments.port import GatewayInvoice, GatewayInvoiceState, GatewayMethod, PayState
from domain.payments.push import Push, PushState
from domain.payments.refund import Refund, RefundState, state_of
from domain.payments.transfer import GatewayCash

NOTHING = "none"
SHOWN_MAX = 200
_SAME_STATE = {
    State.OPEN: GatewayInvoiceState.OPEN,
    State.PAID: GatewayInvoiceState.PAID,
    State.VOID: GatewayInvoiceState.VOID,
    State.UNCOLLECTIBLE: GatewayInvoiceState.UNCOLLECTIBLE,
    State.CHARGED_BACK: GatewayInvoiceState.PAID,
}
_GIVEN_UP = frozenset((State.VOID, State.UNCOLLECTIBLE))
# At the gateway a payment stays paid, whatever a bank does afterwards.
_BROUGHT = frozenset((AttemptState.SUCCEEDED, AttemptState.RETURNED))


class Difference(StrEnum):
    """What sort of difference it is. The beginning of a name says what is compared."""

    INVOICE_UNKNOWN = "invoice_unknown"  # the gateway's names one of ours, and is not the copy of it
    INVOICE_MISSING = "invoice_missing"  # the copy that we know of is not there
    INVOICE_STATE = "invoice_state"
    INVOICE_TOTAL = "invoice_total"
    INVOICE_TAX = "invoice_tax"
    INVOICE_CURRENCY = "invoice_currency"
    INVOICE_DUE = "invoice_due"  # what is still to be paid
    PAYMENT_UNKNOWN = "payment_unknown"  # money came in there for an invoice of ours, and no attempt here has it
    PAYMENT_AMOUNT = "payment_amount"
    REFUND_UNKNOWN = "refund_unknown"  # money of ours went back there, and nothing here says so
    REFUND_MISSING = "refund_missing"  # the refund that we know of is not there
    REFUND_STATE = "refund_state"
    REFUND_AMOUNT = "refund_amount"
    DISPUTE_UNKNOWN = "dispute_unknown"  # of a payment of ours, and nothing here tells of it
    DISPUTE_STATUS = "dispute_status"
    DISPUTE_AMOUNT = "dispute_amount"
    METHOD_UNKNOWN = "method_unknown"  # attached there, not listed here
    METHOD_MISSING = "method_missing"  # listed here, not attached there
    METHOD_DETAILS = "method_details"
    CASH_UNKNOWN = "cash_unknown"  # a transfer arrived or was used there, and nothing here tells of it
    CUSTOMER_UNKNOWN = "customer_unknown"  # the gateway's names one of ours, who has another there
    CUSTOMER_MISSING = "customer_missing"
    CUSTOMER_BALANCE = "customer_balance"  # the gateway holds a balance, which its next invoice would use up


class Remedy(StrEnum):
    """What is done about a difference. Only news that was lost is healed; money is never moved by a comparison."""

    PERSON = "person"
    FOLLOW_INVOICE = "follow_invoice"  # as its webhook would have done
    FOLLOW_METHOD = "follow_method"  # likewise
    FOLLOW_REFUND = "follow_refund"  # likewise
    FOLLOW_DISPUTE = "follow_dispute"  # likewise
    FOLLOW_CASH = "follow_cash"  # likewise
    COLLECT = "collect"  # stage the collection, which closes or credits the copy as ours is


class Outcome(StrEnum):
    """What became of a finding."""

    OPEN = "open"
    HEALED = "healed"
    GONE = "gone"  # a later comparison did not find it any more
    CLOSED = "closed"  # by a person


@dataclass(frozen=True, slots=True)
class Found:
    """One difference, just seen. `about` is the gateway's id of the thing; `ours` and `theirs` are both values."""

    kind: Difference
    about: str
    ours: str
    theirs: str
    customer_id: CustomerId | None = None
    invoice_id: InvoiceId | None = None
    remedy: Remedy = Remedy.PERSON


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference in the report. All instants are real time; `note` is a person's, where one has closed it."""

    id: UUID
    environment: Environment
    kind: Difference
    about: str
    customer_id: CustomerId | None
    ours: str
    theirs: str
    outcome: Outcome
    first_seen_at: datetime
    last_seen_at: datetime
    run_id: UUID
    closed_at: datetime | None
    note: str | None


def about_invoice(invoice: Invoice, push: Push, last: Attempt | None, seen: GatewayInvoice | None) -> list[Found]:
    """Compare one of our invoices with its copy. A copy that is being made, or was deleted as a draft, is as wanted."""
    about = push.gateway_invoice_id
    assert about is not None, "a copy that is compared has an id"
    if push.state is PushState.PUSHING:
        return []
    if seen is None:
        gone = push.state is PushState.CLOSED and _is_done(invoice, last)
        return [] if gone else [_of(Difference.INVOICE_MISSING, invoice, about, (invoice.state, NOTHING))]
    if invoice.state is State.VOID and _is_kept(last, seen):
        return []
    if seen.state is not _SAME_STATE.get(invoice.state):
        return [_state(invoice, last, seen)]
    return _sums(invoice, push, seen)


def _state(invoice: Invoice, last: Attempt | None, seen: GatewayInvoice) -> Found:
    """Say which states differ, and whether it is but news that was lost."""
    remedy = Remedy.PERSON
    if invoice.state is State.OPEN and seen.state is GatewayInvoiceState.PAID:
        remedy = Remedy.FOLLOW_INVOICE
    elif _is_done(invoice, last) and seen.state is GatewayInvoiceState.OPEN and not _is_moving(last, seen):
        remedy = Remedy.COLLECT
    return _of(Difference.INVOICE_STATE, invoice, seen.id, (invoice.state, seen.state), remedy)


def _is_kept(last: Attempt | None, seen: GatewayInvoice) -> bool:
    """Whether a copy was paid as its invoice was taken back, and the money is kept here, unapplied: both are final."""
    is_brought = last is not None and last.state in _BROUGHT and not is_received(last)
    return is_brought and seen.state is GatewayInvoiceState.PAID


def _is_done(invoice: Invoice, last: Attempt | None) -> bool:
    """Whether nothing is to be collected by the copy any more, and a job closes it."""
    return invoice.state in _GIVEN_UP or (invoice.state is State.PAID and last is not None and is_received(last))


def _is_moving(last: Attempt | None, seen: GatewayInvoice) -> bool:
    """Whether money may be on its way."""
    under_way = last is not None and last.state in LIVE
    return under_way or (seen.outcome is not None and seen.outcome.state is PayState.PROCESSING)


def _sums(invoice: Invoice, push: Push, seen: GatewayInvoice) -> list[Found]:
    total = invoice.total.minor - invoice.applied_minor - push.settled_minor
    pairs: list[tuple[Difference, str, str]] = [
        (Difference.INVOICE_CURRENCY, invoice.currency, seen.currency),
        (Difference.INVOICE_TOTAL, _money(total, invoice.currency), _money(seen.total_minor, seen.currency)),
        (Difference.INVOICE_TAX, _money(invoice.tax.minor, invoice.currency), _money(seen.tax_minor, seen.currency)),
    ]
    found = [_of(kind, invoice, seen.id, (ours, theirs)) for kind, ours, theirs in pairs if ours != theirs]
    if invoice.state is State.OPEN and invoice.amount_due.minor != seen.remaining_minor:
        ours, theirs = _money(invoice.amount_due.minor, invoice.currency), _money(seen.remaining_minor, seen.currency)
        behind = push.credited_minor < invoice.offset_minor
        remedy = Remedy.COLLECT if behind else Remedy.PERSON
        found.append(_of(Difference.INVOICE_DUE, invoice, seen.id, (ours, theirs), remedy))
    return found


def about_past(invoice: Invoice, seen: GatewayInvoice) -> list[Found]:
    """Look at a copy that was paid before its invoice was asked for again: it stays paid."""
    if seen.state is GatewayInvoiceState.PAID:
        return []
    return [_of(Difference.INVOICE_STATE, invoice, seen.id, (GatewayInvoiceState.PAID, seen.state))]


def about_unknown_invoice(seen: GatewayInvoice, push: Push | None) -> list[Found]:
    """Report an invoice of the gateway that names one of ours and is not its copy, unless nothing can come of it."""
    if seen.invoice_id is None or seen.state is GatewayInvoiceState.VOID:
        return []
    known = push.gateway_invoice_id if push is not None else None
    shown = f"{seen.state} {_money(seen.total_minor, seen.currency)}"
    return [Found(Difference.INVOICE_UNKNOWN, seen.id, known or NOTHING, shown, seen.customer_id, seen.invoice_id)]


def about_payment(payment: GatewayPayment, invoice: Invoice, attempts: Sequence[Attempt]) -> list[Found]:
    """Compare money that came in for an invoice of ours with the attempts on it."""
    if payment.status != "paid":
        return []
    paid = [each for each in attempts if each.state in _BROUGHT]
    own = [each for each in paid if _is_by(each, payment)]
    theirs = _money(payment.paid_minor, payment.currency)
    if not own:
        # What staff recorded came another way: money that came there too is followed, and kept unapplied.
        remedy = Remedy.PERSON if any(not is_received(each) for each in paid) else Remedy.FOLLOW_INVOICE
        return [_of(Difference.PAYMENT_UNKNOWN, invoice, payment.gateway_invoice_id, (NOTHING, theirs), remedy)]
    ours = _money(own[0].amount.minor, own[0].amount.currency)
    if ours == theirs:
        return []
    return [_of(Difference.PAYMENT_AMOUNT, invoice, payment.gateway_invoice_id, (ours, theirs))]


def payment_of(seen: GatewayInvoice) -> GatewayPayment | None:
    """Return the money that an invoice of the gateway shows; None where none came in."""
    if seen.state is not GatewayInvoiceState.PAID or not seen.paid_minor:
        return None
    payment_id = seen.outcome.gateway_payment_id if seen.outcome is not None else None
    return GatewayPayment(seen.id, "paid", seen.currency, seen.paid_minor, seen.id, payment_id)


def about_refund(seen: GatewayRefund, ours: Refund | None, payer: CustomerId | None) -> list[Found]:
    """Compare a refund of the gateway with ours; `payer` is whose payment it gives back, where that is known here.

    One that nothing here tells of is reported, unless it did not come off. Ours is none either where it has another
    refund there: then money has gone twice.
    """
    if ours is None or ours.gateway_refund_id not in {None, seen.id}:
        return _unknown_refund(seen, payer or (ours.customer_id if ours is not None else None))
    found = []
    mine, theirs = _money(ours.amount.minor, ours.amount.currency), _money(seen.amount_minor, seen.currency)
    if mine != theirs:
        found.append(Found(Difference.REFUND_AMOUNT, seen.id, mine, theirs, ours.customer_id, ours.invoice_id))
    state = state_of(seen.status)
    if ours.state is not state:
        # A failed refund stays failed and what it was about is owed; one that succeeded can only fail.
        ended = ours.state is RefundState.FAILED or (ours.state, state) == (RefundState.SUCCEEDED, RefundState.PENDING)
        remedy = Remedy.PERSON if ended else Remedy.FOLLOW_REFUND
        pair = str(ours.state), seen.status
        found.append(Found(Difference.REFUND_STATE, seen.id, *pair, ours.customer_id, ours.invoice_id, remedy))
    return found


def _unknown_refund(seen: GatewayRefund, customer_id: CustomerId | None) -> list[Found]:
    if customer_id is None or state_of(seen.status) is RefundState.FAILED:
        return []
    shown = f"{seen.status} {_money(seen.amount_minor, seen.currency)}"
    return [Found(Difference.REFUND_UNKNOWN, seen.id, NOTHING, shown, customer_id)]


def about_missing_refund(ours: Refund) -> Found:
    """Report a refund of ours that the gateway does not know."""
    assert ours.gateway_refund_id is not None, "a refund that was never answered has no id there"
    shown = f"{ours.state} {_money(ours.amount.minor, ours.amount.currency)}"
    about, kind = ours.gateway_refund_id, Difference.REFUND_MISSING
    return Found(kind, about, shown, NOTHING, ours.customer_id, ours.invoice_id)


def about_dispute(seen: GatewayDispute, known: Dispute | None, customer_id: CustomerId | None) -> list[Found]:
    """Compare a dispute of a payment of ours with our row. Following it heals what its webhook would have told."""
    if customer_id is None:
        return []
    shown = f"{seen.status} {_money(seen.amount_minor, seen.currency)}"
    if known is None:
        remedy = Remedy.FOLLOW_DISPUTE
        return [Found(Difference.DISPUTE_UNKNOWN, seen.id, NOTHING, shown, customer_id, remedy=remedy)]
    ours = f"{known.status} {_money(known.amount.minor, known.amount.currency)}"
    if known.status != seen.status:
        remedy = Remedy.FOLLOW_DISPUTE
        return [Found(Difference.DISPUTE_STATUS, seen.id, ours, shown, customer_id, known.invoice_id, remedy)]
    if not agrees(known, seen):
        return [Found(Difference.DISPUTE_AMOUNT, seen.id, ours, shown, customer_id, known.invoice_id)]
    return []


def about_methods(
    customer_id: CustomerId, ours: Sequence[PaymentMethod], theirs: Sequence[GatewayMethod]
) -> list[Found]:
    """Compare what a customer has attached on both sides. Following the gateway heals each difference."""
    here = {each.gateway_method_id: each for each in ours}
    there = {each.id: each for each in theirs}
    follow = Remedy.FOLLOW_METHOD
    found = [
        Found(Difference.METHOD_UNKNOWN, key, NOTHING, there[key].kind, customer_id, remedy=follow)
        for key in there.keys() - here.keys()
    ]
    found += [
        Found(Difference.METHOD_MISSING, key, here[key].kind, NOTHING, customer_id, remedy=follow)
        for key in here.keys() - there.keys()
    ]
    for key in here.keys() & there.keys():
        mine, other = _details(here[key]), _details(there[key])
        if mine != other:
            found.append(Found(Difference.METHOD_DETAILS, key, mine, other, customer_id, remedy=follow))
    return sorted(found, key=lambda each: each.about)


def about_cash(
    customer_id: CustomerId, about: str, theirs: Sequence[GatewayCash], known: Collection[str]
) -> list[Found]:
    """Report what moved of a customer's transferred money and is not booked here; `about` is the gateway's customer."""
    unknown = [each for each in theirs if each.id not in known]
    if not unknown:
        return []
    shown = ", ".join(_money(each.amount_minor, each.currency) for each in unknown)
    return [Found(Difference.CASH_UNKNOWN, about, NOTHING, shown[:SHOWN_MAX], customer_id, remedy=Remedy.FOLLOW_CASH)]


def about_holder(holder: GatewayHolder, known: str | None) -> list[Found]:
    """Look at a customer of the gateway that names one of ours; `known` is the one that ours has there."""
    found = []
    if holder.customer_id is not None and known != holder.id:
        found.append(Found(Difference.CUSTOMER_UNKNOWN, holder.id, known or NOTHING, holder.id, holder.customer_id))
    if holder.balance_minor:
        theirs = _money(holder.balance_minor, holder.currency or "")
        found.append(Found(Difference.CUSTOMER_BALANCE, holder.id, "0", theirs, holder.customer_id))
    return found


def about_missing_customer(gateway_customer_id: str, customer_id: CustomerId) -> Found:
    """Report a customer of ours whom the gateway does not know any more."""
    return Found(Difference.CUSTOMER_MISSING, gateway_customer_id, gateway_customer_id, NOTHING, customer_id)


def _is_by(attempt: Attempt, payment: GatewayPayment) -> bool:
    """Whether a payment may be an attempt's own; what staff recorded came another way."""
    if is_received(attempt):
        return False
    return None in {attempt.gateway_payment_id, payment.payment_id} or attempt.gateway_payment_id == payment.payment_id


def _details(method: PaymentMethod | GatewayMethod) -> str:
    """Write what of a method may change: its last digits and its expiry."""
    expiry = f" {method.exp_month}/{method.exp_year}" if method.exp_month else ""
    return f"{method.last4 or ''}{expiry}"


def _of(
    kind: Difference, invoice: Invoice, about: str, values: tuple[str, str], remedy: Remedy = Remedy.PERSON
) -> Found:
    ours, theirs = values
    return Found(kind, about, str(ours), str(theirs), invoice.customer_id, invoice.id, remedy)


def _money(minor: int, currency: str) -> str:
    return f"{Money(minor, currency).major} {currency}" if currency else str(minor)
