"""Customers whose subscription has ended while an invoice is open: a new payment method charges nothing for it.

Starter costs 29.00 USD a month, Pro 79.00 and what is used.
"""

import pytest
import sqlalchemy as sa

from domain.adapters.memory import MemoryMailer
from domain.contracts import service as contracts
from domain.dunning.case import CaseState
from domain.dunning.paying import service as paying
from domain.dunning.staff import service as staff
from domain.invoices.invoice import State
from domain.journal import jobs
from domain.journal import service as journal
from domain.ledger import service as ledger
from domain.payments import service as payments
from domain.payments.methods import service as methods
from domain.payments.port import GatewayUnavailable
from domain.subscriptions.schedule import Interval
from tests import make
from tests.stories.owing import NO_FUNDS, STARTER_MINOR, attempts, case_of, follow, live, mail, steps
from tests.world import World, llm_call

_VISA = "pm_card_visa"


@pytest.mark.parametrize("card", [NO_FUNDS, None])
async def test_a_cancel_for_non_payment_leaves_an_invoice_that_only_its_customer_can_pay(
    world: World, card: str | None
) -> None:
    ada = await world.customer(on="2026-03-01", card=card)
    await follow(world, ada, retry_days=[2], after_last="cancel")
    await world.subscribe(ada, "starter", product="edge")
    await world.advance(to="2026-03-04")
    assert (await live(world, ada), (await case_of(world, ada)).case.state) == ([], CaseState.GIVEN_UP)
    tried = await attempts(world, ada)

    await world.attach(ada.id, _VISA)
    [invoice] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:  # As for a credit note: it has the copy looked at, too.
        job = jobs.CollectInvoice(ada.id, invoice.id)
        await journal.stage(tx, world.call, job, customer_id=ada.id, clock_id=world.clock_id, run_at=await world.now())
    await world.drain()
    await world.advance(to="2026-04-02")
    assert (await attempts(world, ada), world.gateway.charges) == (tried, [])

    async with world.runtime.db.transaction() as tx:
        [visa] = [each for each in await methods.list_methods(tx, world.call, ada.id) if each.fingerprint == _VISA]
        await paying.pay_now(tx, world.call, invoice_id=invoice.id, method_id=visa.id)
    await world.drain()
    assert [amount for _, amount in world.gateway.charges] == [STARTER_MINOR]
    assert ([each.state for each in await world.invoices(ada)], await live(world, ada)) == ([State.PAID], [])
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED


async def test_what_failed_before_its_customer_left_is_dropped_and_no_mail_promises_to_collect_it(world: World) -> None:
    ada = await world.customer(on="2026-03-01", card=NO_FUNDS)
    starter = await world.subscribe(ada, "starter", product="edge")
    await world.cancel(starter, at_period_end=False)
    await world.attach(ada.id, _VISA)
    await world.drain()
    await world.advance(to="2026-04-02")
    assert await attempts(world, ada) == [("03-01", "billing", "failed")]
    case = await case_of(world, ada)
    assert (case.case.state, world.gateway.charges) == (CaseState.DROPPED, [])
    # Staff may still make it a bad debt, once.
    async with world.runtime.db.transaction() as tx:
        for _ in range(2):
            await staff.write_off(tx, world.call, case.id, reason="Moved away")
        owed = {str(account): amount.minor for account, amount in await ledger.balances(tx, ada.id)}
    assert (owed["receivable"], owed["bad_debt"]) == (0, 2_900)
    await world.drain()
    [invoice] = await world.invoices(ada)
    assert (invoice.state, (await case_of(world, ada)).case.state) == (State.UNCOLLECTIBLE, CaseState.WRITTEN_OFF)


async def test_a_gateway_that_is_away_while_a_customer_leaves_has_the_invoice_charged_once_it_is_back(
    world: World,
) -> None:
    ada = await world.customer(on="2026-03-01")
    async with world.runtime.db.transaction() as tx:
        starter = await contracts.subscribe(
            tx, world.call, customer_id=ada.id, product_key="edge", plan_key="starter", interval=Interval.MONTH
        )
    [invoice] = await world.invoices(ada)
    world.gateway.lose("finalise_invoice", "before")
    with pytest.raises(GatewayUnavailable):
        await payments.collect(world.runtime.db, world.gateway, world.call, customer_id=ada.id, invoice_id=invoice.id)
    async with world.runtime.db.transaction() as tx:
        await tx.execute(sa.text("UPDATE test_clock SET now_at = '2026-03-05T00:00:00Z'"))
        await contracts.cancel(tx, world.call, subscription_id=starter.id, at_period_end=False)
    await world.drain()
    assert ((await attempts(world, ada))[0], await live(world, ada)) == (("03-05", "billing", "succeeded"), [])


async def test_the_last_invoice_is_charged_once_when_there_is_something_to_charge_it_to(world: World) -> None:
    ada = await world.customer(on="2026-03-01")
    pro = await world.subscribe(ada, "pro")
    await world.cancel(pro)
    # 800,000 input tokens at 1.25 per million: 1.00 USD.
    await world.use("llm", llm_call(ada, make.at("2026-03-01T00:01"), input_tokens=800_000, output_tokens=0))
    [method] = list(world.gateway.methods)
    world.gateway.detach(method)
    await methods.record_from_gateway(world.runtime.db, world.gateway, world.call, method)
    await world.advance(to="2026-04-03")
    assert (await live(world, ada), await steps(world, ada)) == ([], ["04-01 opened"])
    assert mail(world)[1:] == ["Please add a payment method: invoice TEST-2026-000002 is not paid"]
    await world.attach(ada.id, NO_FUNDS)
    await world.drain()
    await world.attach(ada.id, _VISA)
    await world.drain()
    await world.advance(to="2026-04-20")
    # The charge that was promised failed: nothing is charged again, and nobody promises that.
    [first, last] = await world.invoices(ada)
    assert (first.state, last.state, last.total.minor) == (State.PAID, State.OPEN, 100)
    assert [amount for _, amount in world.gateway.charges] == [7_900]
    assert (await case_of(world, ada)).case.state is CaseState.DROPPED
    assert isinstance(world.runtime.mailer, MemoryMailer)
    [told] = [each.text for each in world.runtime.mailer.sent if "failed" in each.subject]
    assert "collected at once" not in told
    assert "try again" not in told
