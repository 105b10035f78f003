"""Follow disputes and returned debits as the gateway has them: the books, the invoice, the attempt, the wallet.

A dispute is fetched anew whatever an event says of it, and each of its moves is done once, so that any order and any
repetition of news come to the same end. It is answered, or accepted, on the gateway's own pages.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.erasing import service as erasing
from domain.customers.store import Sight
from domain.db import Database, Tx
from domain.invoices import reversal
from domain.invoices.forfeiting import service as forfeiting
from domain.invoices.invoice import Invoice, InvoiceNotFound
from domain.invoices.reversing import service as reversing
from domain.invoices.reversing.service import Part
from domain.invoices.service import find_invoice
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, DisputeId, InvoiceId, encode
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.payments import dispute as rules
from domain.payments import service as collection
from domain.payments import store as payments
from domain.payments.attempt import Attempt, AttemptState, Trigger, give_back
from domain.payments.copies import service as copies
from domain.payments.dispute import Dispute, DisputeCurrencyDiffers, Move, Stance
from domain.payments.disputing import store
from domain.payments.listed import GatewayDispute
from domain.payments.ordering import service as orders
from domain.payments.ordering.service import stage
from domain.payments.port import PaymentGateway
from domain.payments.unapplied import service as unapplying

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101
_BROUGHT = frozenset((AttemptState.SUCCEEDED, AttemptState.RETURNED))
_TOLD = {Stance.WON: ("dispute_won", "Dispute won"), Stance.LOST: ("dispute_lost", "Dispute lost")}


@dataclass(frozen=True, slots=True)
class _Case:
    """A dispute in hand, with its locked invoice and the attempt that is disputed, at business time `now`."""

    now: datetime
    dispute: Dispute
    invoice: Invoice
    attempt: Attempt

    @property
    def about(self) -> str:
        """The dispute's id, as entries name it."""
        return encode("dispute", self.dispute.id)

    @property
    def part(self) -> Part:
        """What is moved, and what of it counts on the invoice."""
        return Part(self.dispute.amount, self.dispute.counted_minor, self.about, self.dispute.unapplied_minor)


async def settle_from_gateway(
    db: Database, gateway: PaymentGateway, call: Call, gateway_dispute_id: str
) -> CustomerId | None:
    """Fetch a dispute from the gateway and converge on it; None where it is not of a payment of ours. Safe to repeat.

    Where the news of the payment itself have not come yet, they are followed first. Raises GatewayUnavailable,
    DisputeStatusUnknown, DisputeCurrencyDiffers.
    """
    seen = await gateway.fetch_dispute(gateway_dispute_id)
    if seen is None or seen.gateway_payment_id is None:
        return None
    attempt = await _attempt_of(db, seen.gateway_payment_id)
    if attempt is not None and attempt.state not in _BROUGHT:
        await _follow_payment(db, gateway, call, attempt)
        attempt = await _attempt_of(db, seen.gateway_payment_id)
    if attempt is None or attempt.state not in _BROUGHT:
        return None
    async with db.transaction() as tx:
        return await _converge(tx, call, attempt, seen)


async def list_disputes(
    tx: Tx,
    call: Call,
    *,
    customer_id: CustomerId | None = None,
    stance: Stance | None = None,
    open_only: bool = False,
    before: UUID | None = None,
    limit: int = PAGE_MAX,
) -> Sequence[Dispute]:
    """Return the disputes that the caller may see, the newest first, at most PAGE_MAX.

    Raises Forbidden, CustomerNotFound.
    """
    call.need(Permission.PAYMENT_READ)
    if customer_id is not None:
        await customers.load_customer(tx, call, customer_id)
    return await store.list_disputes(
        tx,
        sight=Sight(call.scope, call.principal.environment),
        customer_id=customer_id,
        stance=stance,
        open_only=open_only,
        before=before,
        limit=max(0, min(limit, PAGE_MAX)),
    )


async def load_dispute(tx: Tx, customer_id: CustomerId, dispute_id: DisputeId) -> Dispute:
    """Return a dispute to a job that names it."""
    found = await store.find_dispute(tx, customer_id, dispute_id)
    assert found is not None, "a dispute is never deleted"
    return found


async def came_after_end(tx: Tx, dispute: Dispute) -> bool:
    """Whether a bank has returned a debit of an invoice all of whose subscriptions have ended: nobody collects it."""
    invoice_id = dispute.invoice_id
    return dispute.stance is Stance.RETURNED and await orders.have_ended(tx, dispute.customer_id, invoice_id)


