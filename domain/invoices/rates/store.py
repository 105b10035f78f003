"""Rows of the provider price list for lines on kept costs."""

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from domain import db
from domain.kernel.period import Period
from domain.plans.provider_price import ProviderPrice
from domain.plans.store import provider_price


async def list_rates(tx: db.Tx, *, models: Collection[tuple[str, str]], during: Period) -> Sequence[ProviderPrice]:
    """Return the rows of the provider price list for these (provider, model), in force at some instant of a period."""
    row = provider_price.c
    statement = sa.select(provider_price).where(
        sa.tuple_(row.provider, row.model).in_(models),
        row.valid_from < during.end,
        sa.or_(row.valid_to.is_(None), row.valid_to > during.start),
    )
    return [ProviderPrice(**found._asdict()) for found in await tx.rows(statement)]
