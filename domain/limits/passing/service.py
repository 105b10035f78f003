"""Find and note when soft limits were first passed. Checks, reservations and alerts go by the same instants.

A limit whose amount changes, as with another plan or an override, is another one: it has hours of grace of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction

from domain.db import Tx
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.limits import store
from domain.limits.account import Allowance, Basis
from domain.limits.crossing import Step, passed_at
from domain.plans import service as plans
from domain.plans.plan import Catalogue
from domain.subscriptions.subscription import Subscription
from domain.usage.facts import Rules, rules_of
from domain.usage.reading import Usage
from domain.usage.recount import Counting, contributions_of
from domain.usage.recounting import service as recounting

# Counted events that are looked through, newest first, for the one that passed a limit.
STEPS_MAX = 2_000
_ADDS = {"add": 1, "remove": -1}


async def passings(
    tx: Tx, catalogue: Catalogue, basis: Basis, allowances: Sequence[Allowance], used: Usage, *, at: datetime | None
) -> dict[str, datetime]:
    """Return when soft limits were first passed in the usage period, by their keys; new ones are noted.

    That is the commit of the event that passed it, or the instant from which a lower amount holds. `at` is business
    time where the customer is on a test clock, which stands still until what it caused is done, so that it shows the
    time of the commit; else None, and it is the time at which the event was received.
    """
    own = _period_of(basis.running)
    before = _of(allowances, await store.list_passings(tx, *own))
    new = [each for each in allowances if each.key not in before and _is_passed(each, each.used_in(used))]
    if not new:
        return before
    if at is None:
        found = await _found(tx, catalogue, basis, new, used)
    else:
        found = {each.key: at for each in new}
    passed = {(each.key, amount): found[each.key] for each in new if (amount := each.limit.amount) is not None}
    await store.insert_passings(tx, *own, passed=passed)
    return _of(allowances, await store.list_passings(tx, *own))


async def noted(tx: Tx, running: Subscription, allowances: Iterable[Allowance]) -> dict[str, datetime]:
    """Return when limits were first passed in the usage period, by their keys, as far as that is noted."""
    return _of(allowances, await store.list_passings(tx, *_period_of(running)))


def _of(allowances: Iterable[Allowance], rows: Mapping[store.PassingKey, datetime]) -> dict[str, datetime]:
    """Pick those of limits as they stand, by their keys."""
    found = {}
    for each in allowances:
        amount = each.limit.amount
        passed = None if amount is None else rows.get((each.key, amount), rows.get((each.key, store.ANY_AMOUNT)))
        if passed is not None:
            found[each.key] = passed
    return found


def _period_of(running: Subscription) -> tuple[CustomerId, SubscriptionId, datetime]:
    return running.customer_id, running.id, running.period.start


def _is_passed(allowance: Allowance, used: Fraction) -> bool:
    limit = allowance.limit
    return limit.policy == "soft" and limit.amount is not None and used > limit.amount


async def _found(
    tx: Tx, catalogue: Catalogue, basis: Basis, allowances: Iterable[Allowance], used: Usage
) -> dict[str, datetime]:
    segment_ids = [each.id for each in basis.segments]
    countings = await recounting.newest_countings(tx, basis.running.customer_id, segment_ids, limit=STEPS_MAX)
    rules = rules_of(catalogue, await plans.load_price_book(tx), "")
    found: dict[str, datetime] = {}
    for each in allowances:
        assert each.limit.amount is not None, "what is passed has an amount"
        steps = [Step(at, _added(each, counting, rules)) for at, counting in countings]
        since = _in_force_since(basis, each)
        if len(steps) < STEPS_MAX:
            # All of the period was looked through: what carries over was above the limit from its start on.
            steps.append(Step(since, None))
        found[each.key] = max(passed_at(each.used_in(used), each.limit.amount, steps) or since, since)
    return found


def _in_force_since(basis: Basis, allowance: Allowance) -> datetime:
    """Return since when the amount is the limit: usage above a limit that became lower passed it then.

    An override that was made for a time before it binds from when it was made: nobody could have kept to it before.
    """
    plan_since, own = max(each.during.start for each in basis.segments), allowance.override
    return plan_since if own is None else max(plan_since, own.from_at, own.created_at)


def _added(allowance: Allowance, counting: Counting, rules: Rules) -> Fraction | None:
    """Return what an event added to what counts against a limit; None where only its meter's state would say."""
    added = Fraction(0)
    for meter, found in contributions_of(counting.event, rules):
        named = dict(zip(meter.dimensions, found.dimensions, strict=True))
        if meter.id != allowance.meter_id or not (allowance.wanted or {}).items() <= named.items():
            continue
        if not (meter.is_counter or meter.is_level) or found.operation not in _ADDS:
            return None
        added += counting.sign * _ADDS[found.operation] * Fraction(found.quantity)
    return added * Fraction(allowance.markup) if allowance.money else added
