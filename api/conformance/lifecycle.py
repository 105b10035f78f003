"""What pauses and trials bill: `domain/subscriptions/pause.py`, `opening.py` and `domain/invoices/fees.py`."""

from datetime import datetime
from uuid import UUID

from api.conformance.billing_dates import subscription_on
from api.conformance.case import Found, Given, NotBuilt, instant
from domain.customers.customer import Customer
from domain.invoices.fees import fee_periods_begun
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, InvoiceId, PlanVersionId, ProductId, SubscriptionId
from domain.kernel.money import round_half_up
from domain.subscriptions import lifecycle, pause
from domain.subscriptions.opening import Opening, Sale, opened
from domain.subscriptions.schedule import Interval, boundary, period_containing
from domain.subscriptions.segments import following
from domain.subscriptions.subscription import Status, Subscription
from domain.subscriptions.term import term_of, with_term

_NOBODY = UUID(int=0)


def pause_state(given: Given) -> Found:
    """Ask for a pause, or end one, and say what comes of it."""
    if given["request"] == "resume":
        return _resumed(given)
    end = instant(given["period_end"]) if "period_end" in given else None
    start = boundary(end, "UTC", Interval.MONTH, -1) if end else instant("2025-06-01")
    before = _in_status(subscription_on(given, start, start, None), given)
    until = instant(given["resumes_at"]) if "resumes_at" in given else None
    asked = pause.ask_pause(before, start, resumes_at=until)
    paused = pause.pause(asked)
    begins_at, looked_at = paused.fee_period.end, until or paused.fee_period.end
    terms = with_term([term_of(before, start)], term_of(paused, begins_at, billed=False))
    billed = [fee for fee in fee_periods_begun(paused, terms, looked_at) if fee.service.start >= begins_at]
    granted = [during for during, _ in following(paused, None, begins_at) if begins_at in during]
    return {
        "status_now": asked.status,
        "status_at_period_end": paused.status,
        "orders_while_paused": len(billed),
        "entitlements_at_period_end": "granted" if granted else "revoked",
    }


def _resumed(given: Given) -> Found:
    paused_at = instant(given["paused_at"]) if "paused_at" in given else instant("2025-07-01")
    start = boundary(paused_at, "UTC", Interval.MONTH, -1)
    now = instant(given["now"]) if "now" in given else paused_at
    after = pause.resume(_in_status(subscription_on(given, start, start, None), given), now)
    whole = period_containing(after.anchor_at, after.zone, after.interval, now)
    return {
        "status": after.status,
        "new_period": [after.fee_period.start, after.fee_period.end],
        "charged": "full price" if after.fee_period.share_of(whole) == 1 else "a part",
        "meters_reset_at": after.period.start,
    }


def _in_status(running: Subscription, given: Given) -> Subscription:
    """Lead a subscription into the status of a case by what leads there."""
    status = Status(given["status"])
    if status is Status.PAUSED:
        return pause.pause(pause.ask_pause(running, running.started_at))
    return lifecycle.payment_failed(running, InvoiceId(_NOBODY)) if status is Status.PAST_DUE else running


def trial(given: Given) -> Found:
    """Charge the first fee after a trial: from local midnight to the first of the next calendar month."""
    zone, start = given["timezone"], instant(given["start"])
    if given["billing"] != "calendar" or given["mode"] != "in_advance" or zone != "UTC":
        raise NotBuilt(f"{given['billing']} billing {given['mode']} by {given['basis']} in {zone}")
    sale = Sale(_customer(zone, start), ProductId(_NOBODY), PlanVersionId(_NOBODY), Interval.MONTH, "USD")
    tried = opened(sale, Opening(start, trial_days=given["trial_days"], calendar=True), SubscriptionId(_NOBODY), start)
    paid = lifecycle.trial_over(tried)
    whole = period_containing(paid.anchor_at, zone, Interval.MONTH, paid.fee_period.start)
    return {"first_charge_minor": round_half_up(given["price_minor"] * paid.fee_period.share_of(whole))}


def _customer(zone: str, at: datetime) -> Customer:
    return Customer(
        id=CustomerId(_NOBODY),
        environment=Environment.TEST,
        external_id=None,
        name="Ada",
        email="ada@example.com",
        zone=zone,
        locale="en",
        country=None,
        clock_id=None,
        created_at=at,
        version=1,
    )
