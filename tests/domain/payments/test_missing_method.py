"""Invoices that have nothing to be charged to: their copy is made, and their customer is asked, once."""

import pytest

from domain.adapters.memory import MemoryGateway
from domain.db import Database
from domain.dunning.asking import service as asking
from domain.payments import service
from domain.payments.port import GatewayUnavailable, PaymentGateway
from tests.domain.payments.gateways import Probe
from tests.domain.payments.till import open_till, system


async def test_without_a_method_only_the_copy_is_made_and_that_is_followed_up_once(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    assert await till.collect(gateway) is None
    assert await till.collect(gateway) is None
    assert await till.state() == "open"
    assert await till.staged("payment_method_missing") == 1
    assert await probe.invoices() == ["open"]
    assert await till.attempts() == []


async def test_a_method_that_is_gone_after_a_charge_without_a_trace_is_asked_for(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    method = await till.attach(memory_gateway)
    memory_gateway.lose("pay", "before")
    with pytest.raises(GatewayUnavailable):
        await till.collect(memory_gateway)
    memory_gateway.detach(method.gateway_method_id)
    await service.record_from_gateway(db, memory_gateway, system(), method.gateway_method_id)
    assert await till.staged("payment_method_missing") == 0
    # The key is used for 23 hours; after that what left no trace is closed, and counts for no try.
    await till.collect(memory_gateway, "2026-01-16T12:00")
    assert (await till.attempts(), memory_gateway.charges) == (["failed"], [])
    assert await till.staged("payment_method_missing") == 1
    for _ in range(2):
        async with db.transaction() as tx:
            await asking.follow(tx, system(), customer_id=till.customer.id, invoice_id=till.invoice.id)
    assert await till.audited("dunning_opened") == 1
