"""Take a case in hand, write what becomes of it, and do to the subscriptions on it what follows.

Whoever changes a case holds first the customer's subscriptions (the desk), then the case's invoice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from domain.contracts import service as contracts
from domain.contracts.desk.service import Desk
from domain.contracts.owing import service as owing
from domain.db import Tx
from domain.dunning import case as cases
from domain.dunning import store
from domain.dunning.case import Case, CaseState
from domain.dunning.policies import service as policies
from domain.dunning.policy import AfterLast, Mail, Policy, access_at, grace_end, strictest
from domain.dunning.store import Holding, StoredCase
from domain.invoices.opening import service as invoices
from domain.journal import jobs
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CaseId, InvoiceId, SubscriptionId, encode
from domain.kernel.values import dataclass
from domain.payments.attempt import Trigger
from domain.payments.declines import Decline
from domain.payments.ordering import service as orders
from domain.payments.ordering.service import Standing
from domain.subscriptions.subscription import AccessState, Status

# Unpaid invoices of one customer that are looked at for its access.
OWED_MAX = 200
# The step of a case whose invoice had been paid, and is due again.
BEGUN_ANEW = "begun_anew"
_FINAL_NOTICE = {
    AfterLast.UNPAID: "subscription_unpaid",
    AfterLast.CANCEL: "subscription_ended_unpaid",
    AfterLast.FALL_BACK: "moved_to_free",
    AfterLast.WRITE_OFF: "subscription_ended_unpaid",
}


@dataclass(frozen=True, slots=True)
class Filed:
    """A case in hand: the customer's held subscriptions, the locked invoice, the case, and the policies it follows.

    `policy` is that of the retries, `own` the one of each subscription's access.
    """

    desk: Desk
    standing: Standing
    stored: StoredCase
    policy: Policy
    holdings: tuple[Holding, ...]
    own: Mapping[SubscriptionId, Policy]

    @property
    def case(self) -> Case:
        """The case as it stands."""
        return self.stored.case


@dataclass(frozen=True, slots=True)
class Untried:
    """Why no payment of an invoice was tried, in place of a decline, and the mail that says so.

    `method_kind` is the kind of method by which it would be paid, in the gateway's word.
    """

    why: Decline
    method_kind: str
    notice: str


async def take(tx: Tx, call: Call, desk: Desk, invoice_id: InvoiceId) -> tuple[Standing, Filed | None]:
    """Lock an invoice and return its standing, and its case where it has one. Raises InvoiceNotFound."""
    del call
    standing = await orders.look(tx, desk.customer.id, invoice_id)
    stored = await store.find_case_of(tx, desk.customer.id, invoice_id)
    return standing, await _filed(tx, desk, standing, stored) if stored is not None else None


async def open_case(
    tx: Tx, call: Call, desk: Desk, standing: Standing, *, failed_at: datetime
) -> tuple[StoredCase, list[Holding], Policy]:
    """Make the case of an invoice, not stored yet, with the subscriptions on it and the policies they follow."""
    invoice = standing.invoice
    on_it = await owing.subscriptions_on(tx, desk, invoice.id)
    version, own = await policies.policies_for(tx, desk.catalogue, desk.customer.id, on_it)
    case_id = CaseId(call.new_id())
    new = StoredCase(
        customer_id=desk.customer.id,
        id=case_id,
        invoice_id=invoice.id,
        environment=invoice.environment,
        clock_id=desk.customer.clock_id,
        policy_id=version.id,
        amount=invoice.amount_due,
        case=Case(CaseState.OPEN, failed_at, 0, None, None),
        due_at=None,
        noted=(0, False),
        recovered_by=None,
        created_at=call.at,
    )
    holdings = [
        Holding(desk.customer.id, case_id, each.id, own[each.id].id, grace_end(own[each.id].policy, failed_at))
        for each in on_it
    ]
    return new, holdings, version.policy


async def insert(
    tx: Tx, call: Call, desk: Desk, standing: Standing, *, new: StoredCase, holdings: Sequence[Holding]
) -> Filed:
    """Store a new case."""
    due_at = _due_at(new.case, holdings, desk.now)
    stored = replace(new, due_at=due_at)
    await store.insert_case(tx, stored, holdings)
    filed = await _filed(tx, desk, standing, stored)
    await note(tx, call, filed, "opened", {"amount": stored.amount.major, "currency": stored.amount.currency})
    return filed


async def open_untried(
    tx: Tx, call: Call, desk: Desk, standing: Standing, *, failed_at: datetime, untried: Untried
) -> Filed:
    """Open the case of an invoice of which no payment was tried: its subscriptions are past due, its customer is told.

    The mail is about the case. Where the policy gives no time at all it ends at once.
    """
    new, holdings, policy = await open_case(tx, call, desk, standing, failed_at=failed_at)
    case, next_ = cases.opened(policy, failed_at, untried.why, method_kind=untried.method_kind, zone=desk.customer.zone)
    filed = await insert(tx, call, desk, standing, new=replace(new, case=case), holdings=holdings)
    await _follow_untried(tx, call, filed, untried, gives_up=next_.gives_up)
    return filed


async def begin_untried_anew(tx: Tx, call: Call, filed: Filed, *, untried: Untried) -> Filed:
    """Begin the case of an invoice anew that had been paid, and is asked for again without a payment being tried."""
    at, zone = filed.desk.now, filed.desk.customer.zone
    kind = untried.method_kind
    after, next_ = cases.reopened(filed.policy, at, untried.why, method_kind=kind, zone=zone, on_method=0)
    filed = await begin_graces(tx, filed, at)
    filed = await write(tx, call, filed, after, BEGUN_ANEW)
    await _follow_untried(tx, call, filed, untried, gives_up=next_.gives_up)
    return filed


async def _follow_untried(tx: Tx, call: Call, filed: Filed, untried: Untried, *, gives_up: bool) -> None:
    stored, desk = filed.stored, filed.desk
    await contracts.note_payment(tx, call, stored.customer_id, stored.invoice_id, succeeded=False, desk=desk)
    if gives_up:
        await finish(tx, call, filed)
    else:
        await mail_of_case(tx, call, filed, Mail.PAYMENT_FAILED, notice=untried.notice)
    await refresh_access(tx, call, desk)


async def drop(tx: Tx, call: Call, desk: Desk, standing: Standing) -> Filed:
    """Keep a case of an invoice that nobody asks for, as what it asks for has ended: it is closed as it is opened."""
    new, holdings, _ = await open_case(tx, call, desk, standing, failed_at=desk.now)
    filed = await insert(tx, call, desk, standing, new=new, holdings=holdings)
    after, _ = cases.run(new.case, desk.now, invoice=standing.invoice.state, subscription=Status.CANCELED)
    return await write(tx, call, filed, after, after.state.value)


async def write(
    tx: Tx,
    call: Call,
    filed: Filed,
    after: Case,
    kind: str | None,
    *,
    noted: tuple[int, bool] | None = None,
    recovered_by: Trigger | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Filed:
    """Write a case as it now is, with a step of the timeline and an audit entry, unless `kind` is None.

    Nothing is written without a change.
    """
    before = filed.stored
    due_at = _due_at(after, filed.holdings, filed.desk.now)
    stored = replace(
        before,
        case=after,
        due_at=due_at,
        noted=noted or before.noted,
        recovered_by=recovered_by or (before.recovered_by if after.state is not CaseState.OPEN else None),
    )
    if stored == before:
        return filed
    written = replace(filed, stored=await store.save_case(tx, before, stored))
    if kind is not None:
        await note(tx, call, written, kind, facts)
    return written


async def note(tx: Tx, call: Call, filed: Filed, kind: str, facts: Mapping[str, Any] | None = None) -> None:
    """Append a step to the timeline of a case, and the audit entry of it."""
    case, stored = filed.case, filed.stored
    shown = {
        "state": case.state,
        "next_attempt_at": _text(case.next_attempt_at),
        "waits_until": _text(case.waits_until),
        **(facts or {}),
    }
    values = {
        "customer_id": stored.customer_id,
        "id": call.new_id(),
        "case_id": stored.id,
        "at": filed.desk.now,
        "kind": kind,
        "facts": shown,
    }
    await store.insert_step(tx, values)
    about = encode("dunning_case", stored.id)
    known = {"invoice_id": encode("invoice", stored.invoice_id), **shown}
    await journal.audit(tx, call, f"dunning_{kind}", about, customer_id=stored.customer_id, facts=known)


async def mail(tx: Tx, call: Call, filed: Filed, which: Mail, *, notice: str, about: str) -> None:
    """Stage a mail about a row, where the policy of a case sends it."""
    if which in filed.policy.mails:
        customer = filed.desk.customer
        job = jobs.SendNotice(customer.id, notice, about)
        await journal.stage(tx, call, job, customer_id=customer.id, clock_id=customer.clock_id, run_at=filed.desk.now)


async def mail_of_case(tx: Tx, call: Call, filed: Filed, which: Mail, *, notice: str) -> None:
    """Stage a mail about a case itself, where its policy sends it: one of a kind for each beginning of the case.

    What was mailed before its invoice had been paid, and came due again, is told again.
    """
    stored = filed.stored
    began = await store.find_last_step(tx, stored.customer_id, stored.id, kinds=(BEGUN_ANEW,))
    about = str(stored.id) if began is None else f"{stored.id}:{began.id}"
    await mail(tx, call, filed, which, notice=notice, about=about)


async def extend_grace(tx: Tx, filed: Filed, by: timedelta, *, running_at: datetime) -> Filed:
    """Let the graces of a case that were not over at an instant end later. The case is to be written after it."""
    holdings = []
    for each in filed.holdings:
        later = each.grace_ends_at + by if each.grace_ends_at > running_at else each.grace_ends_at
        await store.save_grace(tx, each, later)
        holdings.append(replace(each, grace_ends_at=later))
    return replace(filed, holdings=tuple(holdings))


async def begin_graces(tx: Tx, filed: Filed, failed_at: datetime) -> Filed:
    """Let the graces of a case begin anew with a failure. The case is to be written after it."""
    holdings = [
        replace(each, grace_ends_at=grace_end(filed.own[each.subscription_id], failed_at)) for each in filed.holdings
    ]
    for before, after in zip(filed.holdings, holdings, strict=True):
        await store.save_grace(tx, before, after.grace_ends_at)
    return replace(filed, holdings=tuple(holdings))


async def end_graces(tx: Tx, filed: Filed, until: datetime) -> Filed:
    """Let the graces of a case end at an instant, unless they end later. The case is to be written after it."""
    holdings = [replace(each, grace_ends_at=max(each.grace_ends_at, until)) for each in filed.holdings]
    for before, after in zip(filed.holdings, holdings, strict=True):
        await store.save_grace(tx, before, after.grace_ends_at)
    return replace(filed, holdings=tuple(holdings))


async def refresh_access(tx: Tx, call: Call, desk: Desk) -> None:
    """Let checks of a customer's subscriptions answer by the strictest of what its unpaid invoices come to."""
    owed = await store.list_owed_cases(tx, desk.customer.id, limit=OWED_MAX)
    holdings = await store.holdings_of(tx, [(each.customer_id, each.id) for each in owed])
    found: dict[SubscriptionId, list[AccessState]] = {each: [] for each in desk.held}
    for each in owed:
        for holding in holdings[each.id]:
            found.setdefault(holding.subscription_id, []).append(access_of(each.case, holding, desk.now))
    wanted = {subscription_id: strictest(states) for subscription_id, states in found.items()}
    await owing.set_access(tx, call, desk, wanted)


