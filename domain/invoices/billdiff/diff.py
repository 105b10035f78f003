"""The difference between two invoices, split by its causes. The parts add up exactly: each minor unit has one cause."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from typing import Any

from domain.invoices.invoice import DERIVED, Invoice, Line, LineKind
from domain.kernel.ids import PriceId, SubscriptionId
from domain.kernel.money import Money, exact_text, exponent, round_half_up
from domain.kernel.values import dataclass

# A part names its largest changes; its amount counts all of them.
CHANGES_MAX = 10


class Cause(StrEnum):
    """What a part of the difference comes from, in the order in which parts are shown.

    Fees of another plan or interval, and fees that only one of the invoices has, are of the plan; so is what another
    plan's prices make of the earlier usage. Price is what other prices of the same plan make of the earlier quantity,
    usage what another quantity makes at the later price, with what rounding leaves. Prorations, short fee periods and
    later differences of earlier invoices are one part, one-off charges another. Tax is what comes on top: what prices
    contain moves with them.
    """

    PLAN = "plan"
    PRICE = "price"
    USAGE = "usage"
    PRORATION = "proration"
    DISCOUNTS = "discounts"
    TAX = "tax"
    OTHER = "one-off charges"
    CREDITS = "credits"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changed, for people, and what it adds to the later invoice (negative: what it takes off)."""

    description: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Part:
    """What one cause adds to the later invoice, and at most CHANGES_MAX of its changes, the largest first."""

    cause: Cause
    amount: Money
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class BillDiff:
    """Why `after` is not what `before` was. `parts` add up to the difference of the totals.

    A total is what is charged; balances and credit notes pay a part of it, and a total below zero becomes credit. So
    `credits` stands beside the parts: with it, they add up to the difference of what is to be collected.
    """

    before: Invoice
    after: Invoice
    parts: tuple[Part, ...]
    credits: Part

    @property
    def difference(self) -> Money:
        """How much more the later total is."""
        return self.after.total - self.before.total

    @property
    def due_difference(self) -> Money:
        """How much more is to be collected, or was, by the later one."""
        return self.difference + self.credits.amount


def compare(before: Invoice, before_lines: Sequence[Line], after: Invoice, after_lines: Sequence[Line]) -> BillDiff:
    """Say why an invoice differs from an earlier one of the same currency, each with all of its lines."""
    found = _Found(after.currency)
    _of_groups(found, _groups(before_lines), _groups(after_lines))
    for sign, lines in ((-1, before_lines), (1, after_lines)):
        _of_single_lines(found, lines, sign)
    _of_discounts(found, before_lines, after_lines)
    _of_tax(found, before, after)
    diff = BillDiff(before, after, found.parts(), _credits(before, after))
    assert sum(part.amount.minor for part in diff.parts) == diff.difference.minor, "each minor unit has one cause"
    return diff


class _Found:
    """Changes by cause, as they are found."""

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self._changes: defaultdict[Cause, list[Change]] = defaultdict(list)

    def add(self, cause: Cause, description: str, minor: int) -> None:
        if minor:
            self._changes[cause].append(Change(description, Money(minor, self._currency)))

    def parts(self) -> tuple[Part, ...]:
        return tuple(_part(cause, self._changes[cause], self._currency) for cause in Cause if self._changes[cause])


def _part(cause: Cause, changes: Sequence[Change], currency: str) -> Part:
    largest = sorted(changes, key=lambda change: abs(change.amount.minor), reverse=True)
    minor = sum(change.amount.minor for change in changes)
    return Part(cause, Money(minor, currency), tuple(largest[:CHANGES_MAX]))


@dataclass(frozen=True, slots=True)
class _Group:
    """What an invoice charges of one fee, meter or cap: quantities and amounts of its lines added up.

    A fee counts as if its period were whole; what a short one leaves out is proration.
    """

    is_fee: bool
    minor: int
    quantity: Fraction
    prices: frozenset[PriceId | None]
    plans: frozenset[Any]
    units: frozenset[str]
    description: str


_Key = tuple[LineKind, SubscriptionId | None, str, str]


def _groups(lines: Iterable[Line]) -> dict[_Key, _Group]:
    found = defaultdict[_Key, list[Line]](list)
    for line in lines:
        if not _is_single(line):
            found[_key(line)].append(line)
    return {key: _group(each) for key, each in found.items()}


def _is_single(line: Line) -> bool:
    """Whether a line has no counterpart on the other invoice: it comes of one change, correction or one-off charge."""
    return line.identity.kind is LineKind.PRORATION or line.revision > 0 or line.identity.origin != DERIVED


