"""Change the provider price list: what an import would do, the import itself, and a merchant's own prices."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from domain.access.roles import Permission
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import ProviderPriceId
from domain.kernel.values import dataclass
from domain.plans import service as plans
from domain.plans.exact import EXACT
from domain.plans.price_list import divided
from domain.plans.provider_price import PriceSet, ProviderPrice, TierPrice
from domain.plans.public_prices import sets_to_take

# The source of prices that staff set by hand.
MERCHANT: Final = "merchant"
ROWS_MAX = 100_000
# Before anything that public prices say the day of.
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MODEL_ROWS_MAX = plans.PAGE_MAX


@dataclass(frozen=True, slots=True)
class Diff:
    """What an import does: rows that are new, rows that end earlier than before, and sets that are refused, with why.

    `unchanged` counts the sets that are there already.
    """

    added: tuple[ProviderPrice, ...]
    ended: tuple[ProviderPrice, ...]
    unchanged: int
    refused: tuple[tuple[PriceSet, DomainError], ...]


@dataclass(eq=False)
class NothingToMarkUp(DomainError):
    """{provider} {model} has no prices just before {valid_from}. State the prices themselves."""

    code = "nothing_to_mark_up"
    kind = Kind.INVALID
    provider: str
    model: str
    valid_from: datetime


class PricesOrMarkup(DomainError):
    """Give either the prices of the pools or a markup on those in force, and a markup above 0."""

    code = "prices_or_markup"
    kind = Kind.INVALID


async def list_all(
    tx: Tx, call: Call, *, provider: str | None = None, model: str | None = None, at: datetime | None = None
) -> list[ProviderPrice]:
    """Return the rows of the list, at most ROWS_MAX: of a provider, of a model, in force at an instant. Forbidden."""
    found: list[ProviderPrice] = []
    after: ProviderPriceId | None = None
    while len(found) < ROWS_MAX:
        page = await plans.list_provider_prices(tx, call, provider=provider, at=at, after=after, limit=plans.PAGE_MAX)
        found += page
        if len(page) < plans.PAGE_MAX:
            break
        after = page[-1].id
    return [row for row in found if model is None or row.model == model]


async def import_sets(tx: Tx, call: Call, sets: Sequence[PriceSet]) -> int:
    """Add all sets or none, and return how many rows are new. Raises Forbidden, DefinitionRefused, PriceInForce."""
    call.need(Permission.PRICE_WRITE)
    return await plans.import_provider_prices(tx, call, sets)


async def try_sets(tx: Tx, call: Call, sets: Sequence[PriceSet]) -> Diff:
    """Import each set that can be imported and tell what came of it. The caller rolls the transaction back."""
    before = {row.id: row for row in await list_all(tx, call)}
    unchanged = 0
    refused = []
    for each in sets:
        try:
            unchanged += await import_sets(tx, call, [each]) == 0
        except DomainError as error:
            refused.append((each, error))
    after = await list_all(tx, call)
    added = tuple(row for row in after if row.id not in before)
    ended = tuple(row for row in after if row.id in before and row != before[row.id])
    return Diff(added, ended, unchanged, tuple(refused))


async def try_public(
    tx: Tx,
    call: Call,
    *,
    since: datetime | None = None,
    provider: str | None = None,
    model: str | None = None,
    with_own: bool = False,
) -> Diff:
    """Take the installed public prices as they are from `since` on (None: the next full hour), of models that differ.

    A model with prices of the merchant's own is left alone unless `with_own`. What cannot be taken is told; the rest is
    written, for the caller to keep or to roll back. Raises Forbidden.
    """
    start = since or call.at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    public = plans.read_public_prices(_EVER)
    differing = sets_to_take(public, await list_all(tx, call), start, with_own=with_own)
    sets = [each for each in differing if provider in {None, each.provider} and model in {None, each.model}]
    models = {(each.provider, each.model) for each in sets}
    await plans.add_model_names(tx, call, [name for name in public.aliases if (name.provider, name.model) in models])
    return await try_sets(tx, call, sets)


async def set_merchant_prices(
    tx: Tx,
    call: Call,
    *,
    provider: str,
    model: str,
    valid_from: datetime,
    valid_to: datetime | None = None,
    prices: Sequence[tuple[str, Decimal, Decimal]] = (),
    tiers: Sequence[TierPrice] = (),
    markup: Decimal | None = None,
) -> list[ProviderPrice]:
    """Set a model's prices, from an instant on, to the merchant's own, and return the rows that are in force then.

    Either `prices` (pool, amount, per) with the `tiers` of long calls (pool, above, amount, per), or `markup`: a factor
    on the rows that are in force just before `valid_from`, tiers too. Safe to repeat. Raises Forbidden, PricesOrMarkup,
    NothingToMarkUp, DefinitionRefused, PriceInForce.
    """
    call.need(Permission.PRICE_WRITE)
    if bool(prices or tiers) == (markup is not None) or (markup is not None and markup <= 0):
        raise PricesOrMarkup
    if markup is not None:
        rows = await list_all(tx, call, provider=provider, model=model)
        prices, tiers = divided(_marked_up(rows, markup, valid_from))
        if not prices:
            raise NothingToMarkUp(provider, model, valid_from)
    new = PriceSet(provider, model, valid_from, valid_to, MERCHANT, tuple(prices), tuple(tiers))
    await plans.import_provider_prices(tx, call, [new])
    return await list_all(tx, call, provider=provider, model=model, at=valid_from)


def _marked_up(rows: Sequence[ProviderPrice], markup: Decimal, until: datetime) -> list[TierPrice]:
    """Multiply the rows in force just before an instant; a repetition finds the same ones, though they end there."""
    return [
        (row.pool, row.above, EXACT.multiply(row.amount, markup).normalize(EXACT), row.per)
        for row in rows
        if row.valid_from < until and (row.valid_to is None or until <= row.valid_to)
    ]
