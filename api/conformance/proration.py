"""Proration: exact shares of time, `domain/kernel/period.py`, and the one rounding, `domain/kernel/money.py`."""

from decimal import Decimal
from fractions import Fraction

from api.conformance import changing, lifecycle
from api.conformance.case import Area, Found, Given, NotBuilt, instant
from domain.invoices.tax import TaxableLine, taxes
from domain.kernel.money import round_half_up
from domain.kernel.period import Period
from domain.subscriptions.schedule import Interval, next_period, period_containing

_INTERVALS = {"P1M": Interval.MONTH, "P1Y": Interval.YEAR}


def _need_true_time(given: Given) -> str:
    """Return the zone of a case whose days are as long as its seconds say."""
    zone = str(given.get("timezone", "UTC"))
    if given["basis"] != "seconds" and (given["basis"] != "days" or zone != "UTC"):
        raise NotBuilt(f"the basis {given['basis']} in {zone}")
    return zone


def _period(bounds: tuple[str, str], zone: str) -> Period:
    start, end = bounds
    return Period(instant(start, zone), instant(end, zone))


def _fraction(given: Given) -> Found:
    """Take the share of the period that starts, or ends, where the part does."""
    zone, part = _need_true_time(given), _period((given["from"], given["to"]), _need_true_time(given))
    if given["period"] not in _INTERVALS or given["anchor"] != "from":
        raise NotBuilt(f"periods of {given['period']} anchored {given['anchor']}")
    whole = period_containing(part.start, zone, _INTERVALS[given["period"]], part.start)
    share = Fraction(0)
    rest: Period | None = part
    while rest is not None:
        inside = rest.overlap(whole)
        assert inside is not None, "the part goes on where the period begins"
        share += inside.share_of(whole)
        rest = Period(whole.end, part.end) if part.end > whole.end else None
        whole = next_period(part.start, zone, _INTERVALS[given["period"]], whole)
    return {"fraction": share, "rounded9": share, "recommended": share}


def _partial_period(given: Given) -> Found:
    zone = _need_true_time(given)
    exact = given["price_minor"] * _period(given["active"], zone).share_of(_period(given["period"], zone))
    amount_minor = round_half_up(exact)
    [tax] = taxes([TaxableLine(amount_minor, Decimal(20))])
    return {"amount_minor": amount_minor, "exact": exact, "with_tax20_minor": amount_minor + tax}


AREA = Area(
    {
        "fraction": _fraction,
        "partial_period": _partial_period,
        "pause_state": lifecycle.pause_state,
        "trial": lifecycle.trial,
        "plan_change": changing.plan_change,
        "inclusive_end_date": changing.inclusive_end_date,
        "quantity_change": changing.quantity_change,
        "quantity_change_next_period": changing.quantity_change_next_period,
        "interval_change_restart": changing.interval_change_restart,
        "net": changing.net,
        "cycles_in_advance": changing.cycles_in_advance,
        "used_days": changing.used_days,
        "day_count_basis": changing.day_count_basis,
    },
    other_methods={"day_count_basis": frozenset({"thirty_day_month"})},
)
