"""The provider price list: which row prices a call on its day, and what the call cost."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from domain.kernel.ids import ProviderPriceId
from domain.kernel.values import dataclass
from domain.plans.exact import EXACT, Quantity

# The currency of every provider's list. A plan in another one needs a conversion rate, which no plan has yet.
LIST_CURRENCY: Final = "USD"
# Sources of rows that were taken from public price data begin so; all others are the merchant's own.
PUBLIC_SOURCE: Final = "genai-prices"
# A row for this model prices every model of the provider that has no row of its own.
ANY_MODEL: Final = "*"

# Each pool with the pool as which it is charged where it has no row of its own; that one stands before it.
POOLS: Mapping[str, str | None] = {
    "input": None,
    "output": None,
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "audio_in": "input",
    "image_in": "input",
    "reasoning": "output",
    "audio_out": "output",
    "image": None,
    "request": None,
    "page": None,
}

# The pools whose sum is the input of a call: cached tokens are sent too. Prices for long calls look at it.
INPUT_POOLS: Final = ("input", *(pool for pool, parent in POOLS.items() if parent in {"input", "cache_write"}))

# The properties of an `llm.call` event that carry quantities, and their pools. Pools are mutually exclusive: cached
# tokens are not counted as input again.
POOL_OF_PROPERTY: Mapping[str, str] = {
    "input_tokens": "input",
    "output_tokens": "output",
    "cache_read_tokens": "cache_read",
    "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h",
    "audio_input_tokens": "audio_in",
    "image_input_tokens": "image_in",
    "reasoning_tokens": "reasoning",
    "audio_output_tokens": "audio_out",
    "images": "image",
    "requests": "request",
    "pages": "page",
}

# Pools whose property says how much of another one's quantity is in them: tokens are stated whole, and priced apart.
PARTS: Final[Mapping[str, str]] = {"cache_write_1h": "cache_write"}

AppliedPrice = tuple[str, ProviderPriceId, Decimal, Decimal]
# Pool, `ProviderPrice.above`, amount, per.
TierPrice = tuple[str, int, Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class ProviderPrice:
    """One dated row: `amount` of `currency` for every `per` units of a pool, in force in [valid_from, valid_to).

    It prices calls with more than `above` input tokens, all input pools together; 0: every call that no row with a
    higher `above` prices. It then prices all units of the call, not only those above.
    """

    id: ProviderPriceId
    provider: str
    model: str
    pool: str
    amount: Decimal
    per: Decimal
    currency: str
    valid_from: datetime
    valid_to: datetime | None
    source: str
    above: int = 0


@dataclass(frozen=True, slots=True)
class PriceSet:
    """All rows of one model for one interval, from one source: what is added to the list at a time.

    `prices` are (pool, amount, per); `tiers` are those of long calls, (pool, above, amount, per): see
    `ProviderPrice.above`.
    """

    provider: str
    model: str
    valid_from: datetime
    valid_to: datetime | None
    source: str
    prices: tuple[tuple[str, Decimal, Decimal], ...]
    tiers: tuple[TierPrice, ...] = ()

    @property
    def rows(self) -> tuple[TierPrice, ...]:
        """All rows as (pool, above, amount, per)."""
        return (*((pool, 0, amount, per) for pool, amount, per in self.prices), *self.tiers)


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider, with the other names under which calls to it are reported."""

    key: str
    name: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelAlias:
    """Another name of a provider's model."""

    provider: str
    alias: str
    model: str


class PricedCost(msgspec.Struct, frozen=True, gc=False):
    """The exact cost in LIST_CURRENCY, and for each pool charged (pool, row, amount, per), with the ids of the rows."""

    cost: Decimal
    rows: tuple[AppliedPrice, ...]
    row_ids: tuple[ProviderPriceId, ...] = ()


@dataclass(frozen=True, slots=True)
class Unpriced:
    """No row was in force for these pools nor their parents; no pools: the call reports nothing that has a price."""

    provider: str
    model: str
    pools: tuple[str, ...]


_K = TypeVar("_K")
_T = TypeVar("_T")
_REMEMBERED_MAX = 4_096
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_Row = tuple[datetime, datetime | None, Decimal, ProviderPriceId, Decimal, Decimal]
# Those of one model, newest first, by `above` and pool.
_Rows = Mapping[tuple[int, str], tuple[_Row, ...]]
# Amounts of one unit by pool, and what is said of the rows they are from.
_Applied = tuple[tuple[tuple[str, Decimal], ...], tuple[AppliedPrice, ...], tuple[ProviderPriceId, ...]]


