"""Aggregations: `domain/plans/aggregation.py`, over what `domain/plans/meter.py` selects of each event."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from api.conformance.case import Area, Found, Given, NotBuilt, instant, number
from api.conformance.charge_models import CURRENCY, price_of
from domain.kernel.ids import MeterId, ProductId
from domain.kernel.money import exact_text, to_minor
from domain.kernel.period import Period
from domain.plans import aggregation
from domain.plans.aggregation import Reading
from domain.plans.line import round_units
from domain.plans.meter import Contribution, Meter, contribution
from domain.plans.price import rate

_NOBODY = UUID(int=0)
_ROUNDINGS = {"round": "nearest", "ceil": "up", "floor": "down", None: "none"}
_BEFORE = timedelta(microseconds=1)


def _period(given: Given) -> Period:
    period, zone = given["period"], _zone(given).key
    start, end = (period["from"], period["to"]) if isinstance(period, dict) else period
    return Period(instant(start, zone), instant(end, zone))


def _zone(given: Given) -> ZoneInfo:
    return ZoneInfo(given.get("timezone", "UTC"))


def _meter(given: Given, *, counts: bool) -> Meter:
    return Meter(
        id=MeterId(_NOBODY),
        product_id=ProductId(_NOBODY),
        key="meter",
        name="Meter",
        event_type="event",
        aggregation="count" if counts else "level",
        value_properties=() if counts else (given.get("property", "value"),),
        when_missing="refuse",
        dimensions=(),
        event_filter=given.get("filter"),
        unit="unit",
    )


def _readings(given: Given, *, counts: bool = False) -> list[Reading]:
    """Return what the period's meter reads of the events; one that it does not select or understand is not counted."""
    if "exclude" in given:
        raise NotBuilt("a filter that excludes")
    meter, found = _meter(given, counts=counts), []
    for event in given["events"]:
        name = given.get("property", "value")
        value = {name: _as_sent(event["value"])} if "value" in event else {}
        added = contribution(meter, {**event.get("props", {}), **value}, None)
        if isinstance(added, Contribution):
            at = instant(event["at"], _zone(given).key)
            key, operation = event.get("key", ""), event.get("op", "add")
            found.append(Reading(at, Fraction(added.quantity), key, operation))
    return aggregation.readings_of(found, _period(given), carries_over=given.get("recurring", False))


def _as_sent(value: Any) -> Any:
    """Read a value as a sender writes it: a number where it is one."""
    try:
        return Decimal(value)
    except InvalidOperation:
        return value


def _whole(aggregate: Callable[[Sequence[Reading]], Fraction | None], *, counts: bool = False) -> Any:
    def run(given: Given) -> Found:
        readings = _readings(given, counts=counts)
        return {
            "units": aggregate(readings),
            "events_count": len(readings),
            "matching_events": len(readings),
        }

    return run


def _percentile(given: Given) -> Found:
    readings = _readings(given)
    return {"units": aggregation.percentile(readings, number(given["percent"])), "events_count": len(readings)}


def _priced(given: Given, units: Fraction) -> dict[str, int]:
    """Return what the units cost, where the case has a price for one."""
    unit_amount = given.get("unit_amount")
    if unit_amount is None and "unit_amount_minor" in given:
        unit_amount = exact_text(Fraction(given["unit_amount_minor"], 100))
    if unit_amount is None:
        return {}
    charge = rate(price_of("per_unit", {"unit_amount": unit_amount}), units)
    return {"amount_minor": to_minor(charge.amount, CURRENCY)}


def _weighted_sum(given: Given) -> Found:
    period, readings = _period(given), _readings(given)
    events = len(readings)
    if "initial_level" in given:
        readings.insert(0, Reading(period.start - _BEFORE, number(given["initial_level"]), operation="set"))
    units = aggregation.weighted_sum(readings, period)
    return {
        "units_rounded5": units,
        "events_count": events,
        "closing_level": aggregation.total(readings),
        **_priced(given, units),
    }


def _prorated_sum(given: Given) -> Found:
    readings = _readings(given)
    units = aggregation.prorated_sum(readings, _period(given), _zone(given), given["proration_days"])
    return {
        "units_exact": units,
        "units_rounded5": units,
        "full_units": aggregation.total(readings),
        **_priced(given, units),
    }


def _prorated_unique_count(given: Given) -> Found:
    readings, period, zone = _readings(given, counts=True), _period(given), _zone(given)
    units = aggregation.prorated_unique_count(readings, period, zone, given["proration_days"])
    return {
        "day_units": sum(aggregation.days_of_keys(readings, period, zone).values()),
        "units_fraction": units,
        "units_rounded3": units,
    }


def _round_units(given: Given) -> Found:
    units = round_units(number(given["units"]), _ROUNDINGS[given["function"]], given["precision"] or 0)
    return {"units": units}


AREA = Area(
    {
        "count": _whole(aggregation.count, counts=True),
        "sum": _whole(aggregation.total),
        "max": _whole(aggregation.largest),
        "min": _whole(aggregation.smallest),
        "average": _whole(aggregation.average),
        "latest": _whole(aggregation.latest),
        "unique_count": _whole(aggregation.unique_count, counts=True),
        "percentile": _percentile,
        "weighted_sum": _weighted_sum,
        "prorated_sum": _prorated_sum,
        "prorated_unique_count": _prorated_unique_count,
        "round_units": _round_units,
    }
)
