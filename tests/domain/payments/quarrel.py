"""A paid invoice whose payment is disputed, and what is seen of it."""

import sqlalchemy as sa

from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.credit_note import CreditKind, CreditNote, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import Invoice
from domain.journal.store import billing_event
from domain.kernel.call import Environment
from domain.ledger import service as ledger
from domain.payments import service as collection
from domain.payments import store as payments
from domain.payments.dispute import Dispute
from domain.payments.disputing import service, store
from domain.payments.port import PaymentGateway
from tests.domain.payments.gateways import Probe
from tests.domain.payments.till import DEBIT, VISA, Till, open_till, system


async def paid(db: Database, gateway: PaymentGateway, probe: Probe, token: str = VISA) -> tuple[Till, str]:
    """Have 29.00 paid; return the payment's id at the gateway too."""
    till = await open_till(db)
    await till.attach(gateway, token)
    await till.collect(gateway)
    if token == DEBIT:
        await probe.settle(await till.gateway_invoice_id(), succeeds=True)
        await till.collect(gateway)
        await look(till, gateway)
    assert await till.state() == "paid"
    [attempt] = await till.attempt_rows()
    assert attempt.gateway_payment_id is not None
    return till, attempt.gateway_payment_id


async def look(till: Till, gateway: PaymentGateway) -> None:
    """Follow the copy of the invoice."""
    await collection.settle_from_gateway(till.db, gateway, system(), await till.gateway_invoice_id())


async def follow(till: Till, gateway: PaymentGateway, dispute_id: str) -> None:
    """Follow a dispute as it now is."""
    owner = await service.settle_from_gateway(till.db, gateway, system(), dispute_id)
    assert owner == till.customer.id


async def disputes(till: Till) -> list[Dispute]:
    """Return the disputes of the till's invoice."""
    key = (till.customer.id, till.invoice.id)
    async with till.db.transaction() as tx:
        return (await store.list_disputes_of(tx, [key]))[key]


async def invoice(till: Till) -> Invoice:
    """Return our invoice as it now is."""
    async with till.db.transaction() as tx:
        return await payments.lock_invoice(tx, till.customer.id, till.invoice.id)


async def books(till: Till) -> dict[str, int]:
    """Return what is not zero, and see that the books hold."""
    async with till.db.transaction() as tx:
        assert (await ledger.check_books(tx, Environment.TEST)).hold
        found = await ledger.balances(tx, till.customer.id)
    return {str(account): amount.minor for account, amount in found if amount.minor}


async def told(till: Till) -> list[str]:
    """Return what was told of disputes and what came of them, in order."""
    words = ("dispute%", "payment_returned", "invoice_reopened", "invoice_charged_back")
    statement = sa.select(billing_event.c.type).where(sa.or_(*(billing_event.c.type.like(each) for each in words)))
    async with till.db.transaction() as tx:
        return [row.type for row in await tx.rows(statement.order_by(billing_event.c.id))]


async def note(till: Till, minor: int, kind: CreditKind = CreditKind.REFUND) -> CreditNote:
    """Give a part of the fee back by a credit note."""
    async with till.db.transaction() as tx:
        [line] = (await invoices.lines_by_invoice_ids(tx, [till.invoice.id], scope=None))[till.invoice.id]
        return await crediting.credit_lines(
            tx,
            system(),
            system().at,
            customer_id=till.customer.id,
            invoice_id=till.invoice.id,
            parts=[CreditPart(line.id, minor)],
            reason=CreditReason.GOODWILL,
            kind=kind,
        )
