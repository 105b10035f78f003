"""The erasure of a customer from the terminal, and what is kept of one."""

import typer

from api.seed import operator
from domain.config import Settings
from domain.invoices.documents import service as documents
from domain.kernel.ids import CustomerId, InvoiceId, decode
from domain.privacy.erasing import service as erasing
from domain.privacy.erasure import ErasureReason


def reason_of(text: str) -> ErasureReason:
    """Read a reason. Raises BadParameter."""
    try:
        return ErasureReason(text)
    except ValueError:
        raise typer.BadParameter("the reason is requested, unused or mistake") from None


async def erase_customer(settings: Settings, customer: str, reason: ErasureReason) -> list[str]:
    """Erase a customer, and say what becomes of it. Raises IdMalformed, CustomerNotFound, CustomerNotErasable."""
    customer_id = CustomerId(decode("customer", customer))
    async with operator(settings) as (tx, call):
        found = await erasing.request(tx, call, customer_id, reason, retention_years=settings.retention_years)
    kept = f"kept until {found.keep_until:%Y-%m-%d}" if found.keep_until else "nothing has to be kept"
    return [f"{customer} is erased ({found.state}); {kept}"]


async def restricted_file(settings: Settings, invoice: str) -> bytes:
    """Return the file of an invoice of an erased customer. Raises IdMalformed, DocumentNotFound."""
    async with operator(settings) as (tx, call):
        _, file = await documents.restricted_file(tx, call, InvoiceId(decode("invoice", invoice)))
    return file
