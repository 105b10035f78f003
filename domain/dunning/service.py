"""Follow failed payments: open a case, charge when a retry is due, lower access, and end it.

Dunning learns of payments by PaymentSettled alone. Everything that is due is found in rows by "due <= now" per clock,
so what was missed is caught up, and each step is written in the transaction that decides on it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.contracts import service as contracts
from domain.contracts.desk.service import Desk
from domain.contracts.owing import service as owing
from domain.customers import service as customers
from domain.customers.store import Sight
from domain.db import Tx
from domain.dunning import cap, store
from domain.dunning import case as cases
from domain.dunning.case import CaseState, Step
from domain.dunning.filing import service as filing
from domain.dunning.filing.service import Filed
from domain.dunning.policy import BANK_DEBIT, Mail, Try, counted_failures
from domain.invoices.invoice import Invoice
from domain.invoices.invoice import State as InvoiceState
from domain.invoices.topping import service as topping
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import AttemptId, CaseId, ClockId, CustomerId, MethodId, encode
from domain.payments import service as payments
from domain.payments import store as payment_store
from domain.payments.attempt import ENDED, Attempt, AttemptState, Trigger, is_lost
from domain.payments.collection import is_early
from domain.payments.declines import Decline, DeclineClass
from domain.payments.method import PaymentMethod, method_to_retry
from domain.payments.ordering import service as orders
from domain.payments.ordering.service import Standing
from domain.subscriptions.subscription import Status

DUE_MAX = 1_000
STAGE_MAX = 500
_FAILED = frozenset((AttemptState.FAILED, AttemptState.ACTION_REQUIRED, AttemptState.RETURNED))
# What has failed or was overtaken while it waited for its customer; what was never sent has not.
_TRIED = _FAILED | {AttemptState.SUPERSEDED}


async def note_settled(tx: Tx, call: Call, *, customer_id: CustomerId, attempt_id: AttemptId) -> None:
    """Follow what became of an attempt: subscriptions, the case of its invoice, access, and the customer's mail.

    Safe to repeat and in any order: retries are counted from the attempts themselves.
    """
    desk = await owing.hold(tx, call, customer_id)
    attempt = await payments.follow_up(tx, call, customer_id=customer_id, attempt_id=attempt_id, desk=desk)
    if is_lost(attempt):
        return
    failed = attempt.state in {AttemptState.FAILED, AttemptState.RETURNED}
    if await topping.follow_attempt(tx, call, desk.now, customer_id, attempt.invoice_id, failed=failed):
        await _tell_top_up(tx, call, attempt)
        return
    standing, filed = await filing.take(tx, call, desk, attempt.invoice_id)
    if attempt.state is AttemptState.SUCCEEDED and filed is not None:
        if standing.invoice.state is not InvoiceState.VOID:  # What came for a void one is kept, and recovers nothing.
            await _recover(tx, call, filed, by=attempt)
    elif _is_begun_anew(standing, filed, attempt):
        assert filed is not None, "a case that begins anew has been"
        await _begin_anew(tx, call, filed, attempt)
    elif attempt.state in _FAILED and _is_owed(standing.invoice, desk.now):
        await _note_failure(tx, call, desk, standing, filed=filed, attempt=attempt)
    await filing.refresh_access(tx, call, desk)


def _is_owed(invoice: Invoice, now: datetime) -> bool:
    return invoice.state is InvoiceState.OPEN and not is_early(invoice, now)


async def _tell_top_up(tx: Tx, call: Call, attempt: Attempt) -> None:
    """Mail the customer what became of a top-up's payment: nobody is dunned for it."""
    notices = {AttemptState.FAILED: "top_up_failed", AttemptState.ACTION_REQUIRED: "payment_action_required"}
    if attempt.state in notices:
        job = jobs.SendNotice(attempt.customer_id, notices[attempt.state], str(attempt.id))
        await orders.stage(tx, call, job, attempt.customer_id)


async def run_case(tx: Tx, call: Call, *, customer_id: CustomerId, case_id: CaseId) -> None:
    """Do what is due about a case: order a retry, lower access, mail the last notice, or end it.

    Safe to repeat: what is not due, or done already, changes nothing.
    """
    found = await store.find_case(tx, case_id, sight=Sight(customer_id))
    if found is None:
        return
    desk = await owing.hold(tx, call, customer_id)
    _, filed = await filing.take(tx, call, desk, found.invoice_id)
    assert filed is not None, "a case is never deleted"
    if _waits_for_attempt(filed):
        assert filed.standing.under_way is not None, "it waits for an attempt"
        after = cases.ordered(filed.case, filed.standing.under_way.began_at)
        await filing.write(tx, call, filed, after, "waits_for_attempt")
    else:
        await _run(tx, call, filed)
    await filing.refresh_access(tx, call, desk)


