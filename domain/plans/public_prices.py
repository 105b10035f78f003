"""Translate the public price data package `genai-prices` into rows of our list, for the providers that we take from it.

Taken: the standard price per million tokens of input, output, cache read, cache write, audio in and out, images in, and
per thousand document pages, dated as the package dates them. Where the package states dearer rates for a part of a
pool (long prompts, one-hour cache writes, cached audio and images, annotated pages), the pool's base rate is taken and
the row's source says so. Batch and priority variants and the price of tools are left out: no event reports them. A
model that bills a quantity without a pool, or by the hour of the day, is skipped as a whole.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from domain.kernel.values import dataclass
from domain.plans.provider_price import ModelAlias, PriceSet

# Our provider, the package's, and what the ids of the models begin with: Google's entry also lists what it resells.
PROVIDERS = (
    ("gemini", "google", "gemini-"),
    ("openai", "openai", ""),
    ("anthropic", "anthropic", ""),
    ("mistral", "mistral", ""),
)
_MILLION, _THOUSAND = Decimal(1_000_000), Decimal(1_000)
_POOLS: Mapping[str, tuple[str, Decimal]] = {
    "input_mtok": ("input", _MILLION),
    "output_mtok": ("output", _MILLION),
    "cache_read_mtok": ("cache_read", _MILLION),
    "cache_write_mtok": ("cache_write", _MILLION),
    "input_audio_mtok": ("audio_in", _MILLION),
    "output_audio_mtok": ("audio_out", _MILLION),
    "input_image_mtok": ("image_in", _MILLION),
    "input_document_kpages": ("page", _THOUSAND),
}
# Rates for a part of what a pool above holds: the pool keeps its base rate.
_PARTS = frozenset(
    {
        "cache_write_1h_mtok",
        "cache_audio_read_mtok",
        "cache_image_read_mtok",
        "input_annotated_document_kpages",
    }
)
_TOOLS = frozenset(
    {"web_searches_kcount", "social_searches_kcount", "storage_searches_kcount", "code_executions_kcount"}
)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A model of the package that our list cannot state, and why."""

    provider: str
    model: str
    why: str


@dataclass(frozen=True, slots=True)
class PublicPrices:
    """What the package has for us."""

    sets: tuple[PriceSet, ...]
    aliases: tuple[ModelAlias, ...]
    skipped: tuple[Skipped, ...]


def translate(providers: Iterable[Any], source: str, earliest: datetime) -> PublicPrices:
    """Translate `genai_prices.data.providers`. Prices without a date hold from `earliest`."""
    by_id = {provider.id: provider for provider in providers}
    sets: list[PriceSet] = []
    aliases: list[ModelAlias] = []
    skipped: list[Skipped] = []
    for key, public_id, prefix in PROVIDERS:
        provider = by_id[public_id]
        for model in provider.models:
            if not model.id.startswith(prefix):
                continue
            aliases += [ModelAlias(key, name, model.id) for name in _other_names(provider, model)]
            translated = _sets(key, model, source, earliest)
            if isinstance(translated, Skipped):
                skipped.append(translated)
            else:
                sets += translated
    return PublicPrices(tuple(sets), tuple(aliases), tuple(skipped))


def _sets(provider: str, model: Any, source: str, earliest: datetime) -> list[PriceSet] | Skipped:
    dated = _dated(model, earliest)
    if dated is None:
        return Skipped(provider, model.id, "its price depends on the time of day")
    ends = [start for start, _ in dated[1:]] + [None]
    sets = []
    for (start, price), end in zip(dated, ends, strict=True):
        stated = {key: value for key, value in vars(price).items() if value is not None}
        unknown = stated.keys() - _POOLS.keys() - _PARTS - _TOOLS
        if unknown or not stated.keys() & _POOLS.keys():
            why = f"no pool for {', '.join(sorted(unknown))}" if unknown else "the package states no price"
            return Skipped(provider, model.id, why)
        rows = tuple((*_POOLS[key][:1], _base(stated[key]), _POOLS[key][1]) for key in _POOLS if key in stated)
        base_only = stated.keys() & _PARTS or any(not isinstance(value, Decimal) for value in stated.values())
        sets.append(PriceSet(provider, model.id, start, end, f"{source}{', base rates' if base_only else ''}", rows))
    return sets


def _dated(model: Any, earliest: datetime) -> list[tuple[datetime, Any]] | None:
    """Return the model's prices with the instant from which each holds, oldest first."""
    if not isinstance(model.prices, list):
        return [(earliest, model.prices)]
    dated: dict[datetime, Any] = {}
    for conditional in model.prices:
        if conditional.constraint is None:
            dated[earliest] = conditional.prices
        elif isinstance(start := getattr(conditional.constraint, "start_date", None), date):
            dated[datetime.combine(start, time(), UTC)] = conditional.prices
        else:
            return None
    return sorted(dated.items(), key=lambda found: found[0])


def _base(value: Any) -> Decimal:
    base = value if isinstance(value, Decimal) else value.base
    assert isinstance(base, Decimal), "the package states exact decimals"
    return base


def _other_names(provider: Any, model: Any) -> Iterator[str]:
    """Yield the literal names by which the package finds this model and no other."""
    for name in sorted(set(_literals(model.match))):
        if name != model.id and provider.find_model(name) is model:
            yield name


def _literals(clause: Any) -> Iterator[str]:
    for part in (*getattr(clause, "or_", ()), *getattr(clause, "and_", ())):
        yield from _literals(part)
    for kind in ("equals", "starts_with", "contains"):
        if hasattr(clause, kind):
            yield str(getattr(clause, kind)).lower()