def access_of(case: Case, holding: Holding, now: datetime) -> AccessState:
    """Return what a case comes to for the access of a subscription on it; while its clocks stand nothing gets worse."""
    given_up_at = case.closed_at if case.state is CaseState.GIVEN_UP else None
    return access_at(holding.grace_ends_at, min(now, case.stands_since or now), given_up_at=given_up_at)


async def finish(tx: Tx, call: Call, filed: Filed) -> None:
    """Do what the policy says about subscriptions whose invoice was not paid to the last day, and tell the customer.

    The case is given up already. Each subscription follows its own policy; the mail tells of the strictest.
    """
    notice = _FINAL_NOTICE[filed.policy.after_last]
    for holding in filed.holdings:
        action = filed.own[holding.subscription_id].after_last
        is_moved = await _end(tx, call, filed, holding.subscription_id, action)
        if action is AfterLast.FALL_BACK and not is_moved:
            notice = _FINAL_NOTICE[AfterLast.CANCEL]
    # While a payment waits for its customer the invoice stays open: it may still be confirmed.
    if filed.policy.after_last is AfterLast.WRITE_OFF and filed.standing.under_way is None:
        await write_off(tx, call, filed)
    if filed.holdings:  # An invoice over one-off charges alone ends nothing.
        await mail_of_case(tx, call, filed, Mail.ENDED, notice=notice)