async def _run(tx: Tx, call: Call, filed: Filed) -> None:
    before, invoice = filed.case, filed.standing.invoice
    after, step = cases.run(before, filed.desk.now, invoice=invoice.state, subscription=await _status(tx, filed))
    if after.state is not before.state:
        await _close(tx, call, filed, after)
    elif not before.is_still:
        if step is Step.CHARGE:
            filed = await _charge(tx, call, filed)
        elif _grace_ended(filed):
            await filing.mail_of_case(tx, call, filed, Mail.ACCESS_RESTRICTED, notice="access_restricted")
        filed = await _give_notice(tx, call, filed)
        # What was due by an end of a grace is so no more.
        await filing.write(tx, call, filed, filed.case, "grace_ended")


def _waits_for_attempt(filed: Filed) -> bool:
    """Whether money may be on its way, by an attempt that the case did not order: nothing gets worse meanwhile."""
    under_way = filed.standing.under_way
    is_owed = filed.case.state is CaseState.OPEN and filed.standing.invoice.state is InvoiceState.OPEN
    return is_owed and not filed.case.is_still and under_way is not None and under_way.state not in _FAILED


def _grace_ended(filed: Filed) -> bool:
    """Whether the end of a grace is what makes the case due."""
    due_at, now = filed.stored.due_at, filed.desk.now
    return due_at is not None and any(due_at <= each.grace_ends_at <= now for each in filed.holdings)


async def find_due(
    tx: Tx, *, clock_id: ClockId | None, now: datetime, limit: int = DUE_MAX
) -> Sequence[tuple[CustomerId, CaseId]]:
    """Return a clock's cases for which RunDunning is to be staged, at most DUE_MAX of each kind.

    Those to which something happens by time, and those whose invoice was closed another way than by an attempt; but
    none for which it is staged already: what cannot be run never keeps the others from their turn.
    """
    limit = min(limit, DUE_MAX)
    due = await store.list_due_cases(tx, clock_id=clock_id, now=now, limit=limit)
    overtaken = await store.list_overtaken_cases(tx, clock_id=clock_id, limit=limit)
    return [*dict.fromkeys([*due, *overtaken])]


async def stage_due(tx: Tx, call: Call, *, clock_id: ClockId | None) -> int:
    """Stage RunDunning for what is due on one clock (None: real time), at most STAGE_MAX of each kind; return how many.

    Safe to repeat: one job waits for a case. Raises ClockNotFound.
    """
    now = await customers.clock_now(tx, call, clock_id)
    due = await find_due(tx, clock_id=clock_id, now=now, limit=STAGE_MAX)
    for customer_id, case_id in due:
        job = jobs.RunDunning(customer_id, case_id)
        await journal.stage(tx, call, job, customer_id=customer_id, clock_id=clock_id, run_at=now)
    return len(due)


async def next_due_at(tx: Tx, clock_id: ClockId) -> datetime | None:
    """Return the earliest business instant at which something happens to a case of a test clock, or None."""
    return await store.find_next_due_at(tx, clock_id=clock_id)


async def _note_failure(
    tx: Tx, call: Call, desk: Desk, standing: Standing, *, filed: Filed | None, attempt: Attempt
) -> None:
    news = (attempt.number, attempt.state in ENDED)
    if filed is not None and news <= filed.stored.noted:
        return
    decline = _decline_on(standing.invoice, attempt)
    counted = max(1, counted_failures(_tries(standing)))
    facts = {"attempt": attempt.number, "decline_class": decline.kind, "trigger": attempt.trigger, "counted": counted}
    at = attempt.ended_at or desk.now
    if filed is None:
        new, holdings, policy = await filing.open_case(tx, call, desk, standing, failed_at=at)
        case, next_ = cases.opened(
            policy,
            at,
            decline,
            method_kind=await _kind(tx, attempt),
            zone=desk.customer.zone,
            counted=counted,
        )
        filed = await filing.insert(
            tx, call, desk, standing, new=replace(new, case=case, noted=news), holdings=holdings
        )
        await _tell_failure(tx, call, filed, attempt, is_first=True, gives_up=next_.gives_up)
        return
    if filed.case.state is not CaseState.OPEN:
        await filing.write(tx, call, filed, filed.case, "attempt_failed", noted=news, facts=facts)
        return
    filed, gives_up = await _follow_failure(tx, call, filed, attempt, counted=counted, at=at, facts=facts)
    await _tell_failure(tx, call, filed, attempt, is_first=False, gives_up=gives_up)


