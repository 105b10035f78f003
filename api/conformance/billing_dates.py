"""Billing dates: `domain/subscriptions/schedule.py`, and the segments and fee periods that follow from it."""

import re
from datetime import datetime
from uuid import UUID

from api.conformance.case import Area, Found, Given, NotBuilt, instant
from api.conformance.system import System, new_invoices_of_runs
from domain.invoices.assembly import fee_periods_begun
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, PlanVersionId, ProductId, SubscriptionId
from domain.kernel.period import Period
from domain.subscriptions.schedule import Interval, boundary, period_containing, period_number
from domain.subscriptions.segments import first_stretch, following
from domain.subscriptions.subscription import Source, Status, Subscription

_INTERVALS = {"P1M": Interval.MONTH, "P1Y": Interval.YEAR}
_NOBODY = UUID(int=0)
_DAY = re.compile(r"-(\d{2})(?:T|$)")


def _interval(given: Given) -> Interval:
    every = given["every"]
    if every not in _INTERVALS:
        raise NotBuilt(f"periods of {every}")
    return _INTERVALS[every]


def _grid(given: Given) -> tuple[datetime, str, Interval]:
    zone = given.get("timezone", "UTC")
    start = given.get("anchor") or given.get("start") or given["from"]
    anchor_at = instant(start, zone)
    if "bill_day" in given and given["bill_day"] != _day(start):
        raise NotBuilt("a bill day apart from the start")
    return anchor_at, zone, _interval(given)


def _day(text: str) -> int:
    found = _DAY.search(text)
    assert found is not None, "a date ends in its day"
    return int(found[1])


def _at(given: Given, key: str = "at") -> datetime:
    return instant(given[key], given.get("timezone", "UTC"))


def _boundaries(given: Given) -> Found:
    grid = _grid(given)
    return {"boundaries": [boundary(*grid, n) for n in range(given["count"])]}


def _period_containing(given: Given) -> Found:
    found = period_containing(*_grid(given), _at(given))
    return {"start": found.start, "end": found.end}


def _cycle_end_after(given: Given) -> Found:
    end = period_containing(*_grid(given), _at(given)).end
    if "not_before" in given and _at(given, "not_before") > end:
        raise NotBuilt("an end that waits for a trial")
    return {"end": end}


def _event_period(given: Given) -> Found:
    return {"period_start": period_containing(*_grid(given), _at(given, "event_at")).start}


def _elapsed_cycles(given: Given) -> Found:
    return {"cycles": period_number(*_grid(given), _at(given))}


def _whole_periods_between(given: Given) -> Found:
    return {"periods": period_number(*_grid(given), _at(given, "to"))}


def _advance_by(given: Given) -> Found:
    anchor_at, zone, interval = _grid(given)
    date = boundary(anchor_at, zone, interval, given["n"])
    return {"date": date, "back": boundary(date, zone, interval, -given["n"])}


def _next_boundary(given: Given) -> Found:
    found = period_containing(*_grid(given), _at(given))
    is_here = given["inclusive"] and found.start == _at(given)
    return {"next": found.start if is_here else found.end}


def subscription_on(given: Given, anchor_at: datetime, started_at: datetime, ends_at: datetime | None) -> Subscription:
    """Make a subscription on the grid of a case."""
    zone, interval = given.get("timezone", "UTC"), _INTERVALS[given.get("every", "P1M")]
    return Subscription(
        customer_id=CustomerId(_NOBODY),
        id=SubscriptionId(_NOBODY),
        product_id=ProductId(_NOBODY),
        plan_version_id=PlanVersionId(_NOBODY),
        environment=Environment.TEST,
        status=Status.ACTIVE,
        source=Source.TOLLGATE,
        gateway_id=None,
        anchor_at=anchor_at,
        zone=zone,
        interval=interval,
        currency="USD",
        quantity=1,
        started_at=started_at,
        period=period_containing(anchor_at, zone, Interval.MONTH, started_at),
        fee_period=period_containing(anchor_at, zone, interval, started_at),
        cancel_at=ends_at,
        canceled_at=None,
        ended_at=None,
        settles_at=None,
        cancel_reason=None,
        cancel_feedback=None,
        failed_invoice_ids=(),
        epoch=0,
        version=1,
    )


def _billed_period_at_run(given: Given) -> Found:
    """Find what a run bills: the last fee period begun, in advance, or the last segment ended, in arrears."""
    if given["alignment"] != "anniversary":
        raise NotBuilt("alignment to the calendar")
    anchor_at, _, interval = _grid(given)
    run_at = _at(given, "run_at")
    subscription = subscription_on(given, anchor_at, anchor_at, None)
    if given["mode"] == "advance":
        return _span(fee_periods_begun(subscription, (), run_at)[-1].service)
    if interval is not Interval.MONTH:
        raise NotBuilt("usage billed by the year")
    ended = [during for during, _ in following(subscription, None, run_at) if during.end <= run_at]
    return _span(ended[-1])


def _span(period: Period) -> Found:
    return {"from": period.start, "to": period.end}


def _advance_billed_through(given: Given) -> Found:
    anchor_at, _, _ = _grid(given)
    begun = fee_periods_begun(subscription_on(given, anchor_at, anchor_at, None), (), _at(given, "target"))
    return {"billed_through": begun[-1].service.end, "whole_periods": len(begun)}


def _period_capped_by_end(given: Given) -> Found:
    start, ends_at = _at(given, "start"), _at(given, "subscription_end")
    stretch, _ = first_stretch(subscription_on(given, _at(given, "next_boundary"), start, ends_at), start)
    return {"period_end": stretch.end}


async def _run_billing_repeatedly(system: System, given: Given) -> Found:
    anchor_at, _, _ = _grid(given)
    runs = [instant(each) for each in given["run_at"]]
    created = await new_invoices_of_runs(system, anchor_at, _interval(given), given["timezone"], runs)
    # The subscription's earlier boundaries fall due in the first run too, unless a run before it took them.
    return {"invoices_created": sum(created)}


AREA = Area(
    {
        "boundaries": _boundaries,
        "period_containing": _period_containing,
        "bill_day_period_containing": _period_containing,
        "cycle_end_after": _cycle_end_after,
        "event_period": _event_period,
        "elapsed_cycles": _elapsed_cycles,
        "whole_periods_between": _whole_periods_between,
        "advance_by": _advance_by,
        "next_boundary": _next_boundary,
        "billed_period_at_run": _billed_period_at_run,
        "advance_billed_through": _advance_billed_through,
        "period_capped_by_end": _period_capped_by_end,
    },
    served={"run_billing_repeatedly": _run_billing_repeatedly},
)
