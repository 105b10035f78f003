"""Ask for the taxes of a draft outside of any transaction, and use the answer inside of one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from domain.customers import service as customers
from domain.customers.profiles import service as profiles
from domain.customers.profiles.profile import Profile
from domain.customers.store import Sight
from domain.db import Database, Tx
from domain.invoices import store as invoice_store
from domain.invoices.invoice import Invoice, Line, State
from domain.invoices.taxing import store as taxing_store
from domain.invoices.taxing.answer import (
    answer_json,
    answer_of,
    question_of,
    question_text,
    statements_of_answer,
)
from domain.invoices.taxing.asking import store
from domain.invoices.taxing.port import TaxCalculator, TaxQuestion
from domain.invoices.taxing.statement import TaxStatement
from domain.invoices.taxing.treatment import TaxSource
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId, LineId, encode


async def answered(
    tx: Tx,
    draft: Invoice,
    lines: Sequence[Line],
    codes: Mapping[LineId, str | None],
    profile: Profile,
    *,
    at: datetime,
) -> Sequence[TaxStatement] | None:
    """Return the taxes of a draft from the answer for exactly this draft on this day, or None where there is none."""
    question = question_of(draft, lines, codes, profile, at)
    found = await store.find_question(tx, draft.customer_id, draft.id, _digest(tx, question))
    if found is None or found.answer is None:
        return None
    return statements_of_answer(answer_of(found.answer), lines, codes)


async def calculate(
    db: Database, calculator: TaxCalculator, call: Call, *, customer_id: CustomerId, invoice_id: InvoiceId
) -> bool:
    """Ask for the taxes of a draft as it now stands. False where there is nothing to ask.

    The question is committed before it is asked, and its id is the key: asked again after a lost answer, the service
    repeats the answer. Raises TaxUnavailable, TaxRefused.
    """
    async with db.transaction() as tx:
        asked = await _ask(tx, call, customer_id, invoice_id)
    if asked is None:
        return False
    key, question, stored = asked
    answer = await calculator.calculate(question, key=key)
    async with db.transaction() as tx:
        await store.save_answer(tx, customer_id, stored.id, answer=answer_json(answer), at=call.at)
    return True


async def _ask(
    tx: Tx, call: Call, customer_id: CustomerId, invoice_id: InvoiceId
) -> tuple[str, TaxQuestion, store.Question] | None:
    """Write the question down, unless it is answered or there is none."""
    draft = await invoice_store.find_invoice(tx, invoice_id, sight=Sight(customer_id))
    if draft is None or draft.state is not State.DRAFT:
        return None
    merchant = await taxing_store.find_merchant(tx, draft.environment)
    profile = await profiles.load_profile(tx, customer_id)
    if merchant is None or merchant.source is not TaxSource.STRIPE or profile.address.country is None:
        return None
    lines = (await invoice_store.lines_by_invoice_ids(tx, [invoice_id], sight=Sight(customer_id)))[invoice_id]
    codes = await taxing_store.tax_codes_of_lines(tx, customer_id, invoice_id)
    now = await customers.business_now(tx, call, customer_id)
    question = question_of(draft, lines, codes, profile, now)
    digest = _digest(tx, question)
    await store.insert_question(
        tx, customer_id, invoice_id, question_id=call.new_id(), digest=digest, asked_at=call.at, taxed_at=now
    )
    found = await store.find_question(tx, customer_id, invoice_id, digest)
    assert found is not None, "it was written"
    if found.answer is not None:
        return None
    key = f"{draft.environment}:tax:{encode('invoice', invoice_id)}:{found.id}"
    # A key is repeated with the same words only: the instant is that of the first try.
    return key, replace(question, at=found.taxed_at), found


def _digest(tx: Tx, question: TaxQuestion) -> bytes:
    """Hash the question under the system's key: it holds an address."""
    return tx.vault.lookup_hash("tax_question", question_text(question))
