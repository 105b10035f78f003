"""The provider price list as it is written and changed: the merchant's file, and what a new set of rows may replace."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import msgspec

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import ProviderPriceId
from domain.kernel.unreadable import UNREADABLE
from domain.kernel.values import dataclass
from domain.plans.exact import EXACT, DefinitionRefused, decimal_at, malformed
from domain.plans.provider_price import POOLS, ModelAlias, PriceSet, Provider, ProviderPrice, TierPrice

NAME_LENGTH_MAX = 200
# Input tokens from which on a dearer price may hold.
ABOVE_MAX = 1_000_000_000
_FULL_HOUR = (0, 0, 0)


@dataclass(eq=False)
class PriceInForce(DomainError):
    """{provider} {model} has prices from {since} on, which calls of that time keep. Begin at a full hour after now."""

    code = "price_in_force"
    kind = Kind.CONFLICT
    provider: str
    model: str
    since: datetime


class RowDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price of one pool: `amount` for every `per` units, of calls with more than `above` input tokens."""

    pool: str
    amount: str
    per: str
    above: int = 0


class ModelDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The prices of one model, or of any model of the provider (`*`)."""

    provider: str
    model: str
    prices: tuple[RowDefinition, ...]
    aliases: tuple[str, ...] = ()


class ProviderDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See `domain.plans.provider_price.Provider`."""

    key: str
    name: str
    aliases: tuple[str, ...] = ()


class PriceListDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price list from one source, in force from one instant."""

    source: str
    valid_from: datetime
    providers: tuple[ProviderDefinition, ...]
    models: tuple[ModelDefinition, ...]


@dataclass(frozen=True, slots=True)
class PriceList:
    """A price list, read and checked."""

    valid_from: datetime
    providers: tuple[Provider, ...]
    aliases: tuple[ModelAlias, ...]
    sets: tuple[PriceSet, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """What adding a set does to the rows there are."""

    close: tuple[ProviderPriceId, ...]
    insert: bool


def read_price_list(text: bytes) -> PriceList:
    """Read a price list file (JSON). Raises DefinitionRefused with the path to the first fault."""
    try:
        found = msgspec.json.decode(text, type=PriceListDefinition)
    except UNREADABLE as error:
        raise malformed(error) from error
    providers = tuple(Provider(each.key, each.name, each.aliases) for each in found.providers)
    aliases = tuple(ModelAlias(each.provider, name, each.model) for each in found.models for name in each.aliases)
    sets = tuple(_set(each, found, f"$.models[{index}]") for index, each in enumerate(found.models))
    return PriceList(found.valid_from.astimezone(UTC), providers, aliases, sets)


def _set(model: ModelDefinition, whole: PriceListDefinition, path: str) -> PriceSet:
    rows = []
    for index, row in enumerate(model.prices):
        values, where = {"amount": row.amount, "per": row.per}, f"{path}.prices[{index}]"
        rows.append((row.pool, row.above, decimal_at(values, "amount", where), decimal_at(values, "per", where)))
    start = whole.valid_from.astimezone(UTC)
    found = PriceSet(model.provider, model.model, start, None, whole.source, *divided(rows))
    check_set(found, frozenset(provider.key for provider in whole.providers), path, written=rows)
    return found


def check_set(
    new: PriceSet, providers: frozenset[str], path: str, *, written: Sequence[TierPrice] | None = None
) -> None:
    """Refuse a set that could not price a call exactly. Raises DefinitionRefused with the path to the fault.

    `written` are its rows in the order in which they stand at the path; by default the tiers come last.
    """
    if new.provider not in providers:
        raise DefinitionRefused(f"{path}.provider", f"is not a provider of the list: {new.provider}")
    if not 1 <= len(new.model) <= NAME_LENGTH_MAX or new.model != new.model.lower().strip():
        raise DefinitionRefused(f"{path}.model", f"is not 1 to {NAME_LENGTH_MAX} characters in lower case")
    _check_interval(new, path)
    if not new.prices:
        raise DefinitionRefused(f"{path}.prices", "is empty")
    seen: set[tuple[str, int]] = set()
    for index, (pool, above, amount, per) in enumerate(new.rows if written is None else written):
        _check_row(pool, amount, per, f"{path}.prices[{index}]")
        if (pool, above) in seen:
            raise DefinitionRefused(f"{path}.prices[{index}].pool", f"is there twice: {pool}")
        seen.add((pool, above))
    for pool in sorted({tier[0] for tier in new.tiers}):
        _check_tiers(pool, new, path)


def _check_tiers(pool: str, new: PriceSet, path: str) -> None:
    """Refuse tiers that a call may fall below, or that make a longer call cheaper: an estimate would not bound it."""
    rows = sorted((above, EXACT.divide(amount, per)) for own, above, amount, per in new.rows if own == pool)
    if rows[0][0] != 0:
        raise DefinitionRefused(f"{path}.prices", f"has no price of {pool} without `above`, for shorter calls")
    if rows[1][0] <= 0 or rows[-1][0] > ABOVE_MAX:
        raise DefinitionRefused(f"{path}.prices", f"has an `above` of {pool} that is not from 0 to {ABOVE_MAX}")
    if any(longer[1] < shorter[1] for shorter, longer in pairwise(rows)):
        raise DefinitionRefused(f"{path}.prices", f"has a price of {pool} for longer calls below that of shorter ones")


def divided(
    rows: Iterable[TierPrice],
) -> tuple[tuple[tuple[str, Decimal, Decimal], ...], tuple[TierPrice, ...]]:
    """Divide rows into what a set holds: the prices of all calls, and the tiers of long ones."""
    kept = tuple(rows)
    prices = tuple((pool, amount, per) for pool, above, amount, per in kept if above == 0)
    return prices, tuple(row for row in kept if row[1] != 0)


def _check_interval(new: PriceSet, path: str) -> None:
    for name, instant in (("valid_from", new.valid_from), ("valid_to", new.valid_to)):
        if instant is not None and not _is_full_hour(instant):
            raise DefinitionRefused(f"{path}.{name}", "is not a full hour in UTC")
    if new.valid_to is not None and new.valid_to <= new.valid_from:
        raise DefinitionRefused(f"{path}.valid_to", "is not after valid_from")


def _is_full_hour(instant: datetime) -> bool:
    return instant.tzinfo is UTC and (instant.minute, instant.second, instant.microsecond) == _FULL_HOUR


def _check_row(pool: str, amount: Decimal, per: Decimal, path: str) -> None:
    if pool not in POOLS:
        raise DefinitionRefused(f"{path}.pool", f"is not one of {', '.join(POOLS)}")
    decimal_at({"amount": format(amount, "f")}, "amount", path)
    if per < 1 or per.normalize().as_tuple().digits != (1,):
        raise DefinitionRefused(f"{path}.per", "is not 1, 10, 100 and so on: a cost would not end")


def decide(new: PriceSet, existing: Sequence[ProviderPrice], at: datetime) -> Change:
    """Say what adding a set to the rows of its model does: nothing, insert it, or close open rows and insert it.

    A set may fill any interval in which no row of the model is in force. Where one is, it may only take over from now
    (`at`) on, so that a call keeps the price of its day. Raises PriceInForce.
    """
    overlapping = [row for row in existing if _overlap(new, row)]
    if not overlapping:
        return Change((), insert=True)
    if _same(new, overlapping):
        return Change((), insert=False)
    for row in overlapping:
        if row.valid_to is not None or row.valid_from >= new.valid_from or new.valid_from < at:
            raise PriceInForce(new.provider, new.model, row.valid_from)
    return Change(tuple(row.id for row in overlapping), insert=True)


def _overlap(new: PriceSet, row: ProviderPrice) -> bool:
    return (new.valid_to is None or row.valid_from < new.valid_to) and (
        row.valid_to is None or row.valid_to > new.valid_from
    )


def _same(new: PriceSet, rows: Sequence[ProviderPrice]) -> bool:
    wanted = {(pool, above): (amount, per) for pool, above, amount, per in new.rows}
    found = {(row.pool, row.above): (row.amount, row.per) for row in rows}
    interval = (new.valid_from, new.valid_to)
    return wanted == found and all((row.valid_from, row.valid_to) == interval for row in rows)
