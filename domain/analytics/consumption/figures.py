"""What calls came to, for each provider: how many, how many tokens, and their cost."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

from domain.kernel.ids import MeterId, ProductId
from domain.kernel.money import round_half_up
from domain.kernel.values import dataclass
from domain.plans.exact import EXACT
from domain.plans.meter import Meter
from domain.plans.plan import Catalogue
from domain.usage.reading import Usage
from domain.usage.trends.buckets import Counted

PRODUCT = "llm"
PROVIDER = "provider"
CALLS, TOKENS, COST = "calls", "tokens", "cost"
UNIT_DIGITS = 6
_NONE, _ONE = Decimal(0), Decimal(1)


@dataclass(frozen=True, slots=True)
class Figure:
    """Calls, tokens of all kinds, and cost, exact, in the currency of the price list."""

    calls: Decimal = _NONE
    tokens: Decimal = _NONE
    cost: Decimal = _NONE

    @property
    def cost_per_call(self) -> Decimal | None:
        """The average cost of a call, rounded to UNIT_DIGITS, halves up; None without a call."""
        return _per(self.cost, Fraction(self.calls))

    @property
    def cost_per_1000_tokens(self) -> Decimal | None:
        """The average cost of 1,000 tokens, rounded as that of a call; None without a token."""
        return _per(self.cost, Fraction(self.tokens) / 1_000)

    def plus(self, other: "Figure") -> "Figure":
        """Add two figures up."""
        return Figure(
            EXACT.add(self.calls, other.calls),
            EXACT.add(self.tokens, other.tokens),
            EXACT.add(self.cost, other.cost),
        )


# By provider, the dearest first.
Figures = Mapping[str, Figure]


def meters_of(catalogue: Catalogue, product_id: ProductId) -> dict[str, Meter]:
    """Return the meters of the product by their keys."""
    return {meter.key: meter for meter in catalogue.meters_of(product_id)}


def figures_of(meters: Mapping[str, Meter], counted: Counted, markup: Decimal = _ONE) -> Figures:
    """Arrange what meters counted by provider. `markup` is the factor on the list price.

    A provider whose calls were all voided is not among them.
    """
    providers = {provider for _, provider in counted}

    def quantity(key: str, provider: str) -> Decimal:
        return counted.get((meters[key].id, provider), _NONE)

    found = {
        each: Figure(quantity(CALLS, each), quantity(TOKENS, each), EXACT.multiply(quantity(COST, each), markup))
        for each in providers
    }
    used = {provider: figure for provider, figure in found.items() if figure != Figure()}
    return dict(sorted(used.items(), key=lambda one: (-one[1].cost, -one[1].calls, one[0])))


def counted_by(usage: Usage, meter_ids: Iterable[MeterId], dimension: str) -> Counted:
    """Add up what meters show in a usage period by one of their dimensions."""
    found: dict[tuple[MeterId, str], Decimal] = {}
    for meter_id in meter_ids:
        shown = usage.meters.get(meter_id)
        for each in shown.combinations if shown else ():
            key = (meter_id, each.dimensions.get(dimension, ""))
            found[key] = EXACT.add(found.get(key, _NONE), each.quantity)
    return found


def total_of(figures: Figures) -> Figure:
    """Add the figures of all providers up."""
    total = Figure()
    for each in figures.values():
        total = total.plus(each)
    return total


def _per(cost: Decimal, units: Fraction) -> Decimal | None:
    return Decimal(round_half_up(Fraction(cost) / units * 10**UNIT_DIGITS)).scaleb(-UNIT_DIGITS) if units else None
