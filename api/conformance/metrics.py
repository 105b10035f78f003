"""Revenue figures: `domain/analytics`. Figures are exact there and rounded here as the cases show them."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

from api.conformance.case import Area, Found, Given, NotBuilt, instant, number, shown
from api.conformance.system import NOON
from domain.analytics import ratios
from domain.analytics.cohorts import Cohort
from domain.analytics.movements import Bridge, movements_of
from domain.analytics.recurring import (
    Contract,
    Discount,
    Every,
    Item,
    Unit,
    arr,
    contract_mrr,
    mrr,
    mrr_by_customer,
    mrr_by_plan,
    read_at,
    trial_mrr,
)
from domain.analytics.term import incomplete, month_of, term_mrr
from domain.kernel.ids import CustomerId
from domain.kernel.period import Period

_CURRENCY = "USD"
_LONG_AGO, _LATER = datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
_EVERY = re.compile(r"P(\d+)([WMY])")
_UNITS: Mapping[str, Unit] = {"W": "week", "M": "month", "Y": "year"}
_RATE_DIGITS = 4
_ENDS = ("cancel", "churn", "end")


def _every(text: str) -> Every:
    found = _EVERY.fullmatch(text)
    if found is None:
        raise NotBuilt(f"periods of {text}")
    return Every(int(found[1]), _UNITS[found[2]])


def _customer(index: int) -> CustomerId:
    return CustomerId(UUID(int=index))


def _contract(index: int, entry: Given) -> Contract:
    """Read a subscription; each belongs to a customer and a plan of its own."""
    status = entry.get("status", "active")
    if status not in {"active", "trialing"}:
        raise NotBuilt(f"a subscription that is {status}")
    tried_until = instant(entry["trial_end"]) if entry.get("trial_end") else _LATER
    return Contract(
        _customer(index),
        str(index),
        _CURRENCY,
        tuple(_items(entry)),
        starts_at=instant(entry["start"]) if "start" in entry else _LONG_AGO,
        ends_at=instant(entry["end"]) if entry.get("end") else None,
        trial_ends_at=tried_until if status == "trialing" or "trial_end" in entry else None,
        discounts=_discounts(entry),
    )


def _items(entry: Given) -> Iterable[Item]:
    """Read what is charged again and again, and once; usage is no part of a contract."""
    if entry.get("usage") or entry.get("metered"):
        return
    every = None if entry.get("one_time") else _every(entry["every"])
    yield Item(number(entry["amount"]), every, number(entry.get("qty", entry.get("quantity", 1))))
    for addon in entry.get("addons", ()):
        yield Item(number(addon), every)


def _discounts(entry: Given) -> tuple[Discount, ...]:
    if entry.get("discount_duration") != "forever":
        return ()
    percent, amount = number(entry.get("discount_percent", 0)), number(entry.get("discount_fixed", 0))
    return (Discount(percent, amount, _every(entry["every"])),)


def _contracts(given: Given) -> list[Contract]:
    return [_contract(index, entry) for index, entry in enumerate(given["subscriptions"])]


def _mrr(given: Given) -> Found:
    contracts = _contracts(given)
    revenue, paying = mrr(contracts, NOON, _CURRENCY), mrr_by_customer(contracts, NOON, _CURRENCY)
    return {
        "mrr": shown(revenue),
        "arr": shown(arr(revenue)),
        "customers": len(paying),
        "arpu": shown(ratios.arpu(revenue, len(paying))),
        "trial_mrr": shown(trial_mrr(contracts, NOON, _CURRENCY)),
    }


def _mrr_series(given: Given) -> Found:
    contracts = _contracts(given)
    ends = [read_at(month_of(instant(f"{month}-01"), "UTC")) for month in given["months"]]
    return {
        "mrr": [shown(mrr(contracts, at, _CURRENCY)) for at in ends],
        "committed_mrr": [shown(mrr(contracts, at, _CURRENCY, committed=True)) for at in ends],
        "trial_mrr": [shown(trial_mrr(contracts, at, _CURRENCY)) for at in ends],
        "trial_committed_mrr": [shown(trial_mrr(contracts, at, _CURRENCY, committed=True)) for at in ends],
    }


def _churn(given: Given) -> Found:
    return {**_customer_churn(given), **_mrr_churn(given)}


def _customer_churn(given: Given) -> dict[str, Any]:
    """Make the customers of a case: those at its start, and those at its end."""
    if "customers_start" not in given:
        return {}
    events = given.get("churned", given.get("churn_events", 0))
    came_back, joined = (given.get(f"of_which_{how}_in_period", 0) for how in ("reactivated", "joined"))
    at_start = {_customer(index) for index in range(given["customers_start"])}
    # Who joined was not there at the start: their leaving takes nobody of it away.
    left = {_customer(index) for index in range(events - joined)}
    back = {_customer(index) for index in range(came_back)}
    new = {_customer(given["customers_start"] + index) for index in range(given.get("new_customers", 0))}
    rate = shown(ratios.customer_churn(at_start, (at_start - left) | back | new), _RATE_DIGITS)
    return {"customer_churn_rate": rate, "rate_start_of_period_cohort": rate}


def _mrr_churn(given: Given) -> dict[str, Any]:
    if "mrr_start" not in given:
        return {}
    parts = {
        "churn": number(given.get("mrr_lost", given.get("churn_mrr", 0))),
        "contraction": number(given.get("contraction_mrr", 0)),
        "expansion": number(given.get("mrr_upgrades", given.get("expansion_mrr", 0))),
        "reactivation": number(given.get("reactivation_mrr", 0)),
    }
    bridge = Bridge(number(given["mrr_start"]), **parts)
    net = ratios.net_mrr_churn(bridge)
    return {
        "mrr_churn_rate": shown(ratios.mrr_churn(bridge), _RATE_DIGITS),
        "gross_mrr_churn_rate": shown(ratios.gross_mrr_churn(bridge), _RATE_DIGITS),
        "net_mrr_churn_rate": shown(net, _RATE_DIGITS),
        "net_mrr_churn_rate_percent": _percent(net),
    }


def _percent(share: Fraction | None) -> Fraction | None:
    return None if share is None else shown(share * 100)


def _bridge(given: Given) -> Bridge:
    parts = ("new", "expansion", "contraction", "churn", "reactivation")
    return Bridge(number(given.get("mrr_start", 0)), **{key: number(given[key]) for key in parts if key in given})


def _retention(given: Given) -> Found:
    bridge = _bridge(given)
    return {
        "nrr_percent": _percent(ratios.net_retention(bridge)),
        "grr_percent": _percent(ratios.gross_retention(bridge)),
    }


def _quick_ratio(given: Given) -> Found:
    return {"quick_ratio": shown(ratios.quick_ratio(_bridge(given)))}


def _mrr_bridge(given: Given) -> Found:
    bridge = _bridge(given)
    return {"mrr_end": bridge.closing, "net_new": bridge.net_new}


def _mrr_movements(given: Given) -> Found:
    """Follow one customer's contract: each step states anew what it changes."""
    levels, entry = [], dict[str, Any]()
    for step in given["steps"]:
        if step["do"] in _ENDS:
            levels.append(Fraction(0))
            continue
        if not step.keys() & {"qty", "amount", "every"}:
            raise NotBuilt(f"the step {step['do']}")
        entry |= step
        levels.append(contract_mrr(_contract(0, entry)))
    return {
        "movements": [{"type": each.kind, "amount": shown(each.amount)} for each in movements_of(levels)],
    }