@dataclass(frozen=True, slots=True)
class Tariff:
    """The rows that price a model's calls in [valid_from, valid_to), by pool; a pool without one is not among them.

    It remembers which rows price calls that report the same pools. `longer` are the tariffs of calls with more input
    tokens than so many, the highest number first: each remembers its own.
    """

    provider: str
    model: str
    valid_from: datetime
    valid_to: datetime
    rows: Mapping[str, _Row]
    has_request: bool
    longer: tuple[tuple[int, "Tariff"], ...] = ()
    _applied: dict[tuple[str, ...], _Applied] = field(default_factory=dict, compare=False, repr=False)

    def cost_of(self, quantities: Mapping[str, Quantity]) -> PricedCost | Unpriced:
        """Price one call by its quantities >= 0 by pool.

        A call is one request: where the model has a request row and no number of requests is given, one is charged.
        """
        if self.longer and (tier := self._tier_of(quantities)) is not None:
            return tier.cost_of(quantities)
        if self.has_request and "request" not in quantities:
            quantities = {**quantities, "request": 1}
        if not quantities:
            return Unpriced(self.provider, self.model, ())
        pools = tuple([pool for pool, quantity in quantities.items() if quantity])
        applied = self._applied.get(pools)
        if applied is None:
            missing = tuple(pool for pool in pools if pool not in self.rows)
            if missing:
                return Unpriced(self.provider, self.model, missing)
            applied = self._apply(pools)
            _remember(self._applied, pools, applied)
        cost = Decimal(0)
        for pool, amount in applied[0]:
            cost = EXACT.fma(amount, quantities[pool], cost)
        return PricedCost(cost, *applied[1:])

    def _tier_of(self, quantities: Mapping[str, Quantity]) -> "Tariff | None":
        """Return the tariff with the highest threshold that the input of a call exceeds; None: it is no long call."""
        tokens = _input_of(quantities)
        return next((tariff for above, tariff in self.longer if tokens > above), None)

    def of_many(self) -> "Tariff":
        """Return what prices the sum of many calls, of which nobody knows how long each was: as short ones."""
        return replace(self, longer=()) if self.longer else self

    def _apply(self, pools: Iterable[str]) -> _Applied:
        rows = [(pool, self.rows[pool]) for pool in pools]
        return (
            tuple((pool, row[2]) for pool, row in rows),
            tuple((pool, *row[3:]) for pool, row in rows),
            tuple(row[3] for _, row in rows),
        )


@dataclass(frozen=True, slots=True)
class PriceBook:
    """The whole list at one instant. Callers keep it while `catalogue_fingerprint` stays the same.

    It remembers the names and tariffs it was asked for; calls name a few models over and over.
    """

    fingerprint: str
    providers: tuple[Provider, ...]
    _provider_names: Mapping[str, str]
    _aliases: Mapping[str, Mapping[str, str]]
    _rows: Mapping[tuple[str, str], _Rows]
    _own: frozenset[tuple[str, str]]
    _names: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict, compare=False, repr=False)
    _tariffs: dict[tuple[str, str], Tariff] = field(default_factory=dict, compare=False, repr=False)

    def provider_of(self, name: str) -> str:
        """Return the key of a provider reported under any of its names; an unknown one in lower case."""
        plain = name.strip().lower()
        return self._provider_names.get(plain, plain)

    def models_of(self, provider: str) -> tuple[str, ...]:
        """Return the models of a provider (by its key) that the merchant lists, at whatever time, by name.

        They are all of public price data where the merchant has no rows of its own for the provider.
        """
        own = {model for key, model in self._own if key == provider}
        return tuple(sorted((own or {model for key, model in self._rows if key == provider}) - {ANY_MODEL}))

    def model_of(self, provider: str, name: str) -> str:
        """Return the model of a provider (by its key) that a reported name means; see `normalise_model`."""
        return normalise_model(provider, name, self._aliases.get(provider, {}))

    def names_of(self, provider: str, model: str) -> tuple[str, str]:
        """Return the names of provider and model that reported ones mean."""
        found = self._names.get((provider, model))
        if found is None:
            key = self.provider_of(provider)
            found = (key, self.model_of(key, model))
            _remember(self._names, (provider, model), found)
        return found

    def cost_of(
        self, provider: str, model: str, quantities: Mapping[str, Quantity], at: datetime
    ) -> PricedCost | Unpriced:
        """Price one call at the instant it occurred, from quantities >= 0 by pool.

        Names need not be normalised. A pool without a row is charged as its parent; each by its row with the highest
        `above` that the input of the call exceeds. A call is one request: where the
        model has a request row and no number of requests is given, one is charged.
        """
        return self.tariff_of(*self.names_of(provider, model), at).cost_of(quantities)

    def tariff_of(self, provider: str, model: str, at: datetime) -> Tariff:
        """Return what prices the calls of a model at an instant, by the names of the list."""
        found = self._tariffs.get((provider, model))
        if found is None or not found.valid_from <= at < found.valid_to:
            found = self._tariff(provider, model, at)
            _remember(self._tariffs, (provider, model), found)
        return found

    def _tariff(self, provider: str, model: str, at: datetime) -> Tariff:
        known = model in self._aliases.get(provider, {})
        listed = self._rows.get((provider, model if known else ANY_MODEL), {})
        borders = {border for rows in listed.values() for row in rows for border in row[:2] if border is not None}
        valid_from = max((border for border in borders if border <= at), default=_FIRST)
        valid_to = min((border for border in borders if border > at), default=_LAST)
        in_force: dict[str, _Row] = {}
        tariffs: list[tuple[int, Tariff]] = []
        # From the base on upwards: what has no row for longer calls keeps the one it has.
        for above in sorted({0, *(above for above, _ in listed)}):
            own = {pool: row for pool in POOLS if (row := _in_force(listed.get((above, pool), ()), at)) is not None}
            if own or not above:
                in_force = {**in_force, **own}
                rows, has_request = _with_children(in_force), "request" in in_force
                tariffs.append((above, Tariff(provider, model, valid_from, valid_to, rows, has_request)))
        (_, base), *longer = tariffs
        return replace(base, longer=tuple(reversed(longer))) if longer else base


