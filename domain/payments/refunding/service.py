"""Order refunds of credit notes, carry them out at the gateway once, and book those whose money has gone."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.store import Sight
from domain.db import Database, Tx
from domain.invoices.credit_note import CreditNote
from domain.invoices.crediting import store as notes
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CreditNoteId, CustomerId, RefundId, encode
from domain.kernel.money import Money
from domain.ledger import account
from domain.ledger import service as ledger
from domain.payments import refund as rules
from domain.payments import store as payments
from domain.payments.attempt import AttemptState, key_expired
from domain.payments.disputing import store as disputes
from domain.payments.listed import GatewayRefund
from domain.payments.methods.service import check_environment
from domain.payments.ordering.service import stage
from domain.payments.overdue import service as overdue
from domain.payments.port import GatewayRefused, GatewayUnavailable, PaymentGateway
from domain.payments.refund import CreditNoteNotFound, PaidIn, Refund, RefundReason, RefundState
from domain.payments.refunding import store
from domain.payments.unapplied import service as unapplying
from domain.payments.unapplied import store as unapplied

STALE_AFTER = timedelta(minutes=2)
# A refund of a bank debit ends without news: it is looked at again.
LOOK_AGAIN_AFTER = timedelta(hours=6)


async def find_note(tx: Tx, call: Call, note_id: CreditNoteId) -> CreditNote:
    """Return a credit note that may be refunded by the caller. Raises Forbidden, CreditNoteNotFound."""
    call.need(Permission.INVOICE_WRITE)
    note = await notes.find_note(tx, note_id, sight=Sight(call.scope, call.principal.environment))
    if note is None:
        raise CreditNoteNotFound
    return note


async def order(
    tx: Tx, call: Call, note_id: CreditNoteId, *, amount: Money | None, reason: RefundReason
) -> Sequence[Refund]:
    """Have what a credit note owes paid back, or a part of it; None is all that is left. Nothing is booked by it yet.

    Where several payments have to give it, each gives a refund of its own: all of them are written before the first is
    sent, and one that fails leaves its part owed, to be ordered again. The invoice's lock lets two orders follow each
    other, and the later one sees the earlier. Not repeatable: each call orders more. Raises Forbidden,
    CreditNoteNotFound, RefundMalformed, RefundTooLarge, RefundUnsupported.
    """
    note = await find_note(tx, call, note_id)
    await payments.lock_invoice(tx, note.customer_id, note.invoice_id)
    owner = (note.customer_id, note.invoice_id)
    before = (await store.list_refunds_of(tx, [owner]))[note.invoice_id]
    wanted = rules.amount_of(Money(note.refund_minor, note.currency), note.id, amount, before)
    now = await customers.business_now(tx, call, note.customer_id)
    ordered = [
        _ordered(call, now, note, part, reason) for part in rules.parts_of(wanted, await _paid_in(tx, note), before)
    ]
    for each in ordered:
        await write(tx, call, each)
    return ordered


async def write(tx: Tx, call: Call, ordered: Refund) -> None:
    """Write an ordered refund and have it carried out; whoever decided on it holds its invoice."""
    await store.insert_refund(tx, ordered)
    await stage(tx, call, jobs.CarryRefund(ordered.customer_id, ordered.id), ordered.customer_id)
    await _tell(tx, call, ordered, "refund_ordered", "order_refund", text="Refund ordered")


def _ordered(call: Call, now: datetime, note: CreditNote, part: PaidIn, reason: RefundReason) -> Refund:
    refund_id = RefundId(call.new_id())
    return Refund(
        customer_id=note.customer_id,
        id=refund_id,
        credit_note_id=note.id,
        invoice_id=note.invoice_id,
        environment=note.environment,
        gateway_payment_id=part.gateway_payment_id,
        amount=Money(part.amount_minor, note.currency),
        reason=reason,
        key=rules.refund_key(note.environment, refund_id),
        state=RefundState.PLANNED,
        created_at=call.at,
        ordered_at=now,
    )


async def carry_out(
    db: Database, gateway: PaymentGateway, call: Call, *, customer_id: CustomerId, refund_id: RefundId
) -> Refund:
    """Send a refund to the gateway, or find out what became of it. Safe to repeat, to run twice and to be killed.

    It is committed as sent before the call. After a lost reply the same key is sent again; once that is too old to be
    safe, the gateway is searched, and a refund that it has never seen has failed. Raises GatewayUnavailable (unknown:
    try again later), GatewayEnvironmentDiffers.
    """
    async with db.transaction() as tx:
        check_environment(gateway, await customers.load_customer(tx, call, customer_id))
        begun = await _begin(tx, call, customer_id, refund_id)
    if begun.state in {RefundState.SUCCEEDED, RefundState.FAILED}:
        return begun
    assert begun.sent_at is not None, "it is sent now, or was before"
    try:
        seen = await _ask(gateway, begun, is_old=key_expired(begun.sent_at, call.at))
    except GatewayUnavailable:
        async with db.transaction() as tx:
            before = await _lock(tx, begun)
            await _save(tx, before, rules.lose(before))
        raise
    except GatewayRefused as refusal:
        # A reply that the gateway has forgotten could make it refuse what it has done: what it holds decides.
        seen = await gateway.refunds.find_refund(begun.gateway_payment_id, begun.id)
        async with db.transaction() as tx:
            return await (_settle(tx, call, begun, seen) if seen else _fail(tx, call, begun, refusal.reason))
    async with db.transaction() as tx:
        return await (_settle(tx, call, begun, seen) if seen else _fail(tx, call, begun, rules.NO_TRACE))


async def settle_from_gateway(
    db: Database, gateway: PaymentGateway, call: Call, gateway_refund_id: str
) -> CustomerId | None:
    """Fetch a refund from the gateway and converge on it; None where it is none of ours. Safe to repeat."""
    seen = await gateway.refunds.fetch_refund(gateway_refund_id)
    if seen is None:
        return None
    async with db.transaction() as tx:
        known = await store.find_refund_of(tx, seen.id) or await _named(tx, seen)
        if known is None:
            return None
        await _settle(tx, call, known, seen)
        return known.customer_id


async def reconcile_stale(db: Database, gateway: PaymentGateway, call: Call, *, limit: int) -> int:
    """Find out what became of refunds whose answer is overdue (real time); return how many were told of."""
    async with db.transaction() as tx:
        stale = await store.list_stale(tx, sent_before=call.at - STALE_AFTER, at=call.at, limit=limit)

    async def look(refund: Refund) -> None:
        await carry_out(db, gateway, call, customer_id=refund.customer_id, refund_id=refund.id)

    return await overdue.look_at(db, call, stale, look)


async def look_again(tx: Tx, call: Call, refund: Refund) -> None:
    """Have a refund that is on its way looked at later, in real time: the gateway has no test clock of ours."""
    if refund.state is RefundState.PENDING:
        job = jobs.CarryRefund(refund.customer_id, refund.id)
        await journal.stage(tx, call, job, customer_id=refund.customer_id, run_at=call.at + LOOK_AGAIN_AFTER)


async def _paid_in(tx: Tx, note: CreditNote) -> list[PaidIn]:
    """Return what came for an invoice through the gateway and stayed with it, the oldest first."""
    owner = (note.customer_id, note.invoice_id)
    attempts = (await payments.list_attempts_of(tx, [owner]))[note.invoice_id]
    taken = Counter(await disputes.taken_of(tx, *owner)) + Counter(await unapplied.unapplied_of(tx, *owner))
    return [
        PaidIn(each.gateway_payment_id, each.amount.minor - taken[each.gateway_payment_id])
        for each in reversed(attempts)
        if each.state is AttemptState.SUCCEEDED and each.gateway_payment_id is not None
    ]


async def _begin(tx: Tx, call: Call, customer_id: CustomerId, refund_id: RefundId) -> Refund:
    found = await store.find_refund(tx, customer_id, refund_id)
    assert found is not None, "a refund is never deleted"
    before = await _lock(tx, found)
    after = rules.send(before, call.at) if before.state is RefundState.PLANNED else before
    return await _save(tx, before, after)


async def _ask(gateway: PaymentGateway, begun: Refund, *, is_old: bool) -> GatewayRefund | None:
    if begun.gateway_refund_id is not None:
        seen = await gateway.refunds.fetch_refund(begun.gateway_refund_id)
        if seen is None:
            # The gateway keeps refunds for good: it is another account that answers, and proves nothing.
            raise GatewayUnavailable("refund_missing")
        return seen
    if is_old:
        return await gateway.refunds.find_refund(begun.gateway_payment_id, begun.id)
    return await gateway.refunds.create_refund(begun, key=begun.key)


async def _named(tx: Tx, seen: GatewayRefund) -> Refund | None:
    """Return the refund of ours that one of the gateway names, where it takes from the same payment."""
    if seen.customer_id is None or seen.refund_id is None:
        return None
    found = await store.find_refund(tx, seen.customer_id, seen.refund_id)
    return found if found is not None and found.gateway_payment_id == seen.gateway_payment_id else None


async def _settle(tx: Tx, call: Call, known: Refund, seen: GatewayRefund) -> Refund:
    """Apply what the gateway shows, and its effects: with `_fail` the only place where a refund has any."""
    before = await _lock(tx, known)
    now = await customers.business_now(tx, call, before.customer_id)
    return await _apply(tx, call, before, rules.settle(before, seen, call.at, now))


async def _fail(tx: Tx, call: Call, known: Refund, failure: str) -> Refund:
    before = await _lock(tx, known)
    now = await customers.business_now(tx, call, before.customer_id)
    return await _apply(tx, call, before, rules.fail(before, failure, call.at, now))


async def _apply(tx: Tx, call: Call, before: Refund, after: Refund) -> Refund:
    saved = await _save(tx, before, after)
    if after.state is RefundState.SUCCEEDED and before.state is not RefundState.SUCCEEDED:
        await _post(tx, call, after, "refund_succeeded", after.amount)
        await _tell(tx, call, after, "refund_succeeded", "refund_succeeded", text="Refund sent")
    elif after.state is RefundState.FAILED and before.state is not RefundState.FAILED:
        if before.state is RefundState.SUCCEEDED:
            await _post(tx, call, after, "refund_failed", -after.amount)
        if after.unapplied_payment_id is not None:
            owner, minor = after.customer_id, after.amount.minor
            await unapplying.put_back(tx, owner, after.unapplied_payment_id, minor=minor)
        await _tell(tx, call, after, "refund_failed", "refund_failed", text="Refund failed")
    return saved


async def _post(tx: Tx, call: Call, after: Refund, reason: str, amount: Money) -> None:
    assert after.ended_at is not None, "only an end is booked"
    await ledger.post(
        tx,
        call,
        after.ended_at,
        customer_id=after.customer_id,
        environment=after.environment,
        reason=reason,
        about=encode("refund", after.id),
        lines=account.paid_back(amount) if after.credit_note_id is not None else account.transferred(-amount),
    )


async def _tell(tx: Tx, call: Call, refund: Refund, event_type: str, action: str, *, text: str) -> None:
    """Append the billing event, without the gateway's reasons, and the audit entry, with them."""
    about = encode("refund", refund.id)
    facts = {"refund_id": about, "invoice_id": encode("invoice", refund.invoice_id)}
    if refund.credit_note_id is not None:
        facts["credit_note_id"] = encode("credit_note", refund.credit_note_id)
    if refund.unapplied_payment_id is not None:
        facts["unapplied_payment_id"] = encode("unapplied_payment", refund.unapplied_payment_id)
    now = refund.ended_at or refund.ordered_at
    await journal.tell(
        tx, call, now, refund.customer_id, event_type, description=text, amount=refund.amount, metadata=facts
    )
    more = {"amount_minor": refund.amount.minor, "currency": refund.amount.currency, "reason": refund.reason}
    why = {"failure": refund.failure} if refund.failure else {}
    await journal.audit(tx, call, action, about, customer_id=refund.customer_id, facts=facts | more | why)


async def _lock(tx: Tx, known: Refund) -> Refund:
    await payments.lock_invoice(tx, known.customer_id, known.invoice_id)
    found = await store.find_refund(tx, known.customer_id, known.id)
    assert found is not None, "a refund is never deleted"
    return found


async def _save(tx: Tx, before: Refund, after: Refund) -> Refund:
    if after == before:
        return before
    await store.save_refund(tx, before, after)
    found = await store.find_refund(tx, after.customer_id, after.id)
    assert found is not None, "a refund is never deleted"
    return found
