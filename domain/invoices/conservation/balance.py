"""What became of what a meter counted in segments rated together: charged, granted, not charged, or not billed yet.

A quantity is in the unit of its meter; of a cost meter it is the kept cost. What lies above a cost cap is taken back
from the amount by the multiplier with which the cost was charged.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from domain.invoices.derivation import WantedLine
from domain.invoices.invoice import Identity, Line
from domain.kernel.ids import SegmentId
from domain.kernel.values import dataclass
from domain.plans.exact import exact
from domain.plans.meter import Meter
from domain.plans.plan import Entitlement, PlanVersion
from domain.subscriptions.subscription import Segment, Source, Subscription

_ZERO = Fraction(0)


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the quantity of one meter in one segment, or in several that are rated together.

    `segment_id` is the one that names their lines, the first of several. `charged` has a price above zero; `included`
    is granted by the plan or has the explicit price zero; `tolerated` lies above a soft limit and is not charged;
    `above_cap` lies above the monthly cost cap; `trial` was used on trial; `observed` has no price; `elsewhere` is
    billed by Stripe. `not_yet_billed` is on no opened invoice: the usage period still runs, its lines are on a draft,
    or the next invoice adjusts them, then it may be negative.
    """

    segment_id: SegmentId
    meter: str
    counted: Fraction
    charged: Fraction = _ZERO
    included: Fraction = _ZERO
    tolerated: Fraction = _ZERO
    above_cap: Fraction = _ZERO
    trial: Fraction = _ZERO
    observed: Fraction = _ZERO
    elsewhere: Fraction = _ZERO
    not_yet_billed: Fraction = _ZERO

    @property
    def missing(self) -> Fraction:
        """What was counted and became none of these; below zero, what was charged and never counted."""
        found = self.charged + self.included + self.tolerated + self.above_cap
        return self.counted - found - self.trial - self.observed - self.elsewhere - self.not_yet_billed


@dataclass(frozen=True, slots=True)
class Billing:
    """What is on invoices of one meter in segments that are rated together.

    `issued` are lines of opened invoices, `drafted` those of a draft, `caps` the segments' cost caps among the first,
    `wanted` all lines that should exist by now; None where the segments are not derived: their usage period
    `is_running`, or they were billed long ago. `is_priced` says whether the plan has a price for the meter.
    """

    is_priced: bool
    issued: Sequence[Line]
    drafted: Sequence[Line]
    caps: Sequence[Line]
    wanted: Sequence[WantedLine] | None
    is_running: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """The events of a customer as they were answered, and where they are: each identity has exactly one place.

    `counted` and `quarantined` are identities by their verdict, `stored` counted events, of which `put_away` do not
    stand any more and `voids` count nothing themselves; `held` are events that wait in quarantine.
    """

    counted: int
    quarantined: int
    stored: int
    put_away: int
    voids: int
    held: int
    archived: bool

    @property
    def holds(self) -> bool:
        """Whether every accepted event is counted, voided or in quarantine; dropped events cannot be looked for."""
        return self.quarantined == self.held and (self.archived or self.counted == self.stored)


def account_of(
    meter: Meter,
    counted: Fraction,
    group: Sequence[Segment],
    billing: Billing,
    *,
    plan: tuple[Subscription, PlanVersion],
    unbilled: bool = False,
) -> Account:
    """Say what became of a meter's quantity in segments that are rated together; the plan is theirs.

    `unbilled`: they lie in a trial.
    """
    subscription, version = plan
    name = group[0].id
    if subscription.source is Source.STRIPE:
        return Account(name, meter.key, counted, elsewhere=counted)
    if not (billing.is_priced or billing.issued or billing.drafted):
        return Account(name, meter.key, counted, observed=counted)
    if unbilled:
        return Account(name, meter.key, counted, trial=counted)
    newest = _newest(billing.issued)
    granted = sum((_granted(line.derivation, chain) for line, chain in newest), _ZERO)
    billed = sum((_quantity(line.derivation) for line, _ in newest), _ZERO)
    above = min(_above_cap(billing.caps, newest), billed - granted) if meter.aggregation == "cost" else _ZERO
    tolerated = min(granted, _over(meter, billed, group, version.entitlements))
    return Account(
        name,
        meter.key,
        counted,
        charged=billed - granted - above,
        included=granted - tolerated,
        tolerated=tolerated,
        above_cap=above,
        not_yet_billed=_still_due(counted, billed, billing),
    )


def _still_due(counted: Fraction, billed: Fraction, billing: Billing) -> Fraction:
    """Return what invoices to come will bill: all of a running period, else what the derivation would add."""
    if billing.is_running:
        return counted - billed
    if billing.wanted is not None:
        return sum((_quantity(line.derivation) for line in billing.wanted), _ZERO) - billed
    written = _newest([*billing.issued, *billing.drafted])
    return sum((_quantity(line.derivation) for line, _ in written), _ZERO) - billed


def _newest(lines: Iterable[Line]) -> list[tuple[Line, list[Line]]]:
    """Return the last revision of each line, with all of them."""
    chains: dict[Identity, list[Line]] = {}
    for line in lines:
        chains.setdefault(line.identity, []).append(line)
    return [(max(chain, key=lambda line: line.revision), chain) for chain in chains.values()]


def _quantity(derivation: Mapping[str, Any]) -> Fraction:
    """Read the whole quantity of a line and its revisions before."""
    return Fraction(derivation["quantity"])


def _granted(derivation: Mapping[str, Any], chain: Iterable[Line]) -> Fraction:
    """Return what of a line's quantity costs nothing: granted, included and free units, tiers of price zero, or all."""
    quantity = _quantity(derivation)
    if not sum(line.amount.minor for line in chain) and not Fraction(derivation["exact_amount"]):
        return quantity
    promotional = Fraction(derivation.get("granted", {}).get("quantity", "0"))
    rated = quantity - promotional
    units = Fraction(derivation.get("conversion", {}).get("units", rated))
    free = Fraction(derivation.get("included_units_used", 0)) + min(exact(derivation.get("free_units", "0")), units)
    for tier in derivation.get("tiers", ()):
        if not Fraction(tier["amount"]):
            free += Fraction(tier["units"])
    return promotional + (min(free, units) * rated / units if units else _ZERO)


def _above_cap(caps: Iterable[Line], newest: Sequence[tuple[Line, list[Line]]]) -> Fraction:
    """Return the kept cost that cost caps took off, by the multiplier of the lines that they capped."""
    taken = -sum(line.amount.minor for line in caps)
    lines = [line for line, _ in newest if "multiplier" in line.derivation]
    charged = sum(line.amount.minor for _, chain in newest for line in chain)
    if not taken or not lines or charged <= 0:
        return _ZERO
    cost = sum((_quantity(line.derivation) for line in lines), _ZERO)
    return cost * taken / charged


def _over(meter: Meter, used: Fraction, group: Iterable[Segment], entitlements: Iterable[Entitlement]) -> Fraction:
    """Return what lies above the soft limit of a whole meter, for the segments' share of the period."""
    share = sum((segment.during.share_of(segment.period) for segment in group), _ZERO)
    over = [
        used - Fraction(each.amount) * share
        for each in entitlements
        if each.meter_id == meter.id and each.policy == "soft" and each.amount is not None and not each.dimension_filter
    ]
    return max([*over, _ZERO])