def without_parts(stated: Mapping[str, Quantity]) -> Mapping[str, Quantity] | None:
    """Make the quantities of pools exclusive, as they are priced; None where a part is more than its whole."""
    for part, whole in PARTS.items():
        if part in stated:
            rest = EXACT.subtract(Decimal(stated.get(whole, 0)), Decimal(stated[part]))
            if rest < 0:
                return None
            stated = {**stated, whole: rest}
    return stated


def _with_children(in_force: Mapping[str, _Row]) -> dict[str, _Row]:
    """Return the row that prices each pool: its own, else that of its parent; a pool with neither is left out."""
    found: dict[str, _Row] = {}
    for pool, parent in POOLS.items():
        row = in_force.get(pool) or (found.get(parent) if parent else None)
        if row is not None:
            found[pool] = row
    return found


def _input_of(quantities: Mapping[str, Quantity]) -> Quantity:
    """Add up the input tokens of a call, cached ones too."""
    found: Quantity = 0
    for pool in INPUT_POOLS:
        quantity = quantities.get(pool)
        if quantity:
            found = EXACT.add(found, quantity)
    return found


def _in_force(rows: Iterable[_Row], at: datetime) -> _Row | None:
    return next((row for row in rows if row[0] <= at and (row[1] is None or at < row[1])), None)


def _remember(memory: dict[_K, _T], key: _K, value: _T) -> None:
    """Keep a value; a memory that is full starts anew, since names come from outside."""
    if len(memory) >= _REMEMBERED_MAX:
        memory.clear()
    memory[key] = value


def price_book_of(
    fingerprint: str, providers: Iterable[Provider], aliases: Iterable[ModelAlias], rows: Sequence[ProviderPrice]
) -> PriceBook:
    """Build a book from the rows of the list."""
    kept = tuple(sorted(providers, key=lambda provider: provider.key))
    names = {name: provider.key for provider in kept for name in (provider.key, *provider.aliases)}
    models: dict[str, dict[str, str]] = {}
    for alias in aliases:
        models.setdefault(alias.provider, {})[alias.alias] = alias.model
    listed: dict[tuple[str, str], dict[tuple[int, str], tuple[_Row, ...]]] = {}
    for row in sorted(rows, key=lambda row: row.valid_from, reverse=True):
        models.setdefault(row.provider, {})[row.model] = row.model
        unit_amount = EXACT.divide(row.amount, row.per)
        entry = (row.valid_from, row.valid_to, unit_amount, row.id, row.amount, row.per)
        of_model, key = listed.setdefault((row.provider, row.model), {}), (row.above, row.pool)
        of_model[key] = (*of_model.get(key, ()), entry)
    own = frozenset((row.provider, row.model) for row in rows if not row.source.startswith(PUBLIC_SOURCE))
    return PriceBook(fingerprint, kept, names, models, listed, own)


_PATH = re.compile(r"^.*/")
_REGION = re.compile(r"^(?:global|us-gov|us|eu|apac|ap|au|ca|jp|sa|me|af)\.")
_VENDOR = re.compile(r"^(?:anthropic|google|mistral|openai|stability)\.")
# What providers append to a model's name without changing its price: a deployment version, `latest`, a day, a revision.
_SUFFIXES = tuple(
    re.compile(pattern)
    for pattern in (
        r"-v\d+(?::\d+)?$",
        r"[-@]latest$",
        r"[-@]20\d{2}-?[01]\d-?[0-3]\d$",
        r"-[01]\d-20\d{2}$",
        r"-[01]\d-[0-3]\d$",
        r"-00\d$",
    )
)


def normalise_model(provider: str, name: str, aliases: Mapping[str, str]) -> str:
    """Return the model that a reported name means.

    `aliases` maps every known name of the provider's models to the model. Path, region and vendor prefixes are taken
    off, then one suffix after another until a known name is left, so that a dated name with a row of its own keeps it.
    An unknown name comes back without prefixes and suffixes.
    """
    plain = name.strip().lower()
    if plain in aliases:
        return aliases[plain]
    plain = _PATH.sub("", plain).removeprefix(f"{provider}.")
    plain = _VENDOR.sub("", _REGION.sub("", plain))
    for suffix in (None, *_SUFFIXES):
        plain = suffix.sub("", plain) if suffix else plain
        if plain in aliases:
            return aliases[plain]
    return plain
