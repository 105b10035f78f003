"""Billing dates: `domain/subscriptions/schedule.py`, and the segments and fee periods that follow from it."""

import re
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from api.conformance.case import Area, Found, Given, NotBuilt, instant
from api.conformance.system import System, new_invoices_of_runs
from domain.invoices.fees import fee_periods_begun
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, PlanVersionId, ProductId, SubscriptionId
from domain.kernel.period import Period
from domain.subscriptions import lifecycle
from domain.subscriptions.schedule import (
    Cadence,
    Every,
    Interval,
    anchor_of_bill_day,
    boundary,
    calendar_anchor,
    first_boundary_from,
    period,
    period_containing,
    period_number,
)
from domain.subscriptions.segments import first_stretch, following
from domain.subscriptions.subscription import Source, Status, Subscription
from domain.subscriptions.trial import trial_end

_INTERVALS = {"P1M": Interval.MONTH, "P1Y": Interval.YEAR}
_NOBODY = UUID(int=0)
_DURATION = re.compile(r"P(\d+)([DWM])")


def _every(given: Given) -> Every:
    every = str(given["every"])
    if every in _INTERVALS:
        return _INTERVALS[every]
    found = _DURATION.fullmatch(every)
    assert found is not None, "a period is days, weeks, months or a year"
    count, unit = int(found[1]), found[2]
    return Cadence(months=count) if unit == "M" else Cadence(days=count * 7 if unit == "W" else count)


def _interval(given: Given) -> Interval:
    every = given["every"]
    if every not in _INTERVALS:
        raise NotBuilt(f"subscriptions by {every}")
    return _INTERVALS[every]


def _grid(given: Given) -> tuple[datetime, str, Every]:
    """Return the anchor, the zone and the distance of a case's boundaries; a bill day moves the anchor."""
    zone, every = given.get("timezone", "UTC"), _every(given)
    start = instant(given.get("anchor") or given.get("start") or given["from"], zone)
    if given.get("alignment") == "calendar":
        return calendar_anchor(start, zone, every), zone, every
    if "bill_day" not in given:
        return start, zone, every
    # A quarter, like a month, keeps the days of its own month.
    yearly = Interval.YEAR if every is Interval.YEAR else Interval.MONTH
    return anchor_of_bill_day(start, zone, yearly, given["bill_day"]), zone, every


def _at(given: Given, key: str = "at") -> datetime:
    return instant(given[key], given.get("timezone", "UTC"))


def _boundaries(given: Given) -> Found:
    grid = _grid(given)
    return {"boundaries": [boundary(*grid, n) for n in range(given["count"])]}


def _period_containing(given: Given) -> Found:
    found = period_containing(*_grid(given), _at(given))
    return {"start": found.start, "end": found.end}


def _bill_day_period_containing(given: Given) -> Found:
    """Find the period of an instant; the first one is short where the start lies inside of it."""
    found = period_containing(*_grid(given), _at(given))
    return {"start": max(found.start, _at(given, "start")), "end": found.end}


def _first_period(given: Given) -> Found:
    start = _at(given, "start")
    whole = period_containing(*_grid(given), start)
    return {"end": whole.end, "fraction": Period(start, whole.end).share_of(whole)}


def _first_bill_date(given: Given) -> Found:
    return {"date": first_boundary_from(*_grid(given), _at(given, "start"))}


def _cycle_end_after(given: Given) -> Found:
    """Find the end of the period of an instant, or where billing starts if a trial lasts longer."""
    at = _at(given)
    billed_from = max(at, _at(given, "not_before") if "not_before" in given else at)
    if billed_from > at:
        return {"end": first_boundary_from(*_grid(given), billed_from)}
    return {"end": period_containing(*_grid(given), at).end}


def _event_period(given: Given) -> Found:
    return {"period_start": period_containing(*_grid(given), _at(given, "event_at")).start}


def _elapsed_cycles(given: Given) -> Found:
    """Count boundaries since the start; a short first period counts as one."""
    grid = _grid(given)
    return {"cycles": period_number(*grid, _at(given)) - period_number(*grid, _at(given, "start"))}


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