def _is_begun_anew(standing: Standing, filed: Filed | None, attempt: Attempt) -> bool:
    """Whether a case begins anew: its invoice had been paid, and is open again.

    A payment was returned by its bank, or staff ask for what was charged back and that fails.
    """
    if filed is None or standing.last is None or standing.last.id != attempt.id or attempt.state not in _FAILED:
        return False
    is_new = (attempt.number, True) > filed.stored.noted
    is_reopened = filed.case.state is CaseState.RECOVERED or (is_new and attempt.state is AttemptState.RETURNED)
    return is_reopened and standing.invoice.state is InvoiceState.OPEN


async def _begin_anew(tx: Tx, call: Call, filed: Filed, attempt: Attempt) -> None:
    """Follow a failure as the first one, from the instant of its end."""
    at = attempt.ended_at or filed.desk.now
    decline, zone = _decline_on(filed.standing.invoice, attempt), filed.desk.customer.zone
    kind, on_method = await _kind(tx, attempt), _tries_on(filed, attempt)
    after, next_ = cases.reopened(filed.policy, at, decline, method_kind=kind, zone=zone, on_method=on_method)
    filed = await filing.begin_graces(tx, filed, at)
    facts = {"attempt": attempt.number, "decline_class": decline.kind, "trigger": attempt.trigger}
    news = (attempt.number, attempt.state in ENDED)
    filed = await filing.write(tx, call, filed, after, filing.BEGUN_ANEW, noted=news, facts=facts)
    await _tell_failure(tx, call, filed, attempt, is_first=True, gives_up=next_.gives_up)


def _tries_on(filed: Filed, attempt: Attempt) -> int:
    """Count what was tried on the method of an attempt."""
    return sum(each.method_id == attempt.method_id for each in filed.standing.attempts if each.state in _TRIED)


async def _follow_failure(
    tx: Tx, call: Call, filed: Filed, attempt: Attempt, *, counted: int, at: datetime, facts: dict[str, object]
) -> tuple[Filed, bool]:
    """Note a later failure on the case; whether nothing follows it any more."""
    kind, zone = await _kind(tx, attempt), filed.desk.customer.zone
    on_method = _tries_on(filed, attempt)
    before, decline = filed.case, _decline_on(filed.standing.invoice, attempt)
    if kind == BANK_DEBIT:
        # While a debit is on its way nobody can do better: the grace waits for it.
        filed = await filing.extend_grace(tx, filed, at - attempt.began_at, running_at=attempt.began_at)
    if counted > before.counted:
        after, next_ = cases.failed_again(
            filed.policy,
            before,
            at,
            decline,
            method_kind=kind,
            zone=zone,
            counted=counted,
            on_method=on_method,
        )
        gives_up = next_.gives_up
    else:
        after = cases.failed_beside(filed.policy, before, at, decline, method_kind=kind, zone=zone, on_method=on_method)
        gives_up = False
    news = (attempt.number, attempt.state in ENDED)
    return await filing.write(tx, call, filed, after, "attempt_failed", noted=news, facts=facts), gives_up


async def _tell_failure(tx: Tx, call: Call, filed: Filed, attempt: Attempt, *, is_first: bool, gives_up: bool) -> None:
    """Mail what became of an attempt, or, where nothing follows it, how it ends."""
    if gives_up:
        await filing.finish(tx, call, filed)
        return
    status = await _status(tx, filed)
    if status is Status.CANCELED:
        # Nobody asks again for the money of what has ended: its mail must not promise, or threaten, what will not come.
        after, _ = cases.run(filed.case, filed.desk.now, invoice=filed.standing.invoice.state, subscription=status)
        filed = await filing.write(tx, call, filed, after, after.state.value)
    if attempt.trigger is Trigger.CUSTOMER and not is_first:
        return  # Whoever has just tried to pay has seen it.
    if attempt.state is AttemptState.ACTION_REQUIRED:
        notice = "payment_action_required"
    else:
        notice = "payment_failed" if is_first else "retry_failed"
    which = Mail.PAYMENT_FAILED if is_first else Mail.RETRY_FAILED
    await filing.mail(tx, call, filed, which, notice=notice, about=str(attempt.id))


async def _recover(tx: Tx, call: Call, filed: Filed, *, by: Attempt) -> None:
    after = cases.paid(filed.case, by.ended_at or filed.desk.now)
    facts = {"attempt": by.number, "trigger": by.trigger}
    await filing.write(
        tx, call, filed, after, "recovered", noted=(by.number, True), recovered_by=by.trigger, facts=facts
    )


