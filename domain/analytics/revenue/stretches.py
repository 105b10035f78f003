"""One customer's contracts over time, from the terms of subscriptions and the coupons that last."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from domain.analytics.recurring import Contract, Discount, Every, Item
from domain.credits.coupon import AppliedCoupon, fits
from domain.kernel.ids import SubscriptionId
from domain.kernel.values import dataclass
from domain.plans.plan import Catalogue
from domain.plans.price import rate
from domain.subscriptions.subscription import Source, Status, Subscription
from domain.subscriptions.term import Term, term_of

Terms = Mapping[SubscriptionId, Sequence[Term]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A term of a subscription that is paid or tried, until the next one or the end, as far as that is known."""

    subscription: Subscription
    term: Term
    ends_at: datetime | None
    end_known_at: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether it holds at an instant."""
        return self.term.starts_at <= at and (self.ends_at is None or at < self.ends_at)


def contracts_of(
    subscriptions: Collection[Subscription], terms: Terms, applied: Sequence[AppliedCoupon], catalogue: Catalogue
) -> list[Contract]:
    """Return the contracts that one customer's subscriptions were and are, cut where a lasting coupon begins or ends.

    `applied` are the customer's coupons that last, in their order, removed ones too.
    """
    stretches = [each for of in subscriptions for each in stretches_of(of, terms.get(of.id, ()))]
    return [
        _contract(stretch, start, end, _discounts(stretch, start, stretches, applied, catalogue), catalogue)
        for stretch in stretches
        for start, end in _pieces(stretch, _borders(stretches, applied))
    ]


def stretches_of(subscription: Subscription, terms: Sequence[Term]) -> Iterator[Stretch]:
    """Yield what one subscription was under, without pauses; nothing where it never ran or has not begun.

    A change that waits for its payment is not in effect. What Stripe bills has no terms, and was always what it is.
    """
    if subscription.status is Status.INCOMPLETE or subscription.never_ran:
        return
    begun = [each for each in terms if not each.pending]
    if subscription.source is Source.STRIPE:
        begun = [term_of(subscription, subscription.started_at)]
    end, asked_at = subscription.ends_at, subscription.canceled_at
    for term, following in pairwise([*begun, None]):
        assert term is not None, "only the last has no term after it"
        if (end is not None and term.starts_at >= end) or not (term.billed or _is_trial(subscription, term)):
            continue
        # What comes after a term, or after a trial whose end nobody has seen to yet, is no end of the contract: it is
        # not known before it comes.
        comes = (following.starts_at if following else None, None if term.billed else subscription.trial_ends_at)
        stops = min((at for at in comes if at is not None and (end is None or at < end)), default=None)
        yield Stretch(subscription, term, stops or end, stops or asked_at)


def _is_trial(subscription: Subscription, term: Term) -> bool:
    return subscription.trial_ends_at is not None and term.starts_at < subscription.trial_ends_at


def _borders(stretches: Sequence[Stretch], applied: Sequence[AppliedCoupon]) -> list[datetime]:
    """Return where what coupons take off may change; a coupon for all goes over where a subscription begins or ends."""
    if not applied:
        return []
    ends = [at for each in stretches for at in (each.term.starts_at, each.ends_at)]
    coupons = [at for each in applied for at in (each.applied_at, each.removed_at)]
    return sorted({at for at in (*ends, *coupons) if at is not None})


def _pieces(stretch: Stretch, borders: Sequence[datetime]) -> Iterator[tuple[datetime, datetime | None]]:
    inside = [at for at in borders if stretch.term.starts_at < at and stretch.holds(at)]
    yield from pairwise([stretch.term.starts_at, *inside])
    yield (inside or [stretch.term.starts_at])[-1], stretch.ends_at


def _contract(
    stretch: Stretch, start: datetime, end: datetime | None, discounts: tuple[Discount, ...], catalogue: Catalogue
) -> Contract:
    of, term = stretch.subscription, stretch.term
    plan, product = catalogue.plan_of_version(term.plan_version_id), catalogue.product_by_id(of.product_id)
    fee = catalogue.fee_price(term.plan_version_id, term.interval, of.currency)
    return Contract(
        customer_id=of.customer_id,
        plan=f"{product.key}/{plan.key}",
        currency=of.currency,
        items=(Item(rate(fee, Decimal(term.quantity)).amount, _every(term)),),
        starts_at=start,
        ends_at=end,
        trial_ends_at=None if term.billed else of.trial_ends_at,
        end_known_at=stretch.end_known_at if end == stretch.ends_at else end,
        discounts=discounts,
    )


def _every(term: Term) -> Every:
    return Every(1, term.interval.value)


def _discounts(
    stretch: Stretch,
    at: datetime,
    stretches: Sequence[Stretch],
    applied: Sequence[AppliedCoupon],
    catalogue: Catalogue,
) -> tuple[Discount, ...]:
    present = (each for each in applied if each.applied_at <= at and (each.removed_at is None or at < each.removed_at))
    mine = (each for each in present if _taker(each, at, stretches, catalogue, stretch) is stretch)
    return tuple(_discount(each, stretch.term) for each in mine)


def _taker(
    applied: AppliedCoupon, at: datetime, stretches: Sequence[Stretch], catalogue: Catalogue, asking: Stretch
) -> Stretch | None:
    """Return who takes a coupon at an instant: of a fixed amount, which is given once, the oldest that it fits."""
    taking = [each for each in stretches if each.holds(at) and _touches(applied, each, catalogue)]
    if applied.coupon.amount_off is None:
        return asking if asking in taking else None
    return min(taking, key=lambda each: each.subscription.id, default=None)


def _touches(applied: AppliedCoupon, stretch: Stretch, catalogue: Catalogue) -> bool:
    of = stretch.subscription
    plan = catalogue.plan_of_version(stretch.term.plan_version_id)
    return applied.subscription_id in {None, of.id} and fits(applied.coupon, of.product_id, plan.id, of.currency)


def _discount(applied: AppliedCoupon, term: Term) -> Discount:
    coupon = applied.coupon
    if coupon.amount_off is None:
        assert coupon.percent_off is not None, "a coupon takes off a percentage or an amount"
        return Discount(percent=Fraction(coupon.percent_off))
    return Discount(amount=Fraction(coupon.amount_off.major), every=_every(term))
