"""Customers who owe, and what is seen of them, for the stories of dunning."""

from domain.adapters.memory import MemoryMailer
from domain.customers.customer import Customer
from domain.dunning.policies import service as policies
from domain.dunning.reading import service as reading
from domain.dunning.store import StoredCase
from domain.payments import service as collection
from domain.payments import store as payments
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import AccessState, Status, Subscription
from tests.world import World

NO_FUNDS = "pm_card_chargeDeclinedInsufficientFunds"
LOST = "pm_card_chargeDeclinedLostCard"
CONFIRM = "pm_card_authenticationRequired"
STARTER_MINOR = 2_900


async def owing(world: World, card: str = NO_FUNDS, *, zone: str = "UTC") -> tuple[Customer, Subscription]:
    """Make a customer whose first payment fails on 1 March 2026."""
    ada = await world.customer(on="2026-03-01", zone=zone, card=card)
    return ada, await world.subscribe(ada, "starter", product="edge")


async def follow(world: World, ada: Customer, **rules: object) -> None:
    """Let a customer follow a policy of its own."""
    async with world.runtime.db.transaction() as tx:
        made = await policies.draft_policy(tx, world.call, name="ours", rules=rules)
        await policies.activate_policy(tx, world.call, made.id)
        await policies.assign_policy(tx, world.call, name="ours", customer_id=ada.id)


async def case_of(world: World, ada: Customer) -> StoredCase:
    """Return the customer's only case."""
    async with world.runtime.db.transaction() as tx:
        [found] = await reading.list_cases(tx, world.call, customer_id=ada.id)
    return found


async def attempts(world: World, ada: Customer) -> list[tuple[str, str, str]]:
    """Return the attempts at the customer's first invoice: the day, who started it, and what came of it."""
    [invoice, *_] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:
        found = (await payments.list_attempts_of(tx, [(ada.id, invoice.id)]))[invoice.id]
    return [(f"{each.began_at:%m-%d}", each.trigger.value, each.state.value) for each in reversed(found)]


async def steps(world: World, ada: Customer) -> list[str]:
    """Return what happened to the customer's case."""
    case = await case_of(world, ada)
    async with world.runtime.db.transaction() as tx:
        found = await reading.steps_of_cases(tx, [(ada.id, case.id)], scope=None)
    return [f"{each.at:%m-%d} {each.kind}" for each in found[case.id]]


def mail(world: World) -> list[str]:
    """Return the subjects of all mails about payments."""
    assert isinstance(world.runtime.mailer, MemoryMailer)
    return [each.subject for each in world.runtime.mailer.sent if not each.subject.startswith("Invoice")]


async def live(world: World, ada: Customer) -> list[tuple[str, Status, AccessState]]:
    """Return the customer's subscriptions that are live: plan, status and access."""
    catalogue = await world.runtime.catalogue()
    async with world.runtime.db.transaction() as tx:
        found = await subscriptions.list_subscriptions(tx, ada.id)
    return [(catalogue.plan_of_version(s.plan_version_id).key, s.status, s.access) for s in found if s.is_live]


async def settle_debit(world: World, ada: Customer, *, succeeds: bool) -> None:
    """End the bank debit of the first invoice, and let the news arrive."""
    [invoice, *_] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:
        push = await payments.find_push(tx, ada.id, invoice.id)
    assert push is not None
    assert push.gateway_invoice_id is not None
    world.gateway.settle(push.gateway_invoice_id, succeeds=succeeds)
    await collection.settle_from_gateway(world.runtime.db, world.gateway, world.call, push.gateway_invoice_id)
    await world.drain()
