"""Write a later due date."""

from datetime import datetime

from domain.db import Tx
from domain.invoices import store
from domain.invoices.extending.due_date import extended
from domain.invoices.invoice import Invoice
from domain.invoices.opening.service import audit
from domain.kernel.call import Call


async def extend(tx: Tx, call: Call, now: datetime, before: Invoice, due_at: datetime) -> Invoice:
    """Have an invoice that the caller holds locked be due later. Safe to repeat; audited.

    Its document stays as it was issued. Raises DueDateRefused, PaymentUnderWay.
    """
    after = extended(before, due_at, now)
    if after == before:
        return before
    assert before.due_at is not None, "only what was due later than now is extended"
    saved = await store.save_invoice(tx, before, after)
    dates = {"due_at_before": before.due_at.isoformat(), "due_at": due_at.isoformat()}
    await audit(tx, call, "extend_due_date", saved, **dates)
    return saved
