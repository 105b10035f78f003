"""Coupons in the order in which they were applied, each on what the ones before it left, never below zero.

A percentage is taken of each line and rounded half-up; a fixed amount is spread over its lines by largest remainder.
An amount is for a full period, so that of a fee for a part of one it takes that share at most: a coupon is worth no
more in the middle of a period than at its start. What a cost cap takes off usage is reduced as that usage is. The
credit of a line that was billed before takes the share of that line's discounts back with it, whatever coupons there
are now.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from domain.credits.coupon import Duration, Right
from domain.credits.discount import Discount, total_of
from domain.kernel.ids import AppliedCouponId, PlanId, ProductId, SubscriptionId, encode
from domain.kernel.money import Money, round_half_up, split
from domain.kernel.period import Period
from domain.kernel.values import dataclass

ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class BilledBefore:
    """What stands on other invoices of the same charge: the sum of amounts, and what coupons took off it.

    Of a charge for a stretch of time it is what was billed for the time that is credited: `shares` says how much of
    each discount that is, without them all of it.
    """

    amount_minor: int | Fraction
    discounts: tuple[Discount, ...]
    shares: tuple[Fraction, ...] = ()

    @property
    def by_coupon(self) -> list[tuple[Discount, Fraction]]:
        """What each coupon took off, in the order in which they did, exact in minor units."""
        shares = self.shares or (Fraction(1),) * len(self.discounts)
        found: dict[str, tuple[Discount, Fraction]] = {}
        for each, share in zip(self.discounts, shares, strict=True):
            first, before = found.get(each.applied, (each, Fraction(0)))
            found[each.applied] = first, before + each.amount.minor * share
        return list(found.values())


@dataclass(frozen=True, slots=True)
class DiscountableLine:
    """A line before discounts. A credit gives back of what it `follows`; one that `lowers`, as a cap, is turned.

    An `exempt` one is left alone by every coupon. A fee for a part of its period charges `share` of it, `during` which
    others may stand beside it.
    """

    amount_minor: int
    subscription_id: SubscriptionId | None
    product_id: ProductId | None
    plan_id: PlanId | None
    lowers: bool = False
    follows: BilledBefore | None = None
    exempt: bool = False
    share: Fraction = ONE
    during: Period | None = None


@dataclass(frozen=True, slots=True)
class Discounted:
    """The discounts of each line, and what each applied coupon took in all; one that took nothing is not named.

    Of a lasting fixed one that is less what went back to it, and may be below zero.
    """

    by_line: tuple[tuple[Discount, ...], ...]
    taken_minor: Mapping[AppliedCouponId, int]


def discounted(lines: Sequence[DiscountableLine], rights: Sequence[Right], currency: str) -> Discounted:
    """Take what coupons may take off the lines of an invoice."""
    found = [list(_given_back(line, currency)) for line in lines]
    left = [line.amount_minor - total_of(own, currency).minor for line, own in zip(lines, found, strict=True)]
    taken: dict[AppliedCouponId, int] = {}
    back = _back_by_coupon(found)
    for right in rights:
        both = [index for index, line in enumerate(lines) if touches(right, line)]
        touched = [index for index in both if not _is_credit(lines[index])]
        credited_minor = sum(left[index] for index in both if _is_credit(lines[index]))
        amounts = [left[index] for index in touched]
        shares = shares_of(
            right.applied.coupon.percent_off,
            _left_of(right, back),
            amounts,
            most=_most_of(right, [lines[index] for index in touched], amounts),
            credited_minor=credited_minor,
        )
        for index, share in zip(touched, shares, strict=True):
            if share:
                left[index] -= share
                found[index].append(_discount(right, Money(share, currency)))
        used = sum(shares) - (_left_of(right, back) or 0) + (right.left_minor or 0)
        if used:
            taken[right.applied.id] = used
    return Discounted(tuple(tuple(each) for each in found), taken)


def _back_by_coupon(given_back: Sequence[Sequence[Discount]]) -> dict[str, int]:
    """Add up what goes back with credits, by the coupon that had given it."""
    found: dict[str, int] = {}
    for each in (each for own in given_back for each in own):
        found[each.applied] = found.get(each.applied, 0) - each.amount.minor
    return found


def _left_of(right: Right, back: Mapping[str, int]) -> int | None:
    """Return what a fixed coupon may still take: a lasting one also what goes back to it on the same invoice.

    What was given once stays used.
    """
    if right.left_minor is None or right.applied.coupon.duration is Duration.ONCE:
        return right.left_minor
    return right.left_minor + max(back.get(encode("applied_coupon", right.applied.id), 0), 0)


def _most_of(right: Right, lines: Sequence[DiscountableLine], amounts: Sequence[int]) -> list[Fraction]:
    """Return what a fixed coupon takes of each line at most: of fees for the same part of a period, its share of that.

    What is given once is for a full period what is left of it.
    """
    amount_off, is_once = right.applied.coupon.amount_off, right.applied.coupon.duration is Duration.ONCE
    full_minor = right.left_minor if is_once or amount_off is None else amount_off.minor
    beside: dict[tuple[Period | None, Fraction], int] = {}
    for line, amount in zip(lines, amounts, strict=True):
        beside[line.during, line.share] = beside.get((line.during, line.share), 0) + max(amount, 0)
    found = []
    for line, amount in zip(lines, amounts, strict=True):
        in_all, most = beside[line.during, line.share], Fraction(max(amount, 0))
        if line.share < ONE and in_all:
            most *= Fraction(min(round_half_up((full_minor or 0) * line.share), in_all), in_all)
        found.append(most)
    return found


def touches(right: Right, line: DiscountableLine) -> bool:
    """Whether an applied coupon reduces a line: its subscription's, of its products and plans."""
    applied, coupon = right.applied, right.applied.coupon
    if line.exempt:
        return False
    if applied.subscription_id is not None and applied.subscription_id != line.subscription_id:
        return False
    if not coupon.product_ids and not coupon.plan_ids:
        return True
    return line.product_id in coupon.product_ids or line.plan_id in coupon.plan_ids