async def write_off(tx: Tx, call: Call, filed: Filed, facts: Mapping[str, Any] | None = None) -> Filed:
    """Make the invoice of a case a bad debt. Raises InvoiceStateRefused, PaymentUnderWay."""
    stored = filed.stored
    await invoices.write_off_invoice(
        tx, call, filed.desk.now, customer_id=stored.customer_id, invoice_id=stored.invoice_id
    )
    return await write(tx, call, filed, cases.written_off(filed.case, filed.desk.now), "written_off", facts=facts)


async def _end(tx: Tx, call: Call, filed: Filed, subscription_id: SubscriptionId, action: AfterLast) -> bool:
    """Carry the final action out on one subscription; whether the free plan follows."""
    desk, invoice_id = filed.desk, filed.stored.invoice_id
    if action is AfterLast.UNPAID:
        await owing.give_up(tx, call, desk, subscription_id)
        return False
    if action is AfterLast.FALL_BACK:
        return await owing.fall_back(tx, call, desk, subscription_id, invoice_id) is not None
    await owing.end_unpaid(tx, call, desk, subscription_id, invoice_id)
    return False


async def _filed(tx: Tx, desk: Desk, standing: Standing, stored: StoredCase) -> Filed:
    holdings = (await store.holdings_of(tx, [(stored.customer_id, stored.id)]))[stored.id]
    ids = {stored.policy_id, *(each.policy_id for each in holdings)}
    found = await policies.policies_by_id(tx, ids)
    own = {each.subscription_id: found[each.policy_id].policy for each in holdings}
    return Filed(desk, standing, stored, found[stored.policy_id].policy, tuple(holdings), own)


def _due_at(case: Case, holdings: Sequence[Holding], now: datetime) -> datetime | None:
    return cases.due_at(case, [each.grace_ends_at for each in holdings if each.grace_ends_at > now])


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None