async def ask_again(tx: Tx, call: Call, invoice_id: InvoiceId) -> Invoice:
    """Have what was lost of a charged-back invoice collected again, by staff: at once from the default method.

    Without one its customer is asked for another (dunning), which charges it unless all that it asks for has ended; one
    that is sent to its customer is sent again. Raises Forbidden, InvoiceNotFound, CustomerErased, InvoiceStateRefused,
    InvoiceDisputed, TooLittleToCollect.
    """
    call.need(Permission.INVOICE_WRITE)
    found = await find_invoice(tx, call, invoice_id)
    if found is None:
        raise InvoiceNotFound
    await erasing.hold_present(tx, found.customer_id)
    before = await payments.lock_invoice(tx, found.customer_id, found.id)
    now = await customers.business_now(tx, call, before.customer_id)
    after = await reversing.ask_again(tx, call, now, before)
    await copies.retire(tx, call, after)
    standing = await orders.look(tx, after.customer_id, after.id)
    method = next((each for each in standing.methods if each.is_default and each.blocked is None), None)
    if method is not None and not after.is_sent:
        await orders.order_attempt(tx, call, now, standing, method_id=method.id, trigger=Trigger.STAFF)
    else:
        await stage(tx, call, jobs.CollectInvoice(after.customer_id, after.id), after.customer_id)
    return after


async def _attempt_of(db: Database, gateway_payment_id: str) -> Attempt | None:
    async with db.transaction() as tx:
        return await store.find_attempt_by(tx, gateway_payment_id)


async def _follow_payment(db: Database, gateway: PaymentGateway, call: Call, attempt: Attempt) -> None:
    """Follow the copy of an attempt's invoice: what is disputed was paid before."""
    async with db.transaction() as tx:
        push = await payments.find_push(tx, attempt.customer_id, attempt.invoice_id)
    if push is not None and push.gateway_invoice_id is not None:
        await collection.settle_from_gateway(db, gateway, call, push.gateway_invoice_id)


async def _converge(tx: Tx, call: Call, attempt: Attempt, seen: GatewayDispute) -> CustomerId:
    """Bring our row to what was fetched, with all that follows from it: the only place where a dispute has effects."""
    if seen.currency != attempt.amount.currency:
        raise DisputeCurrencyDiffers(seen.currency, attempt.amount.currency)
    invoice = await payments.lock_invoice(tx, attempt.customer_id, attempt.invoice_id)
    now = await customers.business_now(tx, call, attempt.customer_id)
    known = await store.find_dispute_of(tx, seen.id)
    before = known or _new(call, now, invoice, attempt, seen)
    after, moves = rules.follow(before, seen, now)
    if known is not None and after == known:
        return attempt.customer_id
    case = _Case(now, after, invoice, attempt)
    if known is None and not after.is_return:
        await _event(tx, call, case, "dispute_opened", text="Payment disputed")
    for move in moves:
        case = await _MOVES[move](tx, call, case)
    if known is None:
        await store.insert_dispute(tx, case.dispute)
    else:
        await store.save_dispute(tx, known, case.dispute)
    await _tell(tx, call, case, known)
    return attempt.customer_id


def _new(call: Call, now: datetime, invoice: Invoice, attempt: Attempt, seen: GatewayDispute) -> Dispute:
    """Return a dispute as it is before anything is known of it."""
    assert seen.gateway_payment_id is not None, "the attempt was found by it"
    return Dispute(
        customer_id=attempt.customer_id,
        id=DisputeId(call.new_id()),
        invoice_id=attempt.invoice_id,
        attempt_id=attempt.id,
        environment=invoice.environment,
        gateway_dispute_id=seen.id,
        gateway_payment_id=seen.gateway_payment_id,
        amount=Money(seen.amount_minor, seen.currency),
        reason=seen.reason,
        status=seen.status,
        stance=Stance.INQUIRY,
        disputed_at=seen.created_at,
        evidence_due_at=seen.evidence_due_at,
        created_at=call.at,
        opened_at=now,
    )


async def _withhold(tx: Tx, call: Call, case: _Case) -> _Case:
    dispute, invoice = case.dispute, case.invoice
    minor = dispute.amount.minor
    unapplied = await unapplying.withhold(tx, dispute.customer_id, dispute.attempt_id, minor=minor)
    counted = reversal.countable(invoice, minor) if unapplied is None else 0
    dispute = replace(dispute, is_booked=True, counted_minor=counted, unapplied_minor=unapplied or 0)
    invoice = await reversing.withhold(tx, call, case.now, invoice, replace(case, dispute=dispute).part)
    taken = await forfeiting.withhold(tx, call, case.now, invoice, minor=counted, about=case.about)
    if taken is not None:
        dispute = replace(dispute, withheld_minor=taken.minor, grant_id=taken.grant.id)
    return replace(case, dispute=dispute, invoice=invoice)


