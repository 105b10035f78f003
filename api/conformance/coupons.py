"""Coupons on invoices: `domain/credits/coupon.py` and `domain/credits/discounting.py`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from api.conformance.case import Found, Given, number
from domain.credits.coupon import AppliedCoupon, Coupon, CouponUse, Duration, Right, is_exhausted, rights
from domain.credits.discounting import ONE, DiscountableLine, Discounted, discounted
from domain.invoices.tax import TaxableLine, taxes
from domain.kernel.ids import AppliedCouponId, CouponId, CustomerId, InvoiceId
from domain.kernel.money import Money, round_half_up

CURRENCY = "USD"
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def _rights(coupons: Sequence[Given]) -> list[Right]:
    """Give a customer coupons in an order; one that was used in part has less left."""
    found = []
    for place, given in enumerate(coupons, 1):
        fixed = given.get("fixed_minor")
        terms = Coupon(
            id=CouponId(UUID(int=place)),
            key=f"coupon-{place}",
            name=f"Coupon {place}",
            percent_off=Decimal(given["percent"]) if "percent" in given else None,
            amount_off=Money(fixed, CURRENCY) if fixed is not None else None,
            duration=Duration.ONCE,
            periods=None,
            redemptions_max=None,
            per_customer_max=None,
            redeem_by=None,
            product_ids=frozenset(),
            plan_ids=frozenset(),
            first_purchase=False,
            is_active=True,
            created_at=_AT,
        )
        applied = AppliedCoupon(
            CustomerId(UUID(int=0)), AppliedCouponId(UUID(int=place)), terms, None, None, place, "UTC", _AT, None
        )
        used = CouponUse(applied.id, InvoiceId(UUID(int=0)), Money(given.get("used_minor", 0), CURRENCY), _AT)
        found += rights([applied], [used] if used.amount.minor else [], _AT, CURRENCY)
    return found


def _taken(amounts: Sequence[int], found: Sequence[Right], share: Fraction = ONE) -> Discounted:
    return discounted([DiscountableLine(minor, None, None, None, share=share) for minor in amounts], found, CURRENCY)


def _shares(taken: Discounted) -> list[int]:
    return [sum(each.amount.minor for each in own) for own in taken.by_line]


def _discount_split(given: Given) -> Found:
    return {"shares_minor": _shares(_taken(given["lines_minor"], _rights([given["discount"]])))}


def _coupon_sequence(given: Given) -> Found:
    found = _rights(given["coupons"])
    taken = _taken([given["subtotal_minor"]], found)
    return {
        "discount_minor": sum(_shares(taken)),
        "left_minor": given["subtotal_minor"] - sum(_shares(taken)),
        "consumed": [taken.taken_minor.get(right.applied.id, 0) for right in found],
    }


def _stacking_methods(given: Given) -> Found:
    """Chain percentages: the amount is given a hundred thousand times, so that its fractions of a cent are seen."""
    scaled = 10**5
    minor = round_half_up(number(given["subtotal"]) * 100)
    coupons = _rights([{"percent": percent} for percent in given["percents"]])
    exact = Fraction(sum(_shares(_taken([minor * scaled], coupons))), 100 * scaled)
    return {"sequential": exact, "sequential_rounded": Fraction(sum(_shares(_taken([minor], coupons))), 100)}


def _coupon_once(given: Given) -> Found:
    [right] = _rights([{"fixed_minor": given["coupon_fixed_minor"], "used_minor": given["already_used_minor"]}])
    taken = _taken(given["lines_minor"], [right])
    return {
        "discount_minor": sum(_shares(taken)),
        "exhausted": is_exhausted(right, taken.taken_minor.get(right.applied.id, 0)),
        "shares_minor": _shares(taken),
    }


def _discount_then_proration(given: Given) -> Found:
    """Reduce lines of full periods, and the same lines for a share of them."""
    coupons, lines, share = _rights([given["discount"]]), given["lines_minor"], number(given["fraction"])
    return {"shares_minor": _shares(_taken(lines, coupons)), "amounts_minor": _reduced(lines, coupons, share)}


def _quantity_change_with_discount(given: Given) -> Found:
    units = given["to_units"] - given["from_units"]
    coupons, share = _rights([given["discount"]]), number(given["fraction"])
    [delta] = _reduced([units * given["unit_minor"]], coupons, share)
    return {"seat_delta_minor": delta}


def _reduced(full_minor: Sequence[int], coupons: Sequence[Right], share: Fraction) -> list[int]:
    """Return what is charged of amounts of full periods for a share of them, less coupons."""
    amounts = [round_half_up(minor * share) for minor in full_minor]
    taken = _shares(_taken(amounts, coupons, share))
    return [amount - off for amount, off in zip(amounts, taken, strict=True)]


def _invoice(given: Given) -> Found:
    lines = given["lines"]
    taken = _shares(_taken([line["amount_minor"] for line in lines], _rights(given["coupons"])))
    nets = [line["amount_minor"] - share for line, share in zip(lines, taken, strict=True)]
    line_taxes = taxes([TaxableLine(net, Decimal(line["rate_percent"])) for net, line in zip(nets, lines, strict=True)])
    return {
        "coupon_shares_minor": taken,
        "line_taxes_minor": line_taxes,
        "tax_minor": sum(line_taxes),
        "total_minor": sum(nets) + sum(line_taxes),
    }


def _order_of_application(given: Given) -> Found:
    """Coupons come before tax, and what the customer holds pays the gross amount."""
    amounts = [given["subscriptions_minor"], given["usage_minor"]]
    rate, coupon = given["rate_percent"], {"fixed_minor": given["coupon_minor"]}
    lines = [{"amount_minor": minor, "rate_percent": rate} for minor in amounts]
    total_minor = _invoice({"lines": lines, "coupons": [coupon]})["total_minor"]
    adopted = "coupon_before_tax_prepaid_after_tax_due"
    return {adopted: total_minor - min(given["prepaid_minor"], total_minor), "recommended": adopted}


KINDS: Mapping[str, Callable[[Given], Found]] = {
    "discount_split": _discount_split,
    "coupon_sequence": _coupon_sequence,
    "stacking_methods": _stacking_methods,
    "coupon_once": _coupon_once,
    "discount_then_proration": _discount_then_proration,
    "quantity_change_with_discount": _quantity_change_with_discount,
    "invoice": _invoice,
    "order_of_application": _order_of_application,
}
