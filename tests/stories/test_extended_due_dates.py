"""A due date that is extended before it has come: the charge, the reminders and the dunning follow it."""

import pytest

from domain.adapters.memory import MemoryMailer
from domain.customers.collecting import service as collecting
from domain.customers.customer import CollectionMethod, Customer
from domain.invoices.extending.due_date import DueDateRefused
from domain.invoices.heading import Heading
from domain.invoices.headings import service as headings
from domain.invoices.invoice import Invoice
from domain.journal import store as journal
from domain.payments.extending import service as extending
from domain.subscriptions.subscription import AccessState, Status
from tests import make
from tests.stories.owing import NO_FUNDS, attempts, case_of, live
from tests.world import World

_NUMBER = "TEST-2026-000001"


async def _due_on_the_15th(world: World, *, card: str | None, is_sent: bool = False) -> Customer:
    """Make a customer whose first invoice, of 1 March, is due on the 15th."""
    ada = await world.customer(on="2026-03-01", card=card)
    async with world.runtime.db.transaction() as tx:
        if is_sent:
            await collecting.set_collection(tx, world.call, ada.id, CollectionMethod.SEND)
        await headings.set_heading(tx, world.call, ada.id, Heading(net_days=14))
    await world.subscribe(ada, "starter", product="edge")
    return ada


async def _extend(world: World, ada: Customer, to: str) -> Invoice:
    [invoice] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:
        return await extending.extend_due_date(tx, world.call, invoice.id, make.at(to))


def _mails(world: World) -> list[str]:
    assert isinstance(world.runtime.mailer, MemoryMailer)
    return [each.subject for each in world.runtime.mailer.sent]


async def test_a_card_is_charged_when_the_invoice_is_due_now_and_dunning_starts_there(world: World) -> None:
    ada = await _due_on_the_15th(world, card=NO_FUNDS)
    await world.advance(to="2026-03-14")
    assert (await _extend(world, ada, "2026-03-20")).due_at == make.at("2026-03-20")
    await world.advance(to="2026-03-19T23:00")
    assert await attempts(world, ada) == []
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]

    # Once more, now that what waited for the first date has come and gone.
    await _extend(world, ada, "2026-03-25")
    await world.advance(to="2026-03-25T01:00")
    assert await attempts(world, ada) == [("03-25", "billing", "failed")]
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    assert (await case_of(world, ada)).case.first_failed_at == make.at("2026-03-25")


async def test_a_sent_invoice_is_reminded_of_its_new_due_date_and_overdue_from_there(world: World) -> None:
    ada = await _due_on_the_15th(world, card=None, is_sent=True)
    await world.advance(to="2026-03-09")
    assert _mails(world)[1:] == [f"Invoice {_NUMBER} is due on 15 Mar 2026"]
    await _extend(world, ada, "2026-03-22")
    await world.advance(to="2026-03-21T23:00")
    # Again seven days and one day before it is due.
    assert _mails(world)[2:] == [f"Invoice {_NUMBER} is due on 22 Mar 2026"] * 2
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    await world.advance(to="2026-03-22T01:00")
    assert _mails(world)[4:] == [f"Invoice {_NUMBER} is overdue"]
    assert (await case_of(world, ada)).case.waits_until == make.at("2026-04-05")


async def test_it_is_noted_once_and_what_is_no_extension_is_refused(world: World) -> None:
    ada = await _due_on_the_15th(world, card=NO_FUNDS)
    await world.advance(to="2026-03-10")
    first = await _extend(world, ada, "2026-03-20")
    assert await _extend(world, ada, "2026-03-20") == first
    for to, fault in (
        ("2026-03-19", "the one that it has is later"),
        ("2027-03-11", "it would lie more than 365 days ahead"),
    ):
        with pytest.raises(DueDateRefused) as refused:
            await _extend(world, ada, to)
        assert refused.value.fault == fault
    async with world.runtime.db.transaction() as tx:
        entries = await journal.list_audit_entries(tx, scope=ada.id, before=None, limit=100)
    [noted] = [each.facts for each in entries if each.action == "extend_due_date"]
    assert (noted["due_at_before"], noted["due_at"]) == ("2026-03-15T00:00:00+00:00", "2026-03-20T00:00:00+00:00")

    await world.advance(to="2026-03-20T01:00")
    with pytest.raises(DueDateRefused) as refused:
        await _extend(world, ada, "2026-03-30")
    assert "it is due already" in refused.value.fault
