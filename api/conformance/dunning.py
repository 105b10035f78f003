"""Dunning: `domain/dunning`, the classes of `domain/payments/declines.py`, and the statuses of a subscription."""

from dataclasses import replace
from itertools import pairwise
from uuid import UUID

from api.conformance.billing_dates import subscription_on
from api.conformance.case import Area, Found, Given, NotBuilt, instant
from api.conformance.system import NOON
from domain.dunning import case as cases
from domain.dunning.case import Case, CaseState, Step
from domain.dunning.policy import (
    Failure,
    Policy,
    Try,
    access,
    after_failure,
    asks_for_method,
    counted_failures,
    last_retry_at,
    may_retry,
    retries_of,
)
from domain.invoices.invoice import State as InvoiceState
from domain.kernel.ids import InvoiceId
from domain.payments.attempt import Trigger
from domain.payments.declines import DeclineClass, classify
from domain.subscriptions import lifecycle
from domain.subscriptions.subscription import AccessState, Status

_INVOICE = InvoiceId(UUID(int=0))
_TRIGGERS = {
    "billing": Trigger.BILLING,
    "scheduled_retry": Trigger.RETRY,
    "customer": Trigger.CUSTOMER,
    "customer_retry": Trigger.CUSTOMER,
    "manual": Trigger.CUSTOMER,
    "new_method": Trigger.NEW_METHOD,
    "payment_method_update": Trigger.NEW_METHOD,
}
_CLASSES = {
    DeclineClass.HARD: "never_same_card",
    DeclineClass.CUSTOMER: "customer_must_act",
    DeclineClass.DATA: "fix_card",
    DeclineClass.SOFT: "retry_later",
}
_ENDED = "canceled_ended"


def _retry_schedule(given: Given) -> Found:
    now = instant(given["now"])
    began = instant(given["past_due_since"]) if given.get("past_due_since") else now
    policy = Policy(retry_days=tuple(given["intervals_days"]))
    failure = Failure(now, began, given["failed_attempts_counted"], classify(None, decline_code=given["decline"]))
    after = after_failure(policy, failure, "UTC")
    return {
        "next_attempt_at": after.next_attempt_at,
        "subscription": after.status,
        "give_up": after.gives_up,
        "wait_until": after.waits_until,
    }


def _attempt_count(given: Given) -> Found:
    unknown = {each["trigger"] for each in given["attempts"]} - _TRIGGERS.keys()
    if unknown:
        raise NotBuilt(f"attempts started by {', '.join(sorted(unknown))}")
    return {"counted": counted_failures(Try(_TRIGGERS[each["trigger"]], each["ok"]) for each in given["attempts"])}


def _recovery(given: Given) -> Found:
    """Let a case and its subscription learn of an event."""
    planned = instant(given["pending_retry_at"]) if given["pending_retry_at"] else None
    before = Case(CaseState.OPEN, NOON, 1, planned, None)
    invoice = InvoiceState(given.get("invoice", "open"))
    status = Status.CANCELED if given["subscription"] == _ENDED else Status(given["subscription"])
    if given["event"] == "payment_succeeded":
        after = cases.paid(before, planned or NOON)
        status = _cleared(status)
        return {**_told(after, status, given), "invoice": InvoiceState.PAID}
    if given["event"] != "run_retry":
        raise NotBuilt(f"the event {given['event']}")
    after, step = cases.run(before, planned or NOON, invoice=invoice, subscription=status)
    return {**_told(after, status, given), "invoice": invoice, "charge_made": step is Step.CHARGE}


def _cleared(status: Status) -> Status:
    """Return what becomes of a subscription whose only failed invoice was paid."""
    before = replace(subscription_on({}, NOON, NOON, None), status=status, failed_invoice_ids=(_INVOICE,))
    return lifecycle.payment_cleared(before, _INVOICE).status


def _told(after: Case, status: Status, given: Given) -> Found:
    is_ended = given["subscription"] == _ENDED and status is Status.CANCELED
    return {"subscription": _ENDED if is_ended else status, "pending_retry_at": after.next_attempt_at}


def _decline_class(given: Given) -> Found:
    decline = classify(None, network_decline_code=given["response_code"])
    return {
        "class": _CLASSES[decline.kind],
        "scheduled_retries": may_retry(Policy(), Failure(NOON, NOON, 1, decline)),
        "ask_for_new_card": asks_for_method(decline),
    }


def dunning_plan(given: Given) -> Found:
    """Lay out the retries of a payment that failed on a day, each as so many days after the attempt before."""
    days = tuple(later - earlier for earlier, later in pairwise((0, *given["offsets_days"])))
    policy, failed_at = Policy(retry_days=days), instant(given["failed_at"])
    return {
        "retry_on": list(retries_of(policy, failed_at, "UTC")),
        "gives_up_after": last_retry_at(policy, failed_at, "UTC"),
    }


def grace(given: Given) -> Found:
    """Say what a customer may use some time after a payment failed, and whether it is still asked for."""
    policy, failed_at, at = Policy(grace_days=given["grace_days"]), instant(given["failed_at"]), instant(given["at"])
    last_at = last_retry_at(policy, failed_at, "UTC")
    state = access(policy, failed_at, at, given_up_at=last_at)
    return {"access": state is AccessState.FULL, "still_retrying": at < last_at}


AREA = Area(
    {
        "retry_schedule": _retry_schedule,
        "attempt_count": _attempt_count,
        "recovery": _recovery,
        "decline_class": _decline_class,
    }
)
