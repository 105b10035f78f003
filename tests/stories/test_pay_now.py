"""A customer pays an open invoice now: once, within the caps of card networks, and nobody else's."""

import pytest

from domain.dunning.case import CaseState
from domain.dunning.paying import service as paying
from domain.dunning.paying.service import PaymentMethodMissing
from domain.dunning.staff.service import CardCapReached
from domain.invoices.invoice import InvoiceNotFound, InvoiceStateRefused
from domain.kernel.call import Forbidden, PrincipalKind
from domain.kernel.ids import InvoiceId
from domain.payments.attempt import Attempt
from domain.payments.method_rules import PaymentMethodNotFound
from domain.payments.methods import service as methods
from domain.payments.pages import store as pages
from tests import make
from tests.stories.owing import NO_FUNDS, STARTER_MINOR, attempts, case_of, owing
from tests.world import World


async def pay(world: World, invoice_id: InvoiceId) -> Attempt:
    """Order a payment by the default method."""
    async with world.runtime.db.transaction() as tx:
        return await paying.pay_now(tx, world.call, invoice_id=invoice_id)


async def test_pressing_twice_charges_once_and_ends_the_case(world: World) -> None:
    ada, _ = await owing(world)
    [invoice] = await world.invoices(ada)
    [method] = world.gateway.methods.values()
    world.gateway.tokens[method.id] = "pm_card_visa"  # The account has funds again.
    first, second = await pay(world, invoice.id), await pay(world, invoice.id)
    assert first.id == second.id
    await world.drain()
    assert [amount for _, amount in world.gateway.charges] == [STARTER_MINOR]
    assert (await attempts(world, ada))[1:] == [("03-01", "customer", "succeeded")]
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED
    with pytest.raises(InvoiceStateRefused):
        await pay(world, invoice.id)


async def test_what_a_customer_presses_counts_for_the_caps_and_uses_no_retry(world: World) -> None:
    ada, _ = await owing(world)
    [invoice] = await world.invoices(ada)
    planned = (await case_of(world, ada)).case.next_attempt_at
    # The cap of a card is eight charges in thirty days; the first was at the opening.
    for _ in range(7):
        await pay(world, invoice.id)
        await world.drain()
    assert len(await attempts(world, ada)) == 8
    with pytest.raises(CardCapReached) as refused:
        await pay(world, invoice.id)
    assert refused.value.allowed_at == make.at("2026-03-31")
    assert len(await attempts(world, ada)) == 8
    assert (await case_of(world, ada)).case.next_attempt_at == planned


async def test_only_its_customer_pays_and_only_by_an_own_method(world: World) -> None:
    ada, _ = await owing(world)
    bob = await world.customer(on="2026-03-01", card=NO_FUNDS)
    [invoice] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:
        [foreign] = await methods.list_methods(tx, world.call, bob.id)
        viewer = make.principal("payment:read", "invoice:read", kind=PrincipalKind.MEMBER, customer_id=ada.id)
        member = make.principal("payment:write", "invoice:read", kind=PrincipalKind.MEMBER, customer_id=bob.id)
        for by, refusal in ((viewer, Forbidden), (member, InvoiceNotFound)):
            with pytest.raises(refusal):
                await paying.pay_now(tx, make.call(by=by), invoice_id=invoice.id)
        with pytest.raises(PaymentMethodNotFound):
            await paying.pay_now(tx, world.call, invoice_id=invoice.id, method_id=foreign.id)
    assert len(await attempts(world, ada)) == 1


async def test_without_a_method_there_is_nothing_to_pay_by(world: World) -> None:
    ada = await world.customer(on="2026-03-01", card=None)
    await world.subscribe(ada, "starter", product="edge")
    [invoice] = await world.invoices(ada)
    with pytest.raises(PaymentMethodMissing):
        await pay(world, invoice.id)


async def test_the_page_on_which_an_open_invoice_can_be_paid_is_known(world: World) -> None:
    ada, _ = await owing(world)
    [invoice] = await world.invoices(ada)
    [copy] = world.gateway.copies
    async with world.runtime.db.transaction() as tx:
        found = await pages.find_pages(tx, [(ada.id, invoice.id)])
    assert found == {(ada.id, invoice.id): f"https://pay.example.com/{copy}"}
