"""Invoices that are sent and not charged: reminders, overdue, restricted, paid. Starter costs 29.00 USD a month."""

import sqlalchemy as sa

from domain.adapters.memory import MemoryMailer
from domain.adapters.memory_pdf import MemoryRenderer
from domain.contracts.changing.wish import Wish
from domain.contracts.replanning import service as replanning
from domain.customers.collecting import service as collecting
from domain.customers.customer import CollectionMethod, Customer
from domain.dunning.case import CaseState
from domain.dunning.paying import service as paying
from domain.dunning.sending import service as sending
from domain.invoices.heading import Heading
from domain.invoices.headings import service as headings
from domain.invoices.invoice import State
from domain.journal import jobs
from domain.journal.store import outbox_job
from domain.kernel.call import Environment
from domain.ledger import service as ledger
from domain.payments import service as payments
from domain.payments.transferring import service as transferring
from domain.subscriptions.subscription import AccessState, Status, Subscription
from tests import make
from tests.stories.owing import NO_FUNDS, STARTER_MINOR, attempts, case_of, live, steps
from tests.world import World

_NUMBER = "TEST-2026-000001"


async def _collect_by(world: World, ada: Customer, collection: CollectionMethod) -> None:
    async with world.runtime.db.transaction() as tx:
        await collecting.set_collection(tx, world.call, ada.id, collection)


async def _sent(world: World, *, card: str | None = None, net_days: int = 14) -> tuple[Customer, Subscription]:
    """Make a customer who is sent an invoice over 29.00 on 1 March, due on the 15th unless told."""
    ada = await world.customer(on="2026-03-01", card=card)
    await _collect_by(world, ada, CollectionMethod.SEND)
    async with world.runtime.db.transaction() as tx:
        await headings.set_heading(tx, world.call, ada.id, Heading(net_days=net_days))
    return ada, await world.subscribe(ada, "starter", product="edge")


async def _transfer(world: World) -> None:
    """Let the money for the only copy arrive, and the news of it."""
    [copy_id] = world.gateway.copies
    world.gateway.pay_outside(copy_id)
    await payments.settle_from_gateway(world.runtime.db, world.gateway, world.call, copy_id)
    await world.drain()


def _mails(world: World) -> list[str]:
    assert isinstance(world.runtime.mailer, MemoryMailer)
    return [each.subject for each in world.runtime.mailer.sent]


async def test_a_sent_invoice_is_reminded_of_overdue_restricted_suspended_and_paid_after_all(world: World) -> None:
    ada, _ = await _sent(world)
    [invoice] = await world.invoices(ada)
    assert (invoice.state, invoice.collection, invoice.due_at) == (
        State.OPEN,
        CollectionMethod.SEND,
        make.at("2026-03-15"),
    )
    [copy] = world.gateway.copies.values()
    assert (str(copy.state), copy.pushed.days_until_due, copy.pushed.number) == ("open", 14, _NUMBER)
    assert _mails(world) == [f"Invoice {_NUMBER} from Example: 29.00 USD, due on 15 Mar 2026"]
    # Its document says where to transfer to.
    assert isinstance(world.runtime.renderer, MemoryRenderer)
    assert world.runtime.renderer.rendered[0]["payment"]["facts"] == [
        ["Bank", "Memory Bank"],
        ["Account number", "000123454321"],
        ["Routing number", "110000000"],
        ["Reference", _NUMBER],
    ]
    await world.advance(to="2026-03-14T23:00")
    assert _mails(world)[1:] == [f"Invoice {_NUMBER} is due on 15 Mar 2026"] * 2
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]

    await world.advance(to="2026-03-15T01:00")
    assert _mails(world)[3:] == [f"Invoice {_NUMBER} is overdue"]
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    # Nothing is charged; the last day is 14 days after the due date, as the calendar of retries is long.
    case = (await case_of(world, ada)).case
    assert (case.next_attempt_at, case.waits_until) == (None, make.at("2026-03-29"))
    # The grace of seven days counts from the due date.
    await world.advance(to="2026-03-22")
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.RESTRICTED)]
    await world.advance(to="2026-03-29")
    assert _mails(world)[4:] == [
        f"Reminder: invoice {_NUMBER} is overdue",
        f"Your access is restricted: invoice {_NUMBER} is not paid",
        f"Reminder: invoice {_NUMBER} is overdue",
        f"Last notice: invoice {_NUMBER} is not paid",
        f"Your access is suspended: invoice {_NUMBER} was not paid",
    ]
    assert await live(world, ada) == [("starter", Status.UNPAID, AccessState.SUSPENDED)]
    assert (await attempts(world, ada), world.gateway.charges) == ([], [])
    await _pays_after_all(world, ada)


async def _pays_after_all(world: World, ada: Customer) -> None:
    await _transfer(world)
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    assert await attempts(world, ada) == [("03-29", "customer", "succeeded")]
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED
    assert await steps(world, ada) == [
        "03-15 opened",
        "03-22 grace_ended",
        "03-27 last_notice",
        "03-29 given_up",
        "03-29 recovered",
    ]
    assert _mails(world)[-1] == f"Payment received for invoice {_NUMBER}"
    async with world.runtime.db.transaction() as tx:
        books = await ledger.check_books(tx, Environment.TEST)
    assert books.hold
    assert {str(account): money.minor for account, money in books.balances if money.minor} == {
        "cash": STARTER_MINOR,
        "revenue": -STARTER_MINOR,
    }


