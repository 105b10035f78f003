"""Where the customer of a sent invoice transfers to is asked for whole, for the document alone; the same each time."""

import pytest

from domain.adapters.memory import MemoryGateway
from domain.adapters.memory_pdf import MemoryRenderer
from domain.customers.customer import CollectionMethod
from domain.db import Database
from domain.invoices.documents.rendering import service as rendering
from domain.kernel.call import Environment
from domain.payments.port import GatewayRefused, GatewayUnavailable, PaymentGateway
from domain.payments.printing import service
from domain.payments.transfer import GatewayAccount
from tests.domain.payments.till import Till, open_till, system


async def _account(till: Till, gateway: PaymentGateway) -> GatewayAccount | None:
    return await service.account_of_invoice(
        till.db, gateway, system(), customer_id=till.customer.id, invoice_id=till.invoice.id
    )


async def test_the_account_of_a_sent_invoice_is_told_whole_before_its_copy_is_made(
    db: Database, gateway: PaymentGateway
) -> None:
    till = await open_till(db, collection=CollectionMethod.SEND)
    found = await _account(till, gateway)
    assert found is not None
    told = dict(found.details)
    assert told["account_number"][-4:] == found.last4
    assert told["routing_number"].isdecimal()
    await till.collect(gateway)
    assert await _account(till, gateway) == found


async def test_a_charged_invoice_has_none(db: Database, memory_gateway: MemoryGateway) -> None:
    assert await _account(await open_till(db), memory_gateway) is None
    assert memory_gateway.customers == {}


async def test_where_the_gateway_takes_no_transfers_the_document_says_nothing_of_them(db: Database) -> None:
    till = await open_till(db, collection=CollectionMethod.SEND)
    refusing = MemoryGateway()
    refusing.refusals["fetch_account"] = GatewayRefused("parameter_invalid")
    assert await _account(till, refusing) is None
    assert await _account(till, MemoryGateway(Environment.LIVE)) is None


async def test_a_lost_answer_makes_the_document_wait_and_written_once_it_asks_no_more(
    db: Database, memory_gateway: MemoryGateway
) -> None:
    till = await open_till(db, collection=CollectionMethod.SEND)
    memory_gateway.lose("fetch_account", "after")
    with pytest.raises(GatewayUnavailable):
        await _account(till, memory_gateway)
    found = await _account(till, memory_gateway)
    assert found is not None
    renderer = MemoryRenderer()
    for _ in range(2):
        await rendering.render_invoice(
            db,
            renderer,
            system(),
            customer_id=till.customer.id,
            invoice_id=till.invoice.id,
            merchant="Example",
            pay_to=found.details,
        )
    [content] = renderer.rendered
    assert ["Account number", dict(found.details)["account_number"]] in content["payment"]["facts"]
    assert await _account(till, memory_gateway) is None