def _previous_boundary(given: Given) -> Found:
    grid, at = _grid(given), _at(given)
    found = period_containing(*grid, at)
    if found.start == at and not given["inclusive"]:
        return {"previous": boundary(*grid, period_number(*grid, at) - 1)}
    return {"previous": found.start}


def _resets_between(given: Given) -> Found:
    grid = _grid(given)
    first, last = (period_number(*grid, _at(given, key)) for key in ("from", "to"))
    return {"resets": [boundary(*grid, n) for n in range(first + 1, last + 1)]}


def _first_calendar_billing_day(given: Given) -> Found:
    zone, every, start = given["timezone"], _every(given), _at(given, "start")
    return {"date": first_boundary_from(calendar_anchor(start, zone, every), zone, every, start)}


def _partial_calendar_periods(given: Given) -> Found:
    """Tile the life of a subscription that is aligned to the calendar."""
    start, until = _at(given, "start"), _at(given, "until")
    anchor_at = calendar_anchor(start, given["timezone"], _interval(given))
    stretches = following(subscription_on(given, anchor_at, start, until), None, until)
    return {"periods": [[during.start, during.end] for during, _ in stretches]}


def _local_month_starts(given: Given) -> Found:
    """Find the first and the last of some paid periods after a trial, by a bill day, as local days."""
    zone = given["timezone"]
    billed_from = trial_end(_at(given, "created_at"), zone, given["trial_days"])
    anchor_at = anchor_of_bill_day(billed_from, zone, Interval.MONTH, given["bill_day"])
    periods = [period(anchor_at, zone, Interval.MONTH, n) for n in range(given["months"])]
    return {
        "first_local_period": [_local_day(each, zone) for each in (periods[0].start, periods[0].end)],
        "last_local_period": [_local_day(each, zone) for each in (periods[-1].start, periods[-1].end)],
    }


def _local_day(at: datetime, zone: str) -> datetime:
    """Return a day's first instant, as cases write a day."""
    local = at.astimezone(ZoneInfo(zone))
    assert (local.hour, local.minute) == (0, 0), "a bill day begins at local midnight"
    return at


def _arrears_invoice(given: Given) -> Found:
    """Find how far usage is billed by an instant, and when the next invoice is due."""
    anchor_at, _, _ = _grid(given)
    start, target = _at(given, "start"), _at(given, "target")
    running = subscription_on(given, anchor_at, start, None)
    if given["end"] is not None:
        running = lifecycle.cancel(running, start, at_period_end=False, at=_at(given, "end"))
    stretches = [during for during, _ in following(running, None, target)]
    ended = [during.end for during in stretches if during.end <= target]
    goes_on = stretches[-1].end > target
    return {"billed_to": ended[-1] if ended else None, "next_invoice": stretches[-1].end if goes_on else None}


def subscription_on(
    given: Given,
    anchor_at: datetime,
    started_at: datetime,
    ends_at: datetime | None,
    *,
    asked_at: datetime | None = None,
) -> Subscription:
    """Make a subscription on the grid of a case; `asked_at` is when its end was asked for, where it has one."""
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
        canceled_at=asked_at if ends_at else None,
        ended_at=None,
        settles_at=None,
        cancel_reason=None,
        cancel_feedback=None,
        failed_invoice_ids=(),
        running_since=started_at,
        epoch=0,
        version=1,
    )


def _billed_period_at_run(given: Given) -> Found:
    """Find what a run bills: the last fee period begun, in advance, or the last segment ended, in arrears."""
    anchor_at, interval = _grid(given)[0], _interval(given)
    run_at = _at(given, "run_at")
    subscription = subscription_on(given, anchor_at, _at(given, "start"), None)
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
    begun = fee_periods_begun(subscription_on(given, anchor_at, _at(given, "start"), None), (), _at(given, "target"))
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
        "bill_day_period_containing": _bill_day_period_containing,
        "first_period": _first_period,
        "first_bill_date": _first_bill_date,
        "previous_boundary": _previous_boundary,
        "resets_between": _resets_between,
        "first_calendar_billing_day": _first_calendar_billing_day,
        "partial_calendar_periods": _partial_calendar_periods,
        "local_month_starts": _local_month_starts,
        "arrears_invoice": _arrears_invoice,
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