async def test_what_is_paid_in_time_is_never_overdue(world: World) -> None:
    ada, _ = await _sent(world)
    await world.advance(to="2026-03-10")
    await _transfer(world)
    await world.advance(to="2026-03-28")
    assert _mails(world)[1:] == [
        f"Invoice {_NUMBER} is due on 15 Mar 2026",
        f"Payment received for invoice {_NUMBER}",
    ]
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    async with world.runtime.db.transaction() as tx:
        waiting = sa.select(outbox_job.c.id).where(outbox_job.c.kind == "follow_sent_invoice")
        assert await tx.rows(waiting.where(outbox_job.c.state == "pending")) == []


async def test_a_card_beside_it_is_charged_on_order_only_and_its_failure_is_no_debt(world: World) -> None:
    ada, _ = await _sent(world, card=NO_FUNDS)
    [invoice] = await world.invoices(ada)

    async def pay() -> None:
        async with world.runtime.db.transaction() as tx:
            await paying.pay_now(tx, world.call, invoice_id=invoice.id)
        await world.drain()

    await world.advance(to="2026-03-02")
    assert await attempts(world, ada) == []
    await pay()
    assert await attempts(world, ada) == [("03-02", "customer", "failed")]
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    await world.advance(to="2026-03-16")
    await pay()
    # A soft decline, and still nothing is charged by a calendar.
    case = (await case_of(world, ada)).case
    assert (case.next_attempt_at, case.waits_until) == (None, make.at("2026-03-29"))
    await world.advance(to="2026-03-28")
    assert [trigger for _, trigger, _ in await attempts(world, ada)] == ["customer", "customer"]


async def test_another_way_of_paying_holds_for_invoices_to_come(world: World) -> None:
    ada, starter = await _sent(world, card="pm_card_visa")
    await _collect_by(world, ada, CollectionMethod.CHARGE)
    await world.advance(to="2026-03-05")
    assert await attempts(world, ada) == []
    await _collect_by(world, ada, CollectionMethod.SEND)
    # An upgrade of who is sent invoices waits for no payment.
    async with world.runtime.db.transaction() as tx:
        wish = Wish(plan_key="professional", pays_at_once=True)
        await replanning.change(tx, world.call, subscription_id=starter.id, wish=wish)
    await world.drain()
    assert [plan for plan, _, _ in await live(world, ada)] == ["professional"]
    assert [each.collection for each in await world.invoices(ada)] == [CollectionMethod.SEND] * 2
    assert world.gateway.charges == []


async def test_a_calendar_carried_out_twice_opens_one_case(world: World) -> None:
    ada, _ = await _sent(world)
    await world.advance(to="2026-03-15T01:00")
    [invoice] = await world.invoices(ada)
    sent = len(_mails(world))
    async with world.runtime.db.transaction() as tx:
        await sending.follow(tx, world.call, jobs.FollowSentInvoice(ada.id, invoice.id))
    await world.drain()
    assert await steps(world, ada) == ["03-15 opened"]
    assert len(_mails(world)) == sent


async def test_a_part_is_shown_the_rest_pays_and_a_surplus_pays_the_next_invoice(world: World) -> None:
    ada, _ = await _sent(world)

    async def transfer(amount: int) -> None:
        owner = world.gateway.transfers.arrive(ada.id, amount)
        await transferring.converge(world.runtime.db, world.gateway, world.call, owner)
        for copy_id in world.gateway.copies:
            await payments.settle_from_gateway(world.runtime.db, world.gateway, world.call, copy_id)
        await world.drain()

    await world.advance(to="2026-03-05")
    await transfer(2_000)
    await world.advance(to="2026-03-09")
    assert isinstance(world.runtime.mailer, MemoryMailer)
    assert "A part has arrived; 9.00 USD are still missing." in world.runtime.mailer.sent[-1].text
    assert "Memory Bank, ending in 4321" in world.runtime.mailer.sent[-1].text
    await world.advance(to="2026-03-16")
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    # 20.00 + 40.00 - 29.00 = 31.00, which covers the next month.
    await transfer(4_000)
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    await world.advance(to="2026-04-02")
    assert [each.state for each in await world.invoices(ada)] == [State.PAID, State.PAID]
    subject = "Invoice TEST-2026-000002 from Example: 29.00 USD, due on 15 Apr 2026"
    [sent] = [each for each in world.runtime.mailer.sent if each.subject == subject]
    assert "you need to do nothing" in sent.text
    await transfer(100)
    async with world.runtime.db.transaction() as tx:
        books = await ledger.check_books(tx, Environment.TEST)
    assert books.hold
    # 61.00 came, 58.00 were used.
    assert {str(account): money.minor for account, money in books.balances if money.minor} == {
        "cash": 6_100,
        "revenue": -5_800,
        "unapplied_cash": -300,
    }


async def test_an_invoice_that_is_due_as_it_is_sent_is_overdue_at_once(world: World) -> None:
    ada, _ = await _sent(world, net_days=0)
    await world.drain()
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    case = await case_of(world, ada)
    assert (case.case.state, case.case.first_failed_at) == (CaseState.OPEN, make.at("2026-03-01"))
    await world.advance(to="2026-03-08T01:00")
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.RESTRICTED)]
    assert _mails(world).count(f"Invoice {_NUMBER} is overdue") == 1