def shares_of(
    percent: Decimal | None,
    left_minor: int | None,
    amounts: Sequence[int],
    *,
    most: Sequence[Fraction] | None = None,
    credited_minor: int = 0,
) -> list[int]:
    """Return what one coupon takes off each of some amounts in minor units.

    A percentage takes its part of each, rounded half-up. A fixed one takes at most `left_minor`, and never more than
    the amounts and what is credited beside them add up to; it is spread over the amounts above zero, or over `most` of
    each, which adds up to whole units.
    """
    if percent is not None:
        return [round_half_up(amount * Fraction(percent) / 100) for amount in amounts]
    assert left_minor is not None, "a coupon is a percentage or an amount"
    weights = [Fraction(max(amount, 0)) for amount in amounts] if most is None else most
    available = max(sum(amounts) + min(credited_minor, 0), 0)
    return split(min(left_minor, available, round_half_up(sum(weights, Fraction(0)))), weights)


def _is_credit(line: DiscountableLine) -> bool:
    return line.amount_minor > 0 if line.lowers else line.amount_minor < 0


def _given_back(line: DiscountableLine, currency: str) -> list[Discount]:
    """Return the discounts that go back with a credit, in proportion; the credit of all of it gives all back."""
    if not _is_credit(line) or line.follows is None or not line.follows.amount_minor:
        return []
    before = line.follows
    part = min(max(Fraction(line.amount_minor) / Fraction(before.amount_minor), Fraction(-1)), Fraction(0))
    coupons = before.by_coupon
    in_all = sum((minor for _, minor in coupons), Fraction(0))
    sign = -1 if in_all < 0 else 1
    shares = split(round_half_up(in_all * part), [max(sign * minor, Fraction(0)) for _, minor in coupons])
    return [
        Discount(each.applied, each.coupon, each.name, Money(share, currency))
        for (each, _), share in zip(coupons, shares, strict=True)
        if share
    ]


def _discount(right: Right, amount: Money) -> Discount:
    coupon = right.applied.coupon
    return Discount(encode("applied_coupon", right.applied.id), coupon.key, coupon.name, amount)
