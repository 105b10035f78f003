"""Load the list prices that lines on kept costs show beside them."""

from domain.db import Tx
from domain.invoices.assembly import SegmentTotals
from domain.invoices.rates import store
from domain.invoices.rating import Rates
from domain.kernel.period import Period
from domain.plans.provider_price import ANY_MODEL, ProviderPrice


async def rates_of(tx: Tx, totals: SegmentTotals, during: Period) -> Rates:
    """Load the price list rows that explain what was counted."""
    models = {
        (total.dimensions["provider"], model)
        for counted in totals.values()
        for total in counted
        if "provider" in total.dimensions
        for model in (total.dimensions.get("model", ANY_MODEL), ANY_MODEL)
    }
    found: dict[tuple[str, str], list[ProviderPrice]] = {}
    if models:
        for row in await store.list_rates(tx, models=models, during=during):
            found.setdefault((row.provider, row.model), []).append(row)
    return found