async def _close(tx: Tx, call: Call, filed: Filed, after: cases.Case) -> None:
    """End a case by time, or because its invoice was paid, voided or written off another way."""
    stored = filed.stored
    filed = await filing.write(tx, call, filed, after, after.state.value)
    if after.state is CaseState.GIVEN_UP:
        await filing.finish(tx, call, filed)
    elif filed.standing.invoice.state is not InvoiceState.OPEN:
        await contracts.note_payment(tx, call, stored.customer_id, stored.invoice_id, succeeded=True)


async def _charge(tx: Tx, call: Call, filed: Filed) -> Filed:
    """Order the retry that is due, on the method that may be charged without the customer."""
    now, zone, standing = filed.desk.now, filed.desk.customer.zone, filed.standing
    method = method_to_retry(standing.methods, standing.attempts) if standing.under_way is None else None
    if method is None:
        after = cases.without_method(filed.policy, filed.case, zone=zone)
        return await filing.write(tx, call, filed, after, "waits_for_customer")
    allowed_at = await allowed(tx, filed, method, automatic=True)
    if allowed_at > now:
        after = cases.put_off(filed.policy, filed.case, allowed_at, longest=cap.PUT_OFF_MAX, zone=zone)
        return await filing.write(tx, call, filed, after, "put_off_by_cap", facts={"until": allowed_at.isoformat()})
    ordered = await orders.order_attempt(tx, call, now, standing, method_id=method.id, trigger=Trigger.RETRY)
    assert ordered is not None, "the invoice is open, and no attempt is under way"
    facts = {"attempt": ordered.number, "method_id": encode("method", method.id)}
    return await filing.write(tx, call, filed, cases.ordered(filed.case, now), "retry_ordered", facts=facts)


async def allowed(tx: Tx, filed: Filed, method: PaymentMethod, *, automatic: bool) -> datetime:
    """Return the first instant from now on at which the caps of card networks let a method be charged once more."""
    now = filed.desk.now
    if method.kind != "card":
        return now
    tries = await orders.tries_on(tx, method, since=now - cap.longest(filed.policy.caps))
    return cap.allowed_at(filed.policy.caps, method.brand, tries, now, automatic=automatic)


async def _give_notice(tx: Tx, call: Call, filed: Filed) -> Filed:
    """Mail the last notice where it is due."""
    notice_at = filed.case.notice_at
    if notice_at is None or notice_at > filed.desk.now:
        return filed
    if filed.holdings:  # It says what will end; an invoice over one-off charges alone ends nothing.
        await filing.mail_of_case(tx, call, filed, Mail.LAST_NOTICE, notice="last_notice")
    return await filing.write(tx, call, filed, cases.noticed(filed.case), "last_notice")


async def _status(tx: Tx, filed: Filed) -> Status:
    """Return canceled where every subscription on the invoice has ended: nobody asks for their money any more."""
    stored = filed.stored
    has_ended = await orders.have_ended(tx, stored.customer_id, stored.invoice_id)
    return Status.CANCELED if has_ended else Status.PAST_DUE


def decline_of(attempt: Attempt) -> Decline:
    """Return why an attempt failed; one that waits for its customer needs exactly that."""
    if attempt.state is AttemptState.ACTION_REQUIRED or attempt.decline is None:
        known = attempt.decline or Decline(DeclineClass.CUSTOMER)
        return replace(known, kind=DeclineClass.CUSTOMER)
    return attempt.decline


def _decline_on(invoice: Invoice, attempt: Attempt) -> Decline:
    """Return why an attempt failed. What was sent is never charged by the calendar: its customer has to act."""
    decline = decline_of(attempt)
    return replace(decline, kind=DeclineClass.CUSTOMER) if invoice.is_sent else decline


def _tries(standing: Standing) -> list[Try]:
    """Return the attempts that count, the oldest first. One that was returned had cleared all before it failed.

    The failure that begins a calendar is its first one, whoever started the attempt.
    """
    found: list[Try] = []
    for each in reversed(standing.attempts):
        if each.sent_at is None or is_lost(each):
            continue
        if each.state in {AttemptState.SUCCEEDED, AttemptState.RETURNED}:
            found.append(Try(each.trigger, is_paid=True))
        if each.state in _TRIED:
            is_first = not found or found[-1].is_paid
            found.append(Try(Trigger.BILLING if is_first else each.trigger, is_paid=False))
    return found


async def _kind(tx: Tx, attempt: Attempt) -> str:
    """Return the kind of method of an attempt, in the gateway's word."""
    if attempt.method_id is None:
        return "card"
    found = await payment_store.methods_by_id(tx, [MethodId(attempt.method_id)], scope=attempt.customer_id)
    return found[attempt.method_id].kind
