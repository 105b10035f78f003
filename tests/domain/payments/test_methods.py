"""Payment methods on real Postgres, against both gateways."""

import dataclasses

import pytest
import sqlalchemy as sa

from domain.adapters.memory import MemoryGateway
from domain.customers import service as customers
from domain.customers.customer import CustomerErased
from domain.customers.erasing import service as erasing
from domain.customers.service import CustomerNotFound
from domain.db import Database
from domain.kernel.call import Environment, Forbidden, PrincipalKind
from domain.kernel.ids import CustomerId
from domain.payments import service, store
from domain.payments.forgetting import service as forgetting
from domain.payments.method import PaymentMethod
from domain.payments.port import (
    GatewayIdMalformed,
    GatewayMethod,
    PaymentGateway,
)
from tests import make
from tests.domain.payments.gateways import Probe
from tests.domain.payments.till import NO_FUNDS, PRICE_MINOR, VISA, open_till, system


async def test_a_method_attached_later_stages_the_collection_of_what_is_open(
    db: Database, gateway: PaymentGateway, probe: Probe
) -> None:
    till = await open_till(db)
    await till.collect(gateway)
    # Opening has staged a collection already, and one is pending for an invoice at most.
    assert await till.staged("collect_invoice") == 1
    await till.attach(gateway)
    assert await till.staged("collect_invoice") == 1
    await till.collect(gateway)
    assert await probe.charges() == [PRICE_MINOR]


async def test_attaching_twice_keeps_one_method(db: Database, gateway: PaymentGateway) -> None:
    till = await open_till(db)
    first = await till.attach(gateway)
    again = await till.attach(gateway, VISA)
    assert again.gateway_method_id == first.gateway_method_id
    by_its_own_id = await till.attach(gateway, first.gateway_method_id)
    assert by_its_own_id == first
    async with db.transaction() as tx:
        assert [method.id for method in await service.list_methods(tx, system(), till.customer.id)] == [first.id]


async def test_only_whoever_may_pay_for_a_customer_attaches_methods(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    viewer = make.principal("payment:read", kind=PrincipalKind.MEMBER, customer_id=till.customer.id)
    stranger = make.principal(
        "payment:write", "payment:read", kind=PrincipalKind.MEMBER, customer_id=CustomerId(make.new_id())
    )
    for by, refusal in ((viewer, Forbidden), (stranger, CustomerNotFound)):
        with pytest.raises(refusal):
            await service.attach_method(
                db, memory_gateway, make.call(by=by), customer_id=till.customer.id, gateway_method_id=VISA
            )
    async with db.transaction() as tx:
        with pytest.raises(CustomerNotFound):
            await service.list_methods(tx, make.call(by=stranger), till.customer.id)
        assert await service.list_methods(tx, make.call(by=viewer), till.customer.id) == []
    assert memory_gateway.methods == {}


@pytest.mark.parametrize("text", ["", "card", "pm_", "pm_" + "a" * 251, "pm_../customers", "pm_card visa", "pm_é"])
async def test_what_is_no_id_of_a_method_never_reaches_the_gateway(
    db: Database, memory_gateway: MemoryGateway, text: str
) -> None:
    till = await open_till(db)
    with pytest.raises(GatewayIdMalformed):
        await till.attach(memory_gateway, text)
    assert memory_gateway.customers == {}


async def test_a_method_of_another_customer_is_refused(db: Database, gateway: PaymentGateway) -> None:
    till = await open_till(db)
    method = await till.attach(gateway)
    async with db.transaction() as tx:
        other = await customers.create_customer(
            tx, system(), environment=Environment.TEST, name="Bob", email="bob@example.com"
        )
    with pytest.raises(Exception, match="refused"):
        await service.attach_method(
            db, gateway, system(), customer_id=other.id, gateway_method_id=method.gateway_method_id
        )


async def test_a_detached_method_is_kept_as_detached_and_the_next_one_becomes_the_default(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db)
    first = await till.attach(memory_gateway)
    memory_gateway.detach(first.gateway_method_id)
    for _ in range(2):
        owner = await service.record_from_gateway(db, memory_gateway, system(), first.gateway_method_id)
        assert owner == till.customer.id
    async with db.transaction() as tx:
        assert await store.list_methods(tx, till.customer.id, limit=10) == []
        kept = await store.methods_by_id(tx, [first.id], scope=till.customer.id)
        assert kept[first.id].detached_at == system().at
    assert await till.collect(memory_gateway) is None
    second = await till.attach(memory_gateway, NO_FUNDS)
    assert second.is_default


async def test_news_of_a_method_of_an_erased_customer_keep_nothing(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    await till.attach(memory_gateway)
    [owner] = memory_gateway.customers
    async with db.transaction() as tx:
        await erasing.erase(tx, system(), till.customer, is_retained=False)
        await forgetting.forget_methods(tx, system(), till.customer.id)
    with pytest.raises(CustomerErased):
        await till.attach(memory_gateway, NO_FUNDS)
    # A form that was open at that moment has attached one at the gateway.
    seen = await memory_gateway.attach_method(owner, NO_FUNDS, key="form")
    assert await service.record_from_gateway(db, memory_gateway, system(), seen.id) == till.customer.id
    async with db.transaction() as tx:
        assert await tx.value(sa.text("SELECT count(*) FROM payment_method WHERE last4 IS NOT NULL")) == 0
        assert await tx.value(sa.text("SELECT count(*) FROM payment_method")) == 1


async def test_a_renewed_card_is_followed(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await open_till(db)
    method = await till.attach(memory_gateway)
    seen: GatewayMethod = dataclasses.replace(memory_gateway.methods[method.gateway_method_id], exp_year=2035)
    async with db.transaction() as tx:
        renewed: PaymentMethod | None = await service.record_method(
            tx, system(), customer_id=till.customer.id, seen=seen
        )
    assert renewed == dataclasses.replace(method, exp_year=2035, version=2)
