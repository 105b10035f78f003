"""Contracts to read figures from."""

from fractions import Fraction

from domain.analytics.recurring import Contract, Every, Item
from domain.kernel.ids import CustomerId
from tests import make

MONTH, YEAR = Every(1, "month"), Every(1, "year")
ADA, BOB, CYD = (CustomerId(make.new_id()) for _ in range(3))


def contract(
    customer: CustomerId, amount: str, starts: str, ends: str | None = None, every: Every = MONTH, **more: str
) -> Contract:
    """Make a contract for one amount; `trial`, `plan` and `currency` may be named."""
    return Contract(
        customer,
        more.get("plan", "starter"),
        more.get("currency", "USD"),
        (Item(Fraction(amount), every),),
        starts_at=make.at(starts),
        ends_at=make.at(ends) if ends else None,
        trial_ends_at=make.at(more["trial"]) if "trial" in more else None,
        end_known_at=make.at(more["known"]) if "known" in more else None,
    )
