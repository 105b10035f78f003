"""Jobs that write documents."""

from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.payments.printing import service as printing
from domain.payments.transfer import GatewayAccount
from domain.runtime import Runtime


async def render_invoice(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.RenderInvoice) -> None:
    """Write the document of an opened invoice; one that is there stays.

    What has to ask where to transfer to is left to a job of its own, so that no other document waits for the gateway.
    """
    async with runtime.db.transaction() as tx:
        invoice = await printing.find_transferred(tx, customer_id=job.customer_id, invoice_id=job.invoice_id)
        if invoice is not None:
            await journal.stage(
                tx,
                call,
                jobs.RenderSentInvoice(job.customer_id, job.invoice_id),
                customer_id=stored.customer_id,
                clock_id=stored.clock_id,
                run_at=stored.run_at,
            )
            await journal.finish(tx, call, stored)
            return
    await _render(runtime, call, stored, job, None)


async def render_sent_invoice(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.RenderSentInvoice) -> None:
    """Write the document of an invoice that is sent, which says where to transfer to."""
    account = await printing.account_of_invoice(
        runtime.db, runtime.gateway, call, customer_id=job.customer_id, invoice_id=job.invoice_id
    )
    await _render(runtime, call, stored, job, account)


async def _render(
    runtime: Runtime,
    call: Call,
    stored: StoredJob,
    job: jobs.RenderInvoice | jobs.RenderSentInvoice,
    account: GatewayAccount | None,
) -> None:
    from domain.invoices.documents.rendering import service as rendering  # noqa: PLC0415 -- by the first document only

    settings = runtime.settings
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
