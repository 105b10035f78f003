"""Translate the public price data package `genai-prices` into rows of our list, for the providers that we take from it.

Taken: the standard price per million tokens of input, output, cache read, cache write (also for an hour), audio in and
out, images in, and per thousand document pages, dated as the package dates them, with the prices of calls whose input
is longer than a threshold: the package's rule is ours, see `ProviderPrice.above`. Where the package states dearer rates
for a part of a pool (cached audio and images, annotated pages), the pool's base rate is taken and the row's source says
so. Batch and priority variants and the price of tools are left out: no event reports them. A model that bills a
quantity without a pool, or by the hour of the day, is skipped as a whole, and so is one for audio whose audio has no
price: it would be sold at that of text.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from domain.kernel.values import dataclass
from domain.plans.price_list import divided
from domain.plans.provider_price import PUBLIC_SOURCE, ModelAlias, PriceSet, ProviderPrice, TierPrice

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
    "cache_write_1h_mtok": ("cache_write_1h", _MILLION),
    "input_audio_mtok": ("audio_in", _MILLION),
    "output_audio_mtok": ("audio_out", _MILLION),
    "input_image_mtok": ("image_in", _MILLION),
    "input_document_kpages": ("page", _THOUSAND),
}
# Rates for a part of what a pool above holds: the pool keeps its base rate.
_PARTS = frozenset(
    {
        "cache_audio_read_mtok",
        "cache_image_read_mtok",
        "input_annotated_document_kpages",
    }
)
# What the ids of models for audio have in them, and its prices.
_HEARS, _AUDIO = "-audio", frozenset({"input_audio_mtok", "output_audio_mtok"})
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
        if _HEARS in model.id and not stated.keys() & _AUDIO:
            return Skipped(provider, model.id, "the package states no price of its audio")
        rows = [row for key in _POOLS if key in stated for row in _rows(key, stated[key])]
        named = f"{source}{', base rates' if stated.keys() & _PARTS else ''}"
        sets.append(PriceSet(provider, model.id, start, end, named, *divided(rows)))
    return sets


def _rows(key: str, value: Any) -> Iterator[TierPrice]:
    """Yield the base price of a pool, and those of longer calls."""
    pool, per = _POOLS[key]
    tiers = ((tier.start, tier.price) for tier in getattr(value, "tiers", ()))
    for above, amount in ((0, getattr(value, "base", value)), *tiers):
        assert isinstance(amount, Decimal), "the package states exact decimals"
        yield pool, above, amount, per


def sets_to_take(
    public: PublicPrices, rows: Sequence[ProviderPrice], start: datetime, *, with_own: bool = False
) -> list[PriceSet]:
    """Return the sets of public prices, from `start` on, that differ from what the list says of their model by then.

    A model for which the merchant has rows of another source, in force or to come, is left alone unless `with_own`.
    """
    of_model: dict[tuple[str, str], list[ProviderPrice]] = {}
    for row in rows:
        if row.valid_to is None or row.valid_to > start:
            of_model.setdefault((row.provider, row.model), []).append(row)
    found = []
    for each in public.sets:
        if each.valid_to is not None and each.valid_to <= start:
            continue
        own = of_model.get((each.provider, each.model), [])
        new = replace(each, valid_from=max(each.valid_from, start))
        if (with_own or all(row.source.startswith(PUBLIC_SOURCE) for row in own)) and not _says(own, new):
            found.append(new)
    return found


def _says(rows: Iterable[ProviderPrice], new: PriceSet) -> bool:
    """Whether the rows in force at the start of a set are the prices of the set."""
    at = new.valid_from
    in_force = {
        (row.pool, row.above, row.amount, row.per)
        for row in rows
        if row.valid_from <= at and (row.valid_to is None or at < row.valid_to)
    }
    return in_force == set(new.rows)


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
