"""An invoice with net terms is collected when it is due, and followed up from then on. Starter costs 29.00 a month."""

from domain.adapters.memory import MemoryMailer
from domain.contracts.changing.wish import Wish
from domain.contracts.replanning import service as replanning
from domain.invoices.heading import Heading
from domain.invoices.headings import service as headings
from domain.invoices.invoice import State
from domain.subscriptions.subscription import Status
from tests import make
from tests.stories.owing import NO_FUNDS, attempts, live
from tests.world import World


async def test_a_card_is_charged_when_the_invoice_is_due_and_dunning_starts_there(world: World) -> None:
    ada = await world.customer(on="2026-03-01", card=NO_FUNDS)
    async with world.runtime.db.transaction() as tx:
        await headings.set_heading(
            tx, world.call, ada.id, Heading(net_days=14, memo="Thank you", purchase_order="PO 1")
        )
    starter = await world.subscribe(ada, "starter", product="edge")
    [invoice] = await world.invoices(ada)
    assert (invoice.state, invoice.due_at, invoice.purchase_order) == (State.OPEN, make.at("2026-03-15"), "PO 1")
    assert isinstance(world.runtime.mailer, MemoryMailer)
    [issued] = world.runtime.mailer.sent
    assert "on 15 Mar 2026. You need to do nothing." in issued.text
    await world.advance(to="2026-03-14T23:00")
    assert await attempts(world, ada) == []
    # Another method is no reason to charge it before it is due.
    await world.attach(ada.id, NO_FUNDS)
    await world.drain()
    assert await attempts(world, ada) == []
    # An upgrade is not held back until it is paid: it is due in 14 days as well.
    async with world.runtime.db.transaction() as tx:
        wish = Wish(plan_key="professional", pays_at_once=True)
        await replanning.change(tx, world.call, subscription_id=starter.id, wish=wish)
    await world.drain()
    assert [status for _, status, _ in await live(world, ada)] == [Status.ACTIVE]
    await world.advance(to="2026-03-15T01:00")
    assert await attempts(world, ada) == [("03-15", "billing", "failed")]
    assert [status for _, status, _ in await live(world, ada)] == [Status.PAST_DUE]
