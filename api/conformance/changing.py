"""Changes inside a fee period: `domain/invoices/proration.py`, `fees.py`, and `domain/subscriptions/change.py`."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from api.conformance.billing_dates import subscription_on
from api.conformance.case import Found, Given, instant, number
from domain.invoices.fees import fee_periods_begun
from domain.invoices.proration import Basis, Billed, Stage, Turn, prorate, share_left
from domain.invoices.tax import TaxableLine, taxes
from domain.kernel.ids import PlanVersionId, PriceId
from domain.kernel.period import Period
from domain.plans.plan import Price
from domain.plans.price import rate
from domain.subscriptions.change import Target, changed
from domain.subscriptions.schedule import Interval, anchor_of_bill_day

_NOBODY = UUID(int=0)
_INTERVALS = {"P1M": Interval.MONTH, "P1Y": Interval.YEAR}
_WHOLE = Fraction(1)


def _fee(amount_minor: int, units: int = 1, *, discount: Mapping[str, Any] | None = None) -> Fraction:
    """Rate a fee of so many units, after its discount, in minor units."""
    definition = {"unit_amount": str(amount_minor)}
    if discount:
        definition["discount_percent"] = discount["percent"]
    price = Price(
        PriceId(_NOBODY), PlanVersionId(_NOBODY), "fee", "fee", "USD", "month", None, "per_unit", definition, ""
    )
    return rate(price, Decimal(units)).amount


def _period(bounds: tuple[str, str]) -> Period:
    return Period(instant(bounds[0]), instant(bounds[1]))


def _left(at: datetime, whole: Period, basis: str) -> Fraction:
    return share_left(at, whole.end, whole, "UTC", Basis(basis.removesuffix("s")))


def _moved(old: Fraction, turn: Turn, new: Fraction, left: Fraction) -> Billed:
    """Return what a change of a period that was billed in advance bills."""
    return prorate([Stage(Turn.START, old, _WHOLE), Stage(turn, new, left)])[1]


def _credit(billed: Billed) -> int:
    return -billed.credit.minor if billed.credit else 0


def _charge(billed: Billed) -> int:
    return billed.charge.minor if billed.charge else 0


def plan_change(given: Given) -> Found:
    """Change the price inside a period."""
    whole = _period(given["period"])
    old = _fee(given["old_price_minor"], discount=given.get("old_discount"))
    new = _fee(given["new_price_minor"], discount=given.get("new_discount"))
    billed = _moved(old, Turn.PRICE, new, _left(instant(given["at"]), whole, given["basis"]))
    credit, charge = _credit(billed), _charge(billed)
    [tax] = taxes([TaxableLine(credit, Decimal(25))])
    return {
        "credit_minor": credit,
        "charge_minor": charge,
        "net_minor": charge - credit,
        "credit_with_tax25_minor": credit + tax,
    }


def inclusive_end_date(given: Given) -> Found:
    """Read a period whose last day belongs to it as one that ends where the next day begins."""
    last = date.fromisoformat(given["last_day"]) + timedelta(days=1)
    bounds = (given["first_day"], last.isoformat())
    found = plan_change({**given, "period": bounds, "basis": "days"})
    return {**found, "fraction": _left(instant(given["at"]), _period(bounds), "days")}


def quantity_change(given: Given) -> Found:
    """Change the quantity at the same price."""
    old, new = (_fee(given["unit_price_minor"], given[which]) for which in ("old_quantity", "new_quantity"))
    left = _left(instant(given["at"]), _period(given["period"]), given["basis"])
    minor = _charge(_moved(old, Turn.QUANTITY, new, left))
    return {"amount_minor": abs(minor), "direction": "charge" if minor > 0 else "credit"}


def quantity_change_next_period(given: Given) -> Found:
    """Change the quantity where a period begins: each is billed whole."""
    amounts = []
    for which in ("old_quantity", "new_quantity"):
        [billed] = prorate([Stage(Turn.START, _fee(given["unit_price_minor"], given[which]), _WHOLE)])
        amounts.append(_charge(billed))
    return {"current_minor": amounts[0], "next_minor": amounts[1]}


def quantity_change_with_discount(given: Given) -> Found:
    """Change the quantity under a percentage discount: first the discount, then the share of time."""
    discount = given["discount"]
    base = _fee(given["base_minor"], discount=discount)
    old, new = (
        base + _fee(given["unit_minor"], given[which], discount=discount) for which in ("from_units", "to_units")
    )
    return {"seat_delta_minor": _charge(_moved(old, Turn.QUANTITY, new, number(given["fraction"])))}


def interval_change_restart(given: Given) -> Found:
    """Leave a grid inside a period, and start a full period of another interval."""
    whole, at = _period(given["period"]), instant(given["at"])
    is_year = whole.length > timedelta(days=31)
    before = subscription_on({"every": "P1Y" if is_year else "P1M"}, whole.start, whole.start, None)
    interval = Interval.MONTH if is_year else Interval.YEAR
    after = changed(before, Target(before.plan_version_id, interval, 1), at, at)
    left = _moved(_fee(given["old_price_minor"]), Turn.LEAVE, Fraction(0), _left(at, whole, given["basis"]))
    [new] = prorate([Stage(Turn.START, _fee(given["new_price_minor"]), after.fee_period.share_of(after.fee_period))])
    return {
        "credit_minor": _credit(left),
        "charge_minor": _charge(new),
        "new_period_start": after.fee_period.start,
    }


def net(given: Given) -> Found:
    """Add up charges, and credits that are each rounded by themselves."""
    found = sum(given["charges_minor"])
    for each in given["credits"]:
        whole, unused = _period(each["period"]), _period(each["unused"])
        left = _left(unused.start, whole, each["basis"])
        found -= _credit(_moved(_fee(each["price_minor"]), Turn.LEAVE, Fraction(0), left))
    return {"net_minor": found}


def cycles_in_advance(given: Given) -> Found:
    """Find the parts of cycles that are billed by a day: an end is known from the start."""
    start, interval = instant(given["start"]), _INTERVALS[given["period"]]
    anchor_at = anchor_of_bill_day(start, "UTC", interval, given["bill_cycle_day"])
    end = instant(given["end"]) if given["end"] else None
    # The end of a case was known before anything was billed.
    own = subscription_on({"every": given["period"]}, anchor_at, start, end, asked_at=start - timedelta(days=1))
    begun = fee_periods_begun(own, (), instant(given["target"]))
    return {"parts": [fee.service.share_of(fee.whole) for fee in begun]}


def used_days(given: Given) -> Found:
    """Take back the days after a change of a fee that was billed whole, and bill it beside usage that was billed."""
    left = Fraction(given["period_days"] - given["used_days"], given["period_days"])
    plan = given["price_minor"] - _credit(_moved(_fee(given["price_minor"]), Turn.PRICE, Fraction(0), left))
    fees = plan + given["usage_minor"]
    return {"plan_minor": plan, "fees_minor": fees, "due_minor": fees - given["already_billed_minor"]}


def day_count_basis(given: Given) -> Found:
    """Bill a part of a month by its days, and whole months after it."""
    fee = number(given["monthly_amount"]) * 100
    month = datetime(2026, 1, 1, tzinfo=UTC)
    whole = Period(month, month + timedelta(days=given["days_in_month"]))
    left = share_left(whole.end - timedelta(days=given["partial_days"]), whole.end, whole, "UTC", Basis.DAY)
    parts = [left, *[_WHOLE] * given["full_months"]]
    return {"actual_days": Fraction(sum(_charge(prorate([Stage(Turn.START, fee, each)])[0]) for each in parts), 100)}
