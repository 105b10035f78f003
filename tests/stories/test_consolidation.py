"""Two subscriptions on one invoice that is not paid: LLM Basic and Edge Starter, 29.00 a month each, no grace."""

from domain.customers import service as customers
from domain.dunning.policies import service as policies
from domain.invoices.invoice import State
from domain.payments import store as payments
from domain.payments.keeping import service as keeping
from domain.payments.methods import service as methods
from domain.subscriptions.subscription import AccessState, Status
from tests.stories.owing import NO_FUNDS, live
from tests.world import World


async def test_each_is_past_due_under_its_own_policy_and_retries_follow_the_strictest(world: World) -> None:
    ada = await world.customer(on="2026-03-01")
    async with world.runtime.db.transaction() as tx:
        await customers.set_consolidation(tx, world.call, ada.id, consolidates=True)
        strict = await policies.draft_policy(tx, world.call, name="strict", rules={"retry_days": [1], "grace_days": 0})
        await policies.activate_policy(tx, world.call, strict.id)
        await policies.assign_policy(tx, world.call, name="strict", plan=("llm", "basic"))
    await world.subscribe(ada, "basic")
    await world.subscribe(ada, "starter", product="edge")
    await world.attach(ada.id, NO_FUNDS)
    async with world.runtime.db.transaction() as tx:
        [_, other] = await methods.list_methods(tx, world.call, ada.id)
        await keeping.set_default(tx, world.call, customer_id=ada.id, method_id=other.id)

    await world.advance(to="2026-04-01T12:00")
    [_, _, invoice] = await world.invoices(ada)
    assert (invoice.state, invoice.total.minor) == (State.OPEN, 5_800)
    assert len({line.identity.subscription_id for line in await world.lines(invoice)}) == 2
    # By the strict policy nothing is left at once; by the other all for seven days.
    assert sorted(await live(world, ada)) == [
        ("basic", Status.PAST_DUE, AccessState.RESTRICTED),
        ("starter", Status.PAST_DUE, AccessState.FULL),
    ]

    # The other policy would try again on days 2, 7 and 14.
    await world.advance(to="2026-04-05")
    async with world.runtime.db.transaction() as tx:
        tried = (await payments.list_attempts_of(tx, [(ada.id, invoice.id)]))[invoice.id]
    assert sorted(f"{each.began_at:%m-%d}" for each in tried) == ["04-01", "04-02"]
    assert sorted(status for _, status, _ in await live(world, ada)) == [Status.UNPAID, Status.UNPAID]