async def _release(tx: Tx, call: Call, case: _Case) -> _Case:
    dispute, invoice = case.dispute, case.invoice
    if not dispute.is_booked:
        return case
    invoice = await reversing.release(tx, call, case.now, invoice, case.part)
    dispute = await _free(tx, dispute)
    if dispute.withheld_minor and dispute.grant_id is not None:
        await forfeiting.give_back(
            tx,
            call,
            case.now,
            invoice,
            dispute.grant_id,
            minor=dispute.withheld_minor,
            about=case.about,
            cause=dispute.id,
        )
        dispute = replace(dispute, withheld_minor=0)
    return replace(case, dispute=dispute, invoice=invoice)


async def _lose(tx: Tx, call: Call, case: _Case) -> _Case:
    dispute, invoice = case.dispute, case.invoice
    if not dispute.is_booked:
        return case
    invoice = await reversing.lose(tx, call, case.now, invoice, case.part)
    if dispute.withheld_minor:
        await forfeiting.forfeit(tx, call, case.now, invoice, minor=dispute.withheld_minor)
    return replace(case, invoice=await payments.lock_invoice(tx, invoice.customer_id, invoice.id))


async def _return(tx: Tx, call: Call, case: _Case) -> _Case:
    """Note that the attempt has failed after all, and ask for its invoice again by another copy."""
    dispute, attempt = case.dispute, case.attempt
    after = give_back(attempt, rules.return_of(dispute.reason), call.at, case.now)
    if after != attempt:
        await payments.save_attempt(tx, attempt, after)
    if dispute.is_booked:
        invoice = await reversing.give_back(tx, call, case.now, case.invoice, case.part)
        if dispute.withheld_minor:
            await forfeiting.forfeit(tx, call, case.now, invoice, minor=dispute.withheld_minor)
        if invoice.reopened > case.invoice.reopened:
            await copies.retire(tx, call, await payments.lock_invoice(tx, invoice.customer_id, invoice.id))
            await stage(tx, call, jobs.CollectInvoice(attempt.customer_id, attempt.invoice_id), attempt.customer_id)
    await stage(tx, call, jobs.PaymentSettled(attempt.customer_id, attempt.id), attempt.customer_id)
    invoice = await payments.lock_invoice(tx, attempt.customer_id, attempt.invoice_id)
    return replace(case, attempt=after, invoice=invoice)


async def _reinstate(tx: Tx, call: Call, case: _Case) -> _Case:
    if not case.dispute.is_booked:
        return case
    invoice, owed = await reversing.reinstate(tx, call, case.now, case.invoice, case.part)
    await unapplying.keep_won_back(tx, call, case.now, case.dispute, owed)
    return replace(case, dispute=await _free(tx, case.dispute), invoice=invoice)


async def _free(tx: Tx, dispute: Dispute) -> Dispute:
    """Give back to an unapplied payment what the bank had taken of it."""
    minor = dispute.unapplied_minor
    await unapplying.release(tx, dispute.customer_id, dispute.attempt_id, minor=minor)
    return replace(dispute, unapplied_minor=0)


_Do = Callable[[Tx, Call, _Case], Awaitable[_Case]]
_MOVES: dict[Move, _Do] = {
    Move.WITHHOLD: _withhold,
    Move.RELEASE: _release,
    Move.LOSE: _lose,
    Move.RETURN: _return,
    Move.REINSTATE: _reinstate,
}


async def _tell(tx: Tx, call: Call, case: _Case, known: Dispute | None) -> None:
    """Append billing events and an audit entry of what is new, and have staff and dunning follow it."""
    dispute = case.dispute
    if dispute.stance is Stance.RETURNED and (known is None or known.stance is not Stance.RETURNED):
        await _event(tx, call, case, "payment_returned", text="Payment returned by the bank")
    elif dispute.stance in _TOLD and (known is None or known.stance is not dispute.stance):
        event_type, text = _TOLD[dispute.stance]
        await _event(tx, call, case, event_type, text=text)
    facts = {
        **_facts(case),
        "gateway_dispute_id": dispute.gateway_dispute_id,
        "status": dispute.status,
        "amount_minor": dispute.amount.minor,
        "currency": dispute.amount.currency,
    }
    await journal.audit(tx, call, "follow_dispute", case.about, customer_id=dispute.customer_id, facts=facts)
    await stage(tx, call, jobs.DisputeMoved(dispute.customer_id, dispute.id), dispute.customer_id)


async def _event(tx: Tx, call: Call, case: _Case, event_type: str, *, text: str) -> None:
    amount = case.dispute.amount
    await journal.tell(
        tx,
        call,
        case.now,
        case.dispute.customer_id,
        event_type,
        description=f"{text}: {amount.major} {amount.currency}",
        amount=amount,
        metadata=_facts(case),
    )


def _facts(case: _Case) -> dict[str, str]:
    return {
        "dispute_id": case.about,
        "invoice_id": encode("invoice", case.dispute.invoice_id),
        "attempt_id": encode("attempt", case.dispute.attempt_id),
        "reason": case.dispute.reason,
    }
