"""Money that customers transfer is booked once, in whatever order and however often the news of it comes."""

import json
from typing import Any

import pytest

from domain.access.roles import Permission
from domain.adapters.memory import MemoryGateway
from domain.adapters.stripe import StripeGateway
from domain.customers import service as customers
from domain.customers.collecting import service as collecting
from domain.customers.customer import CollectionMethod
from domain.db import Database
from domain.kernel.call import Environment, Forbidden, PrincipalKind
from domain.kernel.ids import CustomerId
from domain.kernel.money import Money
from domain.ledger import service as ledger
from domain.payments import service as payments
from domain.payments import store as payment_store
from domain.payments.port import GatewayUnavailable
from domain.payments.transferring import service, store
from tests import make
from tests.domain.payments.gateways import SandboxProbe
from tests.domain.payments.till import Till, open_till, system


async def _sent(db: Database) -> Till:
    """Make a customer who is sent an invoice over 29.00 USD."""
    return await open_till(db, collection=CollectionMethod.SEND)


async def _owner(till: Till) -> str:
    async with till.db.transaction() as tx:
        found = await payment_store.find_gateway_customer(tx, till.customer.id)
    assert found is not None
    assert found.gateway_customer_id is not None
    return found.gateway_customer_id


async def _books(db: Database) -> dict[str, int]:
    async with db.transaction() as tx:
        books = await ledger.check_books(tx, Environment.TEST)
    assert books.hold
    return {str(account): money.minor for account, money in books.balances if money.minor}


async def _standing(till: Till) -> tuple[list[Money], Money | None]:
    """Return what is unused of what came, and what is missing for the invoice."""
    key = (till.customer.id, till.invoice.id)
    async with till.db.transaction() as tx:
        balances = await store.balances_of(tx, [till.customer.id])
        return balances[till.customer.id], (await service.missing_of(tx, [key])).get(key)


