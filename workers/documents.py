"""Jobs that write documents."""

from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.payments.printing import service as printing
from domain.runtime import Runtime


async def render_invoice(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.RenderInvoice) -> None:
    """Write the document of an opened invoice; one that is there stays. One that is sent says where to transfer to."""
    from domain.invoices.documents.rendering import service as rendering  # noqa: PLC0415 -- by the first document only

    settings = runtime.settings
    account = await printing.account_of_invoice(
        runtime.db, runtime.gateway, call, customer_id=job.customer_id, invoice_id=job.invoice_id
    )
    await rendering.render_invoice(
        runtime.db,
        runtime.renderer,
        call,
        customer_id=job.customer_id,
        invoice_id=job.invoice_id,
        pay_to=account.details if account is not None else (),
        merchant=settings.merchant_name,
        address=settings.merchant_address,
    )
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
    await runtime.wakeups.publish([job.customer_id])


async def render_credit_note(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.RenderCreditNote) -> None:
    """Write the document of a credit note; one that is there stays."""
    from domain.invoices.documents.rendering import service as rendering  # noqa: PLC0415 -- by the first document only

    settings = runtime.settings
    await rendering.render_credit_note(
        runtime.db,
        runtime.renderer,
        call,
        customer_id=job.customer_id,
        credit_note_id=job.credit_note_id,
        merchant=settings.merchant_name,
        address=settings.merchant_address,
    )
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
    await runtime.wakeups.publish([job.customer_id])
