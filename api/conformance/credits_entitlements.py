"""Credits and entitlements: thresholds in `domain/limits/thresholds.py`, grants in `domain/credits/burn.py`."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from api.conformance import wallets
from api.conformance.case import Area, Found, Given, instant, number
from api.conformance.limits import alert_crossings, usage_thresholds, usage_value_thresholds
from domain.credits.burn import Book, Grant, Used, replay, rolled_over
from domain.subscriptions.schedule import Cadence, boundary, period_number

_ZERO = Fraction(0)


def _following(recurrence: Given) -> Callable[[datetime], datetime]:
    """Return the refills of a grant: so many days apart."""
    anchor, days = instant(recurrence["anchor"]), int(recurrence["every"].removeprefix("P").removesuffix("D"))
    every = Cadence(days=days)
    return lambda at: boundary(anchor, "UTC", every, period_number(anchor, "UTC", every, at) + 1)


def _grant(given: Given) -> Grant:
    optional: dict[str, Any] = {name: instant(given[name]) for name in ("expires_at", "voided_at") if name in given}
    if "max_rollover" in given:
        optional |= {"rollover_max": number(given["max_rollover"]), "rollover_min": number(given["min_rollover"])}
    if "recurrence" in given:
        optional["following"] = _following(given["recurrence"])
    effective_at = instant(given["effective_at"])
    amount, priority = number(given["amount"]), given["priority"]
    return Grant(given["id"], amount, priority, effective_at, created_at=effective_at, **optional)


def _replayed(given: Given) -> Book:
    return replay(
        [_grant(each) for each in given["grants"]],
        [Used(instant(each["at"]), number(each["value"])) for each in given["usage"]],
        start=instant(given["start"]),
        until=instant(given["until"]),
        resets=[instant(each) for each in given.get("resets", ())],
        opening={name: number(value) for name, value in given.get("opening_balances", {}).items()},
        keep_overage=given.get("reset_options", {}).get("preserve_overage", False),
    )


def _burn_down(given: Given) -> Found:
    book = _replayed(given)
    return {
        "balances": book.balances,
        "overage": book.open_overage,
        "usage_since_reset": book.used_since_reset,
        "usage": book.used_since_reset,
        "total_balance": sum(book.balances.values(), _ZERO),
    }


def _rollover(given: Given) -> Found:
    kept = rolled_over(number(given["balance"]), number(given["max_rollover"]), number(given["min_rollover"]))
    return {"balance_after_reset": kept}


def _rollover_many(given: Given) -> Found:
    kept = (_rollover(each)["balance_after_reset"] for each in given["grants"])
    return {"balance_after_reset": sum(kept, _ZERO)}


def _holds(granted: Fraction, usage: Sequence[Fraction]) -> bool:
    """Whether usage, balance and overage add up after each piece of usage, read from one replay each."""
    start = instant("2024-01-01")
    grant = Grant("g1", granted, 1, start, start)
    used = [Used(start + timedelta(hours=hour), amount) for hour, amount in enumerate(usage)]
    for hour in range(len(used) + 1):
        book = replay([grant], used, start=start, until=start + timedelta(hours=hour))
        if book.used_since_reset + book.balances["g1"] - book.open_overage != granted:
            return False
    return True


def _invariant(given: Given) -> Found:
    granted = number(given["grant"])
    tried: tuple[list[Fraction], ...] = (
        [],
        [granted / 3, granted / 2],
        [granted],
        [granted / 2, granted],
        [granted * 2, Fraction(1, 7)],
    )
    is_kept = all(_holds(granted, usage) for usage in tried)
    return {"identity": "usage_in_period + balance - overage == granted amount" if is_kept else "broken"}


AREA = Area(
    {
        "usage_thresholds": usage_thresholds,
        "usage_value_thresholds": usage_value_thresholds,
        "alert_crossings": alert_crossings,
        "burn_down": _burn_down,
        "rollover": _rollover,
        "rollover_many": _rollover_many,
        "invariant": _invariant,
        **wallets.KINDS,
    }
)