async def test_a_part_waits_the_rest_pays_and_a_surplus_stays(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await _sent(db)
    await till.collect(memory_gateway)
    owner = memory_gateway.transfers.arrive(till.customer.id, 2_000)
    await service.converge(db, memory_gateway, system(), owner)
    assert (await till.state(), await _standing(till)) == ("open", ([Money(2_000, "USD")], Money(900, "USD")))
    assert await _books(db) == {"receivable": 2_900, "revenue": -2_900, "cash": 2_000, "unapplied_cash": -2_000}

    memory_gateway.transfers.arrive(till.customer.id, 1_000)
    # The news of the paid invoice comes before that of the money, and each of them twice.
    for _ in range(2):
        await payments.settle_from_gateway(db, memory_gateway, system(), await till.gateway_invoice_id())
    for _ in range(2):
        assert await service.converge(db, memory_gateway, system(), owner) == till.customer.id
    # 20.00 + 10.00 - 29.00 = 1.00 stays for the next invoice.
    assert (await till.state(), await _standing(till)) == ("paid", ([Money(100, "USD")], None))
    assert await _books(db) == {"revenue": -2_900, "cash": 3_000, "unapplied_cash": -100}
    assert (await till.attempts(), await till.posted("cash_moved")) == (["succeeded"], 3)


async def test_what_is_there_already_pays_the_next_invoice_at_once(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await _sent(db)
    async with db.transaction() as tx:
        customer = await customers.load_customer(tx, system(), till.customer.id)
    assert customer.can_be_billed
    await till.attach(memory_gateway)
    memory_gateway.transfers.arrive(till.customer.id, 5_000)
    await till.collect(memory_gateway)
    await service.converge(db, memory_gateway, system(), await _owner(till))
    assert (await till.state(), await _standing(till)) == ("paid", ([Money(2_100, "USD")], None))


async def test_pages_are_read_up_to_what_is_known(db: Database, memory_gateway: MemoryGateway) -> None:
    till = await _sent(db)
    await till.collect(memory_gateway)
    memory_gateway.transfers.page_size = 2
    for _ in range(5):
        owner = memory_gateway.transfers.arrive(till.customer.id, 100)
    memory_gateway.lose("list_cash", "before")
    with pytest.raises(GatewayUnavailable):
        await service.converge(db, memory_gateway, system(), owner)
    assert await till.posted("cash_moved") == 0
    await service.converge(db, memory_gateway, system(), owner)
    memory_gateway.transfers.arrive(till.customer.id, 100)
    await service.converge(db, memory_gateway, system(), owner)
    assert await till.posted("cash_moved") == 6
    assert (await _standing(till))[1] == Money(2_300, "USD")


async def test_money_of_nobody_is_not_ours(db: Database, memory_gateway: MemoryGateway) -> None:
    assert await service.converge(db, memory_gateway, system(), "cus_of_another") is None


async def test_instructions_are_asked_for_and_only_their_end_is_kept(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await _sent(db)

    async def ask(currency: str = "USD") -> Any:
        return await service.instructions(db, memory_gateway, system(), customer_id=till.customer.id, currency=currency)

    assert await ask() is None
    await till.collect(memory_gateway)
    found = await ask()
    assert dict(found.details)["account_number"] == "000123454321"
    assert await ask("EUR") is None
    async with db.transaction() as tx:
        [kept] = await store.accounts_of(tx, till.customer.id)
        assert await service.account_of(tx, till.customer.id, "EUR") is None
    assert (kept.bank_name, kept.last4, kept.country) == ("Memory Bank", "4321", "US")
    stranger = make.principal(Permission.PAYMENT_READ, kind=PrincipalKind.MEMBER, customer_id=CustomerId(make.new_id()))
    with pytest.raises(customers.CustomerNotFound):
        await service.instructions(
            db, memory_gateway, make.call(by=stranger), customer_id=till.customer.id, currency="USD"
        )


async def test_only_staff_decide_who_is_sent_invoices(db: Database) -> None:
    till = await open_till(db)
    rights = (Permission.INVOICE_WRITE,)
    own = make.principal(*rights, kind=PrincipalKind.KEY, customer_id=till.customer.id)
    for by in (own, make.principal(Permission.INVOICE_READ)):
        with pytest.raises(Forbidden):
            async with db.transaction() as tx:
                await collecting.set_collection(tx, make.call(by=by), till.customer.id, CollectionMethod.SEND)
    assert await till.audited("set_collection") == 0
    for _ in range(2):
        async with db.transaction() as tx:
            after = await collecting.set_collection(tx, system(), till.customer.id, CollectionMethod.SEND)
    assert (after.collection, await till.audited("set_collection")) == (CollectionMethod.SEND, 1)


async def test_the_sandbox_takes_sent_invoices_and_transfers(
    db: Database, stripe_gateway: StripeGateway, sandbox: SandboxProbe
) -> None:
    till = await _sent(db)
    await till.collect(stripe_gateway)
    copy_id, owner = await till.gateway_invoice_id(), await _owner(till)
    copy = await sandbox.ask("GET", f"/v1/invoices/{copy_id}")
    assert (copy["collection_method"], copy["status"], copy["auto_advance"]) == ("send_invoice", "open", False)
    assert copy["payment_settings"]["payment_method_types"] == ["customer_balance", "card", "us_bank_account"]
    # Thirty days of 86,400 seconds after it was finalised, and nothing was mailed by it.
    assert copy["due_date"] - copy["status_transitions"]["finalized_at"] == 2_592_000
    assert (await sandbox.ask("GET", "/v1/events", params={"type": "invoice.sent"}))["data"] == []

    found = await service.instructions(db, stripe_gateway, system(), customer_id=till.customer.id, currency="USD")
    assert found is not None
    assert (found.bank_name, found.country, len(found.last4)) == ("US Test Bank", "US", 4)
    assert {name for name, _ in found.details} >= {"account_number", "routing_number", "bank_name"}

    for amount in (2_000, 1_000):
        await sandbox.ask("POST", f"/_sandbox/bank_transfers/{owner}", content=json.dumps({"amount": amount}))
        assert await service.converge(db, stripe_gateway, system(), owner) == till.customer.id
        await payments.settle_from_gateway(db, stripe_gateway, system(), copy_id)
    assert (await till.state(), await _standing(till)) == ("paid", ([Money(100, "USD")], None))
    assert await _books(db) == {"revenue": -2_900, "cash": 3_000, "unapplied_cash": -100}
