"""Customers who never gave a payment method: asked for one, restricted, suspended, and taken back when they pay.

Starter costs 29.00 USD a month.
"""

from domain.adapters.memory import MemoryGateway
from domain.customers.customer import Customer
from domain.dunning.asking import service as asking
from domain.dunning.case import CaseState
from domain.invoices.invoice import State
from domain.payments import service as payments
from domain.payments.methods import service as methods
from domain.payments.port import GatewayInvoice
from domain.payments.receiving import service as receiving
from domain.payments.receiving.receipt import ReceiptMethod, ReversalReason
from domain.payments.reversing import service as reversing
from domain.subscriptions.subscription import AccessState, Status, Subscription
from tests import make
from tests.stories.owing import NO_FUNDS, attempts, case_of, follow, live, mail, steps
from tests.world import World


class _OwnersRemoveMethods(MemoryGateway):
    """A gateway at which every method is removed by its owner in the moment in which a copy is opened."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    async def finalise_invoice(self, gateway_invoice_id: str, *, key: str) -> GatewayInvoice:
        opened = await super().finalise_invoice(gateway_invoice_id, key=key)
        for each in list(self.methods):
            self.detach(each)
            await methods.record_from_gateway(self.world.runtime.db, self, self.world.call, each)
        return opened


_NUMBER = "TEST-2026-000001"
_ASKED = f"Please add a payment method: invoice {_NUMBER} is not paid"


async def _without_a_method(world: World) -> tuple[Customer, Subscription]:
    """Make a customer whose first invoice, on 1 March 2026, has nothing to be charged to."""
    ada = await world.customer(on="2026-03-01", card=None)
    return ada, await world.subscribe(ada, "starter", product="edge")


async def test_nothing_to_charge_is_followed_as_a_payment_that_failed(world: World) -> None:
    ada, _ = await _without_a_method(world)
    assert mail(world) == [_ASKED]
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    # Its customer can pay on the page of the copy; nothing is charged, and the last day is the 14th after it.
    [copy] = world.gateway.copies.values()
    assert (str(copy.state), world.gateway.charges, await attempts(world, ada)) == ("open", [], [])
    case = (await case_of(world, ada)).case
    assert (case.first_failed_at, case.next_attempt_at) == (make.at("2026-03-01"), None)
    assert case.waits_until == make.at("2026-03-15")

    await world.advance(to="2026-03-08")
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.RESTRICTED)]
    await world.advance(to="2026-03-15")
    assert await live(world, ada) == [("starter", Status.UNPAID, AccessState.SUSPENDED)]
    assert await steps(world, ada) == ["03-01 opened", "03-08 grace_ended", "03-13 last_notice", "03-15 given_up"]
    assert mail(world)[1:] == [
        f"Your access is restricted: invoice {_NUMBER} is not paid",
        f"Last notice: invoice {_NUMBER} is not paid",
        f"Your access is suspended: invoice {_NUMBER} was not paid",
    ]


async def test_a_method_that_is_given_meanwhile_is_charged_at_once_and_clears_everything(world: World) -> None:
    ada, _ = await _without_a_method(world)
    await world.advance(to="2026-03-09")
    await world.attach(ada.id, "pm_card_visa")
    await world.drain()
    assert await attempts(world, ada) == [("03-09", "billing", "succeeded")]
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]
    assert len(world.gateway.copies) == 1


async def test_a_method_that_fails_softly_takes_up_the_calendar_with_the_days_that_are_left(world: World) -> None:
    ada, _ = await _without_a_method(world)
    await world.advance(to="2026-03-04")
    await world.attach(ada.id, NO_FUNDS)
    await world.drain()
    # The days of the calendar are 3, 8 and 15 March; the third has passed.
    assert (await case_of(world, ada)).case.next_attempt_at == make.at("2026-03-08")
    await world.advance(to="2026-03-15")
    assert await attempts(world, ada) == [
        ("03-04", "billing", "failed"),
        ("03-08", "retry", "failed"),
        ("03-15", "retry", "failed"),
    ]
    assert (await case_of(world, ada)).case.state is CaseState.GIVEN_UP


async def test_a_method_that_is_removed_before_the_charge_of_the_copy_was_never_there(world: World) -> None:
    world.runtime.gateway = _OwnersRemoveMethods(world)
    ada = await world.customer(on="2026-03-01")
    await world.subscribe(ada, "starter", product="edge")
    assert (await attempts(world, ada), world.gateway.charges) == ([], [])
    assert (await steps(world, ada), mail(world)) == (["03-01 opened"], [_ASKED])
    assert await live(world, ada) == [("starter", Status.PAST_DUE, AccessState.FULL)]
    [copy] = world.gateway.copies.values()
    assert str(copy.state) == "open"

    await world.attach(ada.id, "pm_card_mastercard")
    await world.drain()
    assert await attempts(world, ada) == [("03-01", "billing", "succeeded")]
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]


async def test_the_page_of_the_copy_ends_at_paying(world: World) -> None:
    ada, _ = await _without_a_method(world)
    [copy_id] = world.gateway.copies
    world.gateway.pay_outside(copy_id)
    await payments.settle_from_gateway(world.runtime.db, world.gateway, world.call, copy_id)
    await world.drain()
    [invoice] = await world.invoices(ada)
    assert invoice.state is State.PAID
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED
    assert await live(world, ada) == [("starter", Status.ACTIVE, AccessState.FULL)]


async def test_following_it_twice_opens_one_case_and_none_once_a_method_is_there(world: World) -> None:
    ada, _ = await _without_a_method(world)
    [invoice] = await world.invoices(ada)
    for _ in range(2):
        async with world.runtime.db.transaction() as tx:
            await asking.follow(tx, world.call, customer_id=ada.id, invoice_id=invoice.id)
    await world.drain()
    assert (await steps(world, ada), mail(world)) == (["03-01 opened"], [_ASKED])


async def test_a_policy_without_days_ends_at_once(world: World) -> None:
    ada = await world.customer(on="2026-03-01", card=None)
    await follow(world, ada, retry_days=[], grace_days=0, after_last="cancel")
    await world.subscribe(ada, "starter", product="edge")
    assert (await case_of(world, ada)).case.state is CaseState.GIVEN_UP
    assert await live(world, ada) == []
    assert mail(world) == [f"Your subscription ended: invoice {_NUMBER} was not paid"]


async def _remove_method(world: World) -> None:
    [method_id] = world.gateway.methods
    world.gateway.detach(method_id)
    await methods.record_from_gateway(world.runtime.db, world.gateway, world.call, method_id)


async def test_who_paid_once_and_removed_the_method_is_asked_again_for_a_later_invoice(world: World) -> None:
    ada, _ = await _without_a_method(world)
    await world.attach(ada.id, "pm_card_visa")
    await world.drain()
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED
    await _remove_method(world)
    await world.advance(to="2026-04-01")
    later = "Please add a payment method: invoice TEST-2026-000002 is not paid"
    assert mail(world) == [_ASKED, f"Payment received for invoice {_NUMBER}", later]


async def test_a_case_that_begins_anew_is_told_of_from_its_beginning_again(world: World) -> None:
    ada, _ = await _without_a_method(world)
    await world.advance(to="2026-03-08")
    restricted = f"Your access is restricted: invoice {_NUMBER} is not paid"
    assert mail(world) == [_ASKED, restricted]
    [invoice] = await world.invoices(ada)
    async with world.runtime.db.transaction() as tx:
        recorded = await receiving.record_payment(
            tx,
            world.call,
            invoice_id=invoice.id,
            amount=invoice.amount_due,
            method=ReceiptMethod.CHEQUE,
            reference="Cheque 17",
            received_at=make.at("2026-03-08"),
        )
    await world.drain()
    assert (await case_of(world, ada)).case.state is CaseState.RECOVERED
    # The cheque bounces: there is still no method, so everything begins again.
    await reversing.look_first(world.runtime.db, world.gateway, world.call, recorded.attempt_id)
    async with world.runtime.db.transaction() as tx:
        await reversing.reverse(tx, world.call, recorded.attempt_id, reason=ReversalReason.BOUNCED)
    await world.drain()
    received = f"Payment received for invoice {_NUMBER}"
    assert mail(world) == [_ASKED, restricted, received, f"Payment failed for invoice {_NUMBER}"]
    await world.advance(to="2026-03-22")
    assert mail(world)[4:] == [
        restricted,
        f"Last notice: invoice {_NUMBER} is not paid",
        f"Your access is suspended: invoice {_NUMBER} was not paid",
    ]
