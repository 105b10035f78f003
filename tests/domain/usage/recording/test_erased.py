"""Nothing is recorded of an erased customer, also by a process that remembers it as it was."""

import pytest

from domain.customers.customer import Customer
from domain.customers.erasing import service as erasing
from domain.subscriptions.erasing import service as subscriptions
from domain.usage.event import UsageEvent
from domain.usage.verdict import COUNTED, Reason, Status, rejected
from tests import make
from tests.domain.usage.world import TABLES, World, event

ERASED = rejected(Reason.CUSTOMER_ERASED)


async def erase(world: World, customer: Customer) -> None:
    """Take away who a customer is, as an erasure does, while its subscription still covers late events."""
    async with world.db.transaction() as tx:
        await erasing.erase(tx, make.call(), customer, is_retained=False)
        await subscriptions.forget_resolved(tx, customer.id)


def odd(customer: Customer, name: str) -> UsageEvent:
    """Make an event that no meter counts."""
    given = event(customer, name)
    return UsageEvent(name, "llm.unheard", given.customer, properties=given.properties)


@pytest.mark.parametrize("is_counted", [True, False])
async def test_a_process_that_remembers_the_customer_refuses_what_follows(world: World, *, is_counted: bool) -> None:
    (ada, _), (bob, _) = await world.subscriber(), await world.subscriber()
    assert await world.record(event(ada, "a1"), event(bob, "b1")) == [COUNTED, COUNTED]
    await erase(world, ada)
    before = {table: await world.count(table) for table in TABLES}
    late = event(ada, "a2") if is_counted else odd(ada, "a2")
    assert await world.record(late) == [ERASED], "as it is remembered, it would be kept"
    assert await world.record(late) == [ERASED], "as it is read anew"
    assert {table: await world.count(table) for table in TABLES} == before
    # The others of a flush are kept.
    answers = await world.record(odd(bob, "b2"), late, event(bob, "b3"))
    assert [each.status for each in answers] == [Status.QUARANTINED, Status.REJECTED, Status.COUNTED]
    assert (await world.count("quarantined_event"), await world.count("usage_event")) == (1, 3)


async def test_others_of_a_flush_are_kept_where_it_finds_a_customer_erased(world: World) -> None:
    (ada, _), (bob, _) = await world.subscriber(), await world.subscriber()
    await world.record(event(ada, "a1"), event(bob, "b1"))
    await erase(world, ada)
    answers = await world.record(odd(ada, "a2"), odd(bob, "b2"), event(ada, "a3"), event(bob, "b3"))
    assert answers[0] == answers[2] == ERASED
    assert [answers[1].status, answers[3].status] == [Status.QUARANTINED, Status.COUNTED]
    assert (await world.count("quarantined_event"), await world.count("usage_event")) == (1, 3)
