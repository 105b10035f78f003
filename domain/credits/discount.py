"""What a coupon takes off a line."""

from collections.abc import Sequence
from typing import Any

from domain.kernel.money import Money
from domain.kernel.values import dataclass


@dataclass(frozen=True, slots=True)
class Discount:
    """What one coupon takes off one line.

    `applied` is the id of the coupon's application to the customer or subscription, `coupon` its key, `name` for
    people. The amount has the sign of the line's: positive on a charge; negative on the credit of a line that was
    discounted, whose share goes back with it.
    """

    applied: str
    coupon: str
    name: str
    amount: Money


def total_of(discounts: Sequence[Discount], currency: str) -> Money:
    """Add up what the coupons take off."""
    return Money(sum(discount.amount.minor for discount in discounts), currency)


def to_json(discounts: Sequence[Discount]) -> list[dict[str, Any]]:
    """Write the discounts of a line as they are stored with it, in the order in which they were taken."""
    return [
        {"applied": each.applied, "coupon": each.coupon, "name": each.name, "amount_minor": each.amount.minor}
        for each in discounts
    ]


def from_json(stored: Sequence[dict[str, Any]], currency: str) -> tuple[Discount, ...]:
    """Read the discounts of a line."""
    return tuple(
        Discount(each["applied"], each["coupon"], each["name"], Money(each["amount_minor"], currency))
        for each in stored
    )
