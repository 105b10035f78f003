"""How a subscription to a plan version starts: with a trial or not, and whether it waits for its first payment."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from domain.plans.exact import DefinitionRefused

TRIAL_DAYS_MAX = 730
WithoutMethod = Literal["bill", "cancel", "pause", "fall_back"]


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of `days` local days, 1 to TRIAL_DAYS_MAX, in which nothing is billed.

    `needs_method`: it starts only for a customer with a payment method. `without_method` is what becomes of it at its
    end where there is none: `bill` all the same, `cancel`, `pause`, or `fall_back` to the plan of that key in the same
    product, which costs nothing. With a method it is billed from then on.
    """

    days: int
    needs_method: bool = False
    without_method: WithoutMethod = "cancel"
    fall_back: str | None = None


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`when_paid`: what is due at the start must be paid before it runs; else it runs at once."""

    trial: Trial | None = None
    when_paid: bool = False


AT_ONCE = Start()


def read_start(stored: Mapping[str, Any]) -> Start:
    """Read what a version stores."""
    return msgspec.convert(stored, Start)


# How often and in which currency a plan is sold.
Sold = frozenset[tuple[str | None, str]]


def check_start(start: Start, sold: Sold, free: Mapping[str, Sold], path: str) -> None:
    """Refuse a trial that could not end as written. Raises DefinitionRefused with the path to the fault.

    `sold` is how the plan is sold, `free` how each other plan of the product is that costs nothing.
    """
    trial = start.trial
    if trial is None:
        return
    if not 1 <= trial.days <= TRIAL_DAYS_MAX:
        raise DefinitionRefused(f"{path}.trial.days", f"is not between 1 and {TRIAL_DAYS_MAX}")
    if (trial.without_method == "fall_back") != (trial.fall_back is not None):
        raise DefinitionRefused(f"{path}.trial.fall_back", "does not fit: only a trial that falls back names a plan")
    if trial.fall_back is None:
        return
    if trial.fall_back not in free:
        raise DefinitionRefused(f"{path}.trial.fall_back", "names no other plan of the product")
    for interval, currency in sorted(sold - free[trial.fall_back], key=str):
        raise DefinitionRefused(f"{path}.trial.fall_back", f"is not free by the {interval} in {currency}")