def _contract_mrr(given: Given) -> Found:
    """Read a term by its first and its last day."""
    term = Period(instant(given["start"]), instant(given["end"]) + timedelta(days=1))
    total, [first, _] = number(given["total"]), incomplete(term, "UTC")
    return {
        "mrr": shown(term_mrr(total, term, "UTC")),
        "days": term.length.days,
        "first_partial": shown(total * first.share_of(term) if first else Fraction(0)),
    }


def _ltv(given: Given) -> Found:
    revenue, margin, churn = (number(given[key]) for key in ("arpu", "gross_margin", "churn_rate"))
    value = ratios.lifetime_value(revenue, margin, churn)
    found = {
        "ltv": shown(value),
        "recommended_ltv": shown(value),
        "lifetime_months": shown(ratios.lifetime_months(churn)),
    }
    if "cac" not in given:
        return found
    cost = number(given["cac"])
    return {
        **found,
        "ltv_to_cac": shown(ratios.value_to_cost(value, cost)),
        "payback_months": shown(ratios.payback_months(cost, revenue, margin)),
    }


def _arpu(given: Given) -> Found:
    return {"arpu": shown(ratios.arpu(number(given["revenue"]), given["users"]))}


def _cohort(given: Given) -> Found:
    active: Mapping[int, int] = {int(months): count for months, count in given["active"].items()}
    cohort = Cohort(given["size"], active)
    return {"retention_percent": {str(months): _percent(cohort.retention(months)) for months in active}}


def _annualised_churn(given: Given) -> Found:
    return {"annual_churn_percent": _percent(ratios.annual_churn(number(given["monthly_churn"])))}


def arpu_of_mrr(given: Given) -> Found:
    """Divide the recurring revenue by those who pay it."""
    return {"arpu": shown(ratios.arpu(number(given["mrr"]), given["paying"]))}


def conversion(given: Given) -> Found:
    """Say how many free customers a rate of conversion is."""
    return {"converted": ratios.conversions_for(number(given["rate_percent"]) / 100, given["free_users"])}


def plan_revenue(given: Given) -> Found:
    """Make a contract for each user of each plan, and read the revenue of all of them."""
    contracts = [
        Contract(
            _customer(index),
            str(plan),
            _CURRENCY,
            (Item(number(row["price"]), Every(1, "month")),),
            starts_at=_LONG_AGO,
        )
        for plan, row in enumerate(given["rows"])
        for index in range(row["users"])
    ]
    by_plan, revenue = mrr_by_plan(contracts, NOON, _CURRENCY), mrr(contracts, NOON, _CURRENCY)
    rows = [by_plan.get(str(plan), Fraction(0)) for plan in range(len(given["rows"]))]
    return {"rows": rows, "mrr": revenue, "arr": arr(revenue)}


AREA = Area(
    {
        "mrr": _mrr,
        "mrr_series": _mrr_series,
        "churn": _churn,
        "retention": _retention,
        "quick_ratio": _quick_ratio,
        "mrr_movements": _mrr_movements,
        "mrr_bridge": _mrr_bridge,
        "contract_mrr": _contract_mrr,
        "ltv": _ltv,
        "arpu": _arpu,
        "cohort": _cohort,
        "annualised_churn": _annualised_churn,
    },
    other_methods={"churn": frozenset({"rate_active_plus_new"})},
)
