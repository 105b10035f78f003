"""Giving, choosing and removing payment methods, on real Postgres."""

import dataclasses
from typing import Any

import pytest

from domain.adapters.memory import MemoryGateway
from domain.adapters.stripe import StripeGateway
from domain.contracts import service as contracts
from domain.customers import service as customers
from domain.customers.service import CustomerNotFound
from domain.db import Database
from domain.kernel.call import Environment, PrincipalKind
from domain.kernel.ids import CustomerId
from domain.payments import service, store
from domain.payments.keeping import service as keeping
from domain.payments.method import PaymentMethod
from domain.payments.method_rules import LastPaymentMethod, PaymentMethodNotFound, PaymentSetupNotFound
from domain.payments.port import GatewayRefused, GatewayUnavailable
from domain.payments.setup import GatewayMandate, SetupState, SetupWay
from domain.subscriptions import service as subscriptions
from tests import make
from tests.domain.payments.gateways import SandboxProbe
from tests.domain.payments.till import DEBIT, VISA, Till, open_till, system

MASTERCARD = "pm_card_mastercard"
_MANDATE = {
    "mandate_data[customer_acceptance][type]": "online",
    "mandate_data[customer_acceptance][online][ip_address]": "127.0.0.1",
    "mandate_data[customer_acceptance][online][user_agent]": "test",
}


async def methods_of(till: Till) -> list[PaymentMethod]:
    """Return the attached methods."""
    async with till.db.transaction() as tx:
        return list(await store.list_methods(tx, till.customer.id, limit=10))


async def stranger_of(till: Till) -> CustomerId:
    """Make another customer."""
    async with till.db.transaction() as tx:
        made = await customers.create_customer(
            tx, system(), environment=Environment.TEST, name="Bob", email="bob@example.com"
        )
    return made.id


async def detach(till: Till, method: PaymentMethod, *, of: CustomerId | None = None) -> PaymentMethod:
    """Remove a method."""
    async with till.db.transaction() as tx:
        return await keeping.detach(tx, system(), customer_id=of or till.customer.id, method_id=method.id)


async def test_a_card_is_set_up_at_stripe_and_kept_once_the_form_is_done(
    db: Database, stripe_gateway: StripeGateway, sandbox: SandboxProbe
) -> None:
    till = await open_till(db)
    begun, again = [
        await keeping.start_setup(
            db, stripe_gateway, system(), customer_id=till.customer.id, way=SetupWay.CARD, wish="w"
        )
        for _ in range(2)
    ]
    assert (begun.state, begun.id) == (SetupState.WAITING, again.id)
    assert begun.client_secret is not None
    assert begun.client_secret not in repr(begun)
    await sandbox.ask("POST", f"/v1/setup_intents/{begun.id}/confirm", data={"payment_method": VISA})
    for _ in range(2):
        assert await keeping.settle_setup(db, stripe_gateway, system(), begun.id) == till.customer.id
    [method] = await methods_of(till)
    assert (method.kind, method.last4, method.is_default) == ("card", "4242", True)


async def test_a_bank_account_is_verified_by_small_deposits(
    db: Database, stripe_gateway: StripeGateway, sandbox: SandboxProbe
) -> None:
    till = await open_till(db)
    begun = await keeping.start_setup(
        db, stripe_gateway, system(), customer_id=till.customer.id, way=SetupWay.ACH_DEPOSITS, wish="w"
    )
    given = {"payment_method": DEBIT, **_MANDATE}
    await sandbox.ask("POST", f"/v1/setup_intents/{begun.id}/confirm", data=given)
    own: dict[str, Any] = {"customer_id": till.customer.id, "setup_id": begun.id}
    waits = await keeping.read_setup(db, stripe_gateway, system(), **own)
    assert (waits.state, waits.deposit_kind) == (SetupState.DEPOSITS_SENT, "amounts")
    assert await methods_of(till) == []
    with pytest.raises(GatewayRefused, match="amounts_mismatch"):
        await keeping.verify_deposits(db, stripe_gateway, system(), **own, amounts=[10, 11], code=None)
    assert await methods_of(till) == []
    for _ in range(2):
        done = await keeping.verify_deposits(db, stripe_gateway, system(), **own, amounts=[45, 32], code=None)
        assert done.state is SetupState.SUCCEEDED
    [method] = await methods_of(till)
    assert (method.kind, method.last4) == ("us_bank_account", "6789")