def _key(line: Line) -> _Key:
    own = line.identity
    return (own.kind, own.subscription_id, line.derivation.get("meter", ""), own.dimension_key)


def _group(lines: Sequence[Line]) -> _Group:
    is_fee = lines[0].identity.kind is LineKind.FEE
    return _Group(
        is_fee=is_fee,
        minor=sum(_whole_minor(line) for line in lines),
        quantity=sum((Fraction(line.quantity) for line in lines), Fraction(0)),
        prices=frozenset(line.identity.price_id for line in lines),
        plans=frozenset((line.derivation.get("plan"), line.unit if is_fee else "") for line in lines),
        units=frozenset(line.unit for line in lines),
        description=lines[-1].description,
    )


def _whole_minor(line: Line) -> int:
    """Return a line's amount; of a fee, what a whole period would cost."""
    share = Fraction(line.derivation.get("share_of_time", "1"))
    if line.identity.kind is not LineKind.FEE or share in {0, 1}:
        return line.amount.minor
    exact = Fraction(line.derivation["exact_amount"]) * 10 ** exponent(line.amount.currency)
    return round_half_up(exact / share)


def _of_groups(found: _Found, before: Mapping[_Key, _Group], after: Mapping[_Key, _Group]) -> None:
    for key, new in after.items():
        if key in before:
            _of_both(found, before[key], new)
        else:
            found.add(Cause.PLAN if new.is_fee else Cause.USAGE, new.description, new.minor)
    for key, old in before.items():
        if key not in after:
            found.add(Cause.PLAN if old.is_fee else Cause.USAGE, f"Not any more: {old.description}", -old.minor)


def _of_both(found: _Found, old: _Group, new: _Group) -> None:
    difference_minor = new.minor - old.minor
    is_other_plan = new.plans != old.plans
    if new.is_fee and is_other_plan:
        found.add(Cause.PLAN, f"{new.description} instead of {old.description}", difference_minor)
        return
    price_minor = _price_minor(old, new)
    found.add(Cause.PLAN if is_other_plan else Cause.PRICE, f"{new.description}: at another price", price_minor)
    quantities = f": {exact_text(new.quantity)} instead of {exact_text(old.quantity)}"
    changed = quantities if new.quantity != old.quantity else ""
    found.add(Cause.USAGE, f"{new.description}{changed}", difference_minor - price_minor)


def _price_minor(old: _Group, new: _Group) -> int:
    """Return what the later price makes of the earlier quantity, less what that was charged; rounded once.

    The later price is what a unit came to: under tiers and allowances, an average. The same price has no effect, and
    nothing can be said of it where nothing was counted or another unit is.
    """
    if new.prices == old.prices or new.units != old.units or new.quantity <= 0 or old.quantity <= 0:
        return 0
    return round_half_up(new.minor * old.quantity / new.quantity) - old.minor


def _of_single_lines(found: _Found, lines: Iterable[Line], sign: int) -> None:
    for line in lines:
        said = line.description if sign > 0 else f"Not any more: {line.description}"
        if line.identity.origin != DERIVED:
            found.add(Cause.OTHER, said, sign * line.amount.minor)
        elif _is_single(line):
            found.add(Cause.PRORATION, said, sign * line.amount.minor)
        else:
            short_minor = line.amount.minor - _whole_minor(line)
            found.add(Cause.PRORATION, f"{said}: a part of a period", sign * short_minor)


def _of_discounts(found: _Found, before: Iterable[Line], after: Iterable[Line]) -> None:
    names, taken = dict[str, str](), defaultdict[str, int](int)
    for sign, lines in ((-1, before), (1, after)):
        for discount in (each for line in lines for each in line.discounts):
            names[discount.coupon] = discount.name
            taken[discount.coupon] += sign * discount.amount.minor
    for coupon, minor in taken.items():
        found.add(Cause.DISCOUNTS, names[coupon], -minor)


def _of_tax(found: _Found, before: Invoice, after: Invoice) -> None:
    old, new = (Money(each.tax.minor - each.tax_included_minor, each.currency) for each in (before, after))
    found.add(Cause.TAX, f"Tax: {new.major} instead of {old.major}", new.minor - old.minor)


def _credits(before: Invoice, after: Invoice) -> Part:
    """Return how much more balances and credit notes leave to be collected of the later total."""
    old, new = (each.total - each.collectable for each in (before, after))
    changed = old - new
    said = f"Paid by balances and credit notes: {new.major} instead of {old.major}"
    return Part(Cause.CREDITS, changed, (Change(said, changed),) if changed.minor else ())
