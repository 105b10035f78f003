"""Look for calls whose usage nobody told, and tell staff: one alert for each customer and day, with what there is."""

from datetime import datetime, time

from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.db import Tx
from domain.kernel.call import Call
from domain.kernel.ids import encode
from domain.kernel.money import exact_text
from domain.limits.unsettled import service as unsettled
from domain.limits.unsettled.service import LOOK_MAX
from domain.limits.unsettled.unsettled import Sum
from domain.plans.provider_price import LIST_CURRENCY

# One transaction of `tell`; fewer were left where it looked at fewer.
BATCH = LOOK_MAX


async def tell(tx: Tx, call: Call) -> int:
    """Look at the next expired reservations, and tell staff of those of metered calls; return how many there were.

    Each is looked at once. While the alert of a customer and day is unread, it is given the new numbers, and no other
    one is raised.
    """
    looked_at, customers = await unsettled.find(tx, call)
    day = call.at.date()
    midnight = datetime.combine(day, time(), call.at.tzinfo)
    for each in await unsettled.sums_of(tx, customers, since=midnight):
        name = encode("customer", each.customer_id)
        facts = {"customer_id": name, "day": day.isoformat(), "count": each.count, "amount": _amount(each)}
        await staffing.raise_alert(
            tx,
            call,
            StaffAlertKind.USAGE_UNSETTLED,
            f"{name}:{day.isoformat()}",
            environment=each.environment,
            facts=facts,
            renews=True,
        )
    return looked_at


def _amount(sums: Sum) -> str:
    amount = f"{exact_text(sums.cost)} {LIST_CURRENCY} at list prices"
    return f"{amount}, besides {sums.unpriced} that have no price" if sums.unpriced else amount