async def test_a_set_up_of_another_customer_is_not_found(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    begun = await keeping.start_setup(
        db, memory_gateway, system(), customer_id=till.customer.id, way=SetupWay.CARD, wish="w"
    )
    memory_gateway.desk.enter(begun.id, VISA)
    bob = await stranger_of(till)
    await keeping.start_setup(db, memory_gateway, system(), customer_id=bob, way=SetupWay.CARD, wish="w")
    for setup_id in (begun.id, "seti_unknown"):
        with pytest.raises(PaymentSetupNotFound):
            await keeping.read_setup(db, memory_gateway, system(), customer_id=bob, setup_id=setup_id)
    assert await methods_of(till) == []


async def test_a_removed_method_is_charged_no_more_and_leaves_the_gateway_though_replies_are_lost(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    first, second = await till.attach(memory_gateway), await till.attach(memory_gateway, MASTERCARD)
    gone = await detach(till, first)
    assert await detach(till, first) == gone
    # The newest one left takes over as the default.
    assert [(each.id, each.is_default) for each in await methods_of(till)] == [(second.id, True)]
    assert await till.staged("detach_method") == 1
    assert await till.audited("detach_method") == 1
    memory_gateway.lose("detach_method", "after")
    with pytest.raises(GatewayUnavailable):
        await keeping.carry_out_detach(db, memory_gateway, system(), customer_id=till.customer.id, method_id=first.id)
    await keeping.carry_out_detach(db, memory_gateway, system(), customer_id=till.customer.id, method_id=first.id)
    assert memory_gateway.methods[first.gateway_method_id].gateway_customer_id is None
    assert memory_gateway.methods[second.gateway_method_id].gateway_customer_id is not None


async def test_stripe_detaches_once(db: Database, stripe_gateway: StripeGateway, sandbox: SandboxProbe) -> None:
    till = await open_till(db)
    first = await till.attach(stripe_gateway)
    await till.attach(stripe_gateway, MASTERCARD)
    await detach(till, first)
    for _ in range(2):
        await keeping.carry_out_detach(db, stripe_gateway, system(), customer_id=till.customer.id, method_id=first.id)
    seen = await stripe_gateway.fetch_method(first.gateway_method_id)
    assert seen is not None
    assert seen.gateway_customer_id is None
    events = await sandbox.ask("GET", "/v1/events", params={"type": "payment_method.detached"})
    assert len(events["data"]) == 1


async def test_the_last_method_of_a_paid_subscription_stays(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    only = await till.attach(memory_gateway)
    with pytest.raises(LastPaymentMethod):
        await detach(till, only)
    assert [each.id for each in await methods_of(till)] == [only.id]
    assert await till.staged("detach_method") == 0
    async with db.transaction() as tx:
        [running] = await subscriptions.list_subscriptions(tx, till.customer.id)
        await contracts.cancel(tx, system(), subscription_id=running.id, at_period_end=False)
    await detach(till, only)
    assert await methods_of(till) == []


async def test_a_method_of_another_customer_is_neither_chosen_nor_removed(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    method = await till.attach(memory_gateway)
    bob = await stranger_of(till)
    member = make.principal("payment:write", kind=PrincipalKind.MEMBER, customer_id=bob)
    async with db.transaction() as tx:
        for act in (keeping.set_default, keeping.detach):
            with pytest.raises(PaymentMethodNotFound):
                await act(tx, make.call(by=member), customer_id=bob, method_id=method.id)
            with pytest.raises(CustomerNotFound):
                await act(tx, make.call(by=member), customer_id=till.customer.id, method_id=method.id)
    assert await methods_of(till) == [method]


async def test_the_default_is_chosen_once(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    first, second = await till.attach(memory_gateway), await till.attach(memory_gateway, MASTERCARD)
    for _ in range(2):
        async with db.transaction() as tx:
            chosen = await keeping.set_default(tx, system(), customer_id=till.customer.id, method_id=second.id)
        assert chosen.is_default
    assert [(each.id, each.is_default) for each in await methods_of(till)] == [(second.id, True), (first.id, False)]
    assert await till.audited("set_default_method") == 1


async def test_an_account_without_a_mandate_is_charged_no_more_until_it_has_one(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    account = await till.attach(memory_gateway, DEBIT)
    mandates = memory_gateway.desk.mandates
    mandates["mandate_1"] = GatewayMandate("mandate_1", account.gateway_method_id, is_active=False)
    for _ in range(2):
        assert await keeping.note_mandate(db, memory_gateway, system(), "mandate_1") == till.customer.id
    assert [each.blocked for each in await methods_of(till)] == ["mandate_ended"]
    assert await till.collect(memory_gateway) is None
    assert memory_gateway.charges == []
    mandates["mandate_1"] = GatewayMandate("mandate_1", account.gateway_method_id, is_active=True)
    await keeping.note_mandate(db, memory_gateway, system(), "mandate_1")
    assert [each.blocked for each in await methods_of(till)] == [None]
    assert await keeping.note_mandate(db, memory_gateway, system(), "mandate_unknown") is None
    mandates["mandate_2"] = GatewayMandate("mandate_2", "pm_of_nobody", is_active=False)
    assert await keeping.note_mandate(db, memory_gateway, system(), "mandate_2") is None


async def test_what_a_bank_has_blocked_no_mandate_lets_be_charged(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    account = await till.attach(memory_gateway, DEBIT)
    known = memory_gateway.methods[account.gateway_method_id]
    memory_gateway.methods[known.id] = dataclasses.replace(known, blocked="bank_account_closed")
    await service.record_from_gateway(db, memory_gateway, system(), known.id)
    memory_gateway.desk.mandates["mandate_1"] = GatewayMandate("mandate_1", known.id, is_active=True)
    await keeping.note_mandate(db, memory_gateway, system(), "mandate_1")
    assert [each.blocked for each in await methods_of(till)] == ["bank_account_closed"]
    assert "payment_method_blocked" in await till.told()
