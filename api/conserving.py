"""`tollgate verify conservation`: prove that what was counted is charged, granted, or still to be billed."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from api.seed import operator_call, operator_database
from domain.config import Settings
from domain.customers import service as customers
from domain.db import Database
from domain.invoices.conservation.balance import Account
from domain.invoices.conservation.service import Conservation, conserve, list_periods
from domain.kernel.ids import PREFIXES, CustomerId, SubscriptionId, decode, encode
from domain.kernel.money import exact_text
from domain.kernel.period import Period
from domain.subscriptions import service as subscriptions
from domain.subscriptions.service import SubscriptionNotFound
from domain.subscriptions.subscription import Subscription

_KINDS = ("charged", "included", "tolerated", "above_cap", "trial", "observed", "elsewhere", "not_yet_billed")


async def print_proofs(
    settings: Settings, owner: str, *, at: datetime | None, as_json: bool, echo: Callable[[str], object]
) -> bool:
    """Print each proof as it comes, as lines or as JSON, and return whether all of them hold."""
    proved = broken = 0
    async for found in verify_conservation(settings, owner, at=at):
        proved += 1
        broken += not found.holds
        for line in [msgspec.json.encode(facts_of(found)).decode()] if as_json else report(found):
            echo(line)
    if not as_json:
        echo(f"{proved} usage periods, {broken} do not hold")
    return not broken


async def verify_conservation(
    settings: Settings, owner: str = "", *, at: datetime | None = None
) -> AsyncIterator[Conservation]:
    """Prove the usage periods of a customer, of one subscription, or of everybody; all of them, or those at an instant.

    `owner` is an id as it is shown (`cus_…`, `sub_…`), or empty. Each proof is a transaction of its own, so that none
    lasts long. Raises IdMalformed, CustomerNotFound, SubscriptionNotFound.
    """
    async with operator_database(settings) as database:
        async for subscription in _subscriptions(database, owner):
            for period in await _periods(database, subscription):
                if at is None or at in period:
                    yield await _prove(database, subscription, period)


async def _subscriptions(database: Database, owner: str) -> AsyncIterator[Subscription]:
    if owner.startswith(f"{PREFIXES['subscription']}_"):
        yield await _one(database, SubscriptionId(decode("subscription", owner)))
        return
    async for customer_id in _customers(database, owner):
        async with database.transaction() as tx:
            found = await subscriptions.list_subscriptions(tx, customer_id)
        for subscription in found:
            yield subscription


async def _one(database: Database, subscription_id: SubscriptionId) -> Subscription:
    async with database.transaction() as tx:
        found = await subscriptions.find_subscription(tx, subscription_id, scope=None)
    if found is None:
        raise SubscriptionNotFound
    return found


async def _customers(database: Database, owner: str) -> AsyncIterator[CustomerId]:
    """Give the customer who is named, or all of them, page after page."""
    if owner:
        async with database.transaction() as tx:
            named = await customers.load_customer(tx, operator_call(), CustomerId(decode("customer", owner)))
        yield named.id
        return
    after: CustomerId | None = None
    while True:
        async with database.transaction() as tx:
            page = await customers.list_customers(tx, operator_call(), after=after)
        if not page:
            return
        after = page[-1].id
        for customer in page:
            yield customer.id


async def _periods(database: Database, subscription: Subscription) -> list[Period]:
    async with database.transaction() as tx:
        return await list_periods(tx, operator_call(), subscription.id)


async def _prove(database: Database, subscription: Subscription, period: Period) -> Conservation:
    async with database.transaction() as tx:
        return await conserve(
            tx,
            operator_call(),
            customer_id=subscription.customer_id,
            subscription_id=subscription.id,
            period_start=period.start,
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


def facts_of(found: Conservation) -> dict[str, Any]:
    """Write a proof as JSON; quantities are exact texts."""
    accepted = found.accepted
    return {
        "customer": encode("customer", found.customer_id),
        "subscription": encode("subscription", found.subscription_id),
        "period_start": found.period.start,
        "period_end": found.period.end,
        "holds": found.holds,
        "events": found.events,
        "accounts": [_account_json(each) for each in found.accounts],
        "totals_that_differ": [
            {"segment": encode("segment", each.segment_id), "meter": each.meter, "dimensions": dict(each.dimensions)}
            for each in found.totals
        ],
        "accepted": {
            "counted": accepted.counted,
            "quarantined": accepted.quarantined,
            "stored": accepted.stored,
            "put_away": accepted.put_away,
            "voids": accepted.voids,
            "held": accepted.held,
            "holds": accepted.holds,
        },
    }


def _account_json(account: Account) -> dict[str, str]:
    quantities = {kind: exact_text(getattr(account, kind)) for kind in ("counted", *_KINDS, "missing")}
    return {"segment": encode("segment", account.segment_id), "meter": account.meter, **quantities}


def _account(account: Account) -> str:
    parts = [
        f"{kind.replace('_', ' ')} {exact_text(getattr(account, kind))}" for kind in _KINDS if getattr(account, kind)
    ]
    missing = f", missing {exact_text(account.missing)}" if account.missing else ""
    return f"{account.meter}: counted {exact_text(account.counted)} = {' + '.join(parts) or '0'}{missing}"
