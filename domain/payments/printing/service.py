"""Ask for the account that the customer of a sent invoice transfers to, for its document."""

from domain.customers import service as customers
from domain.customers.store import Sight
from domain.db import Database, Tx
from domain.invoices.documents import service as documents
from domain.invoices.invoice import Invoice
from domain.invoices.store import find_invoice
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId
from domain.payments.methods.service import ensure_gateway_customer
from domain.payments.port import PaymentGateway
from domain.payments.transfer import GatewayAccount
from domain.payments.transferring import service as transferring
from domain.payments.transferring.cash import is_transferred


async def find_transferred(tx: Tx, *, customer_id: CustomerId, invoice_id: InvoiceId) -> Invoice | None:
    """Return an invoice whose document is to say where to transfer to and is not written yet; None for any other."""
    invoice = await find_invoice(tx, invoice_id, sight=Sight(customer_id))
    if invoice is None or not is_transferred(invoice):
        return None
    return None if await documents.documents_of_invoices(tx, [invoice_id], scope=customer_id) else invoice


async def account_of_invoice(
    db: Database, gateway: PaymentGateway, call: Call, *, customer_id: CustomerId, invoice_id: InvoiceId
) -> GatewayAccount | None:
    """Return where an invoice is to be transferred to, whole; None where it is charged or has its document.

    Also None where the gateway takes no transfers in its currency, or serves customers of another environment. The
    account is the same one each time it is asked for. Raises GatewayUnavailable: the document waits, as it must say it.
    """
    async with db.transaction() as tx:
        invoice = await find_transferred(tx, customer_id=customer_id, invoice_id=invoice_id)
        if invoice is None or invoice.environment is not gateway.environment:
            return None
        customer = await customers.load_customer(tx, call, customer_id)
    owner = await ensure_gateway_customer(db, gateway, call, customer)
    return await transferring.ask(gateway, customer, owner, invoice.currency)
