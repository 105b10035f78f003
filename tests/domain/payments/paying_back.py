"""A till whose invoice was paid, and what is paid back of it."""

from domain.db import Database
from domain.invoices import service as invoices
from domain.invoices.credit_note import CreditKind, CreditNote, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.kernel.money import Money
from domain.payments.port import PaymentGateway
from domain.payments.refund import Refund, RefundReason
from domain.payments.refunding import service, store
from tests.domain.payments.till import NOON, VISA, Till, open_till, system


async def pay(db: Database, gateway: PaymentGateway) -> Till:
    """Have 29.00 paid by card."""
    till = await open_till(db)
    await till.attach(gateway, VISA)
    await till.collect(gateway)
    assert await till.state() == "paid"
    return till


async def give_back(till: Till, minor: int) -> CreditNote:
    """Give a part of it back, to be refunded."""
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
            kind=CreditKind.REFUND,
        )


async def owing(db: Database, gateway: PaymentGateway) -> tuple[Till, CreditNote]:
    """Have 29.00 paid, of which 9.00 are to go back."""
    till = await pay(db, gateway)
    return till, await give_back(till, 900)


async def order(till: Till, owed: CreditNote, minor: int | None = None) -> Refund:
    """Order a refund of what a note owes, or of a part of it."""
    async with till.db.transaction() as tx:
        amount = Money(minor, "USD") if minor is not None else None
        [made] = await service.order(tx, system(), owed.id, amount=amount, reason=RefundReason.REQUESTED_BY_CUSTOMER)
    return made


async def carry(till: Till, gateway: PaymentGateway, refund: Refund, when: str = NOON) -> Refund:
    """Carry out the job of a refund once."""
    return await service.carry_out(till.db, gateway, system(when), customer_id=till.customer.id, refund_id=refund.id)


async def refunds(till: Till) -> list[Refund]:
    """Return the refunds of the invoice, the oldest first."""
    async with till.db.transaction() as tx:
        return (await store.list_refunds_of(tx, [(till.customer.id, till.invoice.id)]))[till.invoice.id]
