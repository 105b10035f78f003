"""A bank account that cannot be debited any more: its owner is told once, whatever comes of it later."""

import dataclasses

from domain.adapters.memory import MemoryMailer
from domain.payments import service as payments
from domain.payments.keeping import service as keeping
from domain.payments.setup import GatewayMandate
from tests.stories.owing import mail
from tests.world import World

_DEBIT = "pm_usBankAccount_success"


async def test_the_owner_of_an_account_is_told_once_that_it_is_blocked(world: World) -> None:
    await world.customer(on="2026-03-01", card=_DEBIT)
    [account] = world.gateway.methods.values()
    runtime, gateway = world.runtime, world.gateway
    for is_active in (False, False, True, False):
        gateway.desk.mandates["mandate_1"] = GatewayMandate("mandate_1", account.id, is_active=is_active)
        await keeping.note_mandate(runtime.db, gateway, world.call, "mandate_1")
        await world.drain()
    told = ["Your payment method cannot be charged any more: STRIPE TEST BANK ending in 6789"]
    assert mail(world) == told
    # Its bank closes it besides: the owner knows already that it is of no use.
    gateway.methods[account.id] = dataclasses.replace(account, blocked="bank_account_closed")
    await payments.record_from_gateway(runtime.db, gateway, world.call, account.id)
    await world.drain()
    assert mail(world) == told


async def test_what_is_invoiced_while_the_only_method_is_blocked_says_why_another_one_is_wanted(world: World) -> None:
    ada = await world.customer(on="2026-03-01", card=_DEBIT)
    [account] = world.gateway.methods.values()
    world.gateway.methods[account.id] = dataclasses.replace(account, blocked="bank_account_closed")
    await payments.record_from_gateway(world.runtime.db, world.gateway, world.call, account.id)
    await world.subscribe(ada, "starter", product="edge")
    assert isinstance(world.runtime.mailer, MemoryMailer)
    texts = {each.subject.partition(":")[0]: each.text for each in world.runtime.mailer.sent}
    bank = "STRIPE TEST BANK ending in 6789"
    issued = next(text for subject, text in texts.items() if subject.startswith("Invoice TEST-2026-000001 from "))
    assert f"Your payment method ({bank}) cannot be charged any more. Please add another one" in issued
    missing = texts["Please add a payment method"]
    assert "because your payment method cannot be charged any more." in missing
    assert "You can add a payment method in your billing pages" in missing
