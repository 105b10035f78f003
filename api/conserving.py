"""`tollgate verify conservation`: prove that what was counted is charged, granted, or still to be billed."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime

from api.seed import operator
from domain.config import Settings
from domain.invoices.conservation.balance import Account
from domain.invoices.conservation.service import Conservation, conserve, list_periods
from domain.kernel.ids import CustomerId, SubscriptionId, decode, encode
from domain.kernel.money import exact_text
from domain.subscriptions import service as subscriptions

_KINDS = ("charged", "included", "tolerated", "above_cap", "trial", "observed", "elsewhere", "not_yet_billed")


async def verify_conservation(
    settings: Settings, customer: str, *, subscription: str | None = None, at: datetime | None = None
) -> AsyncIterator[Conservation]:
    """Prove the usage periods of a customer, of all subscriptions or one, all periods or the one with an instant.

    Ids are as they are shown (`cus_…`, `sub_…`). Raises IdMalformed, SubscriptionNotFound.
    """
    customer_id = CustomerId(decode("customer", customer))
    wanted = SubscriptionId(decode("subscription", subscription)) if subscription else None
    async with operator(settings) as (tx, call):
        found = await subscriptions.list_subscriptions(tx, customer_id)
        for subscription_id in [wanted] if wanted else [each.id for each in found]:
            starts = [period.start for period in await list_periods(tx, call, subscription_id)]
            for start in [at] if at else starts:
                yield await conserve(
                    tx, call, customer_id=customer_id, subscription_id=subscription_id, period_start=start
                )


def report(found: Conservation) -> Iterator[str]:
    """Write a proof: a line for each meter and segment, what differs, and the end result."""
    for account in found.accounts:
        yield f"{'holds' if not account.missing else 'MISSING':<8}{_account(account)}"
    for total in found.totals:
        yield f"{'DIFFERS':<8}total of {total.meter}: {', '.join(each.field for each in total.differences)}"
    if not found.accepted.holds:
        yield f"{'MISSING':<8}events: {found.accepted}"
    name, period = encode("subscription", found.subscription_id), found.period
    verdict = "holds" if found.holds else "does not hold"
    yield f"{name} {period.start:%Y-%m-%d} to {period.end:%Y-%m-%d}: {verdict}, {found.events} events recounted"


def _account(account: Account) -> str:
    parts = [
        f"{kind.replace('_', ' ')} {exact_text(getattr(account, kind))}" for kind in _KINDS if getattr(account, kind)
    ]
    missing = f", missing {exact_text(account.missing)}" if account.missing else ""
    return f"{account.meter}: counted {exact_text(account.counted)} = {' + '.join(parts) or '0'}{missing}"
