"""Pause the case of an invoice whose payment is disputed, and let it go on once that is decided.

A case that staff have paused stays paused: only what was frozen here is thawed here.
"""

from domain.contracts.owing import service as owing
from domain.db import Tx
from domain.dunning import case as cases
from domain.dunning import store
from domain.dunning.case import CaseState
from domain.dunning.filing import service as filing
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, InvoiceId
from domain.payments.disputing import store as disputes

FROZEN = "frozen"
_PAUSES = ("paused", "resumed", FROZEN, "thawed")


async def follow_disputes(tx: Tx, call: Call, *, customer_id: CustomerId, invoice_id: InvoiceId) -> None:
    """Freeze or thaw the open case of an invoice by its disputes as they now stand. Safe to repeat."""
    if await store.find_case_of(tx, customer_id, invoice_id) is None:
        return
    desk = await owing.hold(tx, call, customer_id)
    _, filed = await filing.take(tx, call, desk, invoice_id)
    assert filed is not None, "a case is never deleted"
    if filed.case.state is not CaseState.OPEN:
        return
    found = (await disputes.list_disputes_of(tx, [(customer_id, invoice_id)]))[customer_id, invoice_id]
    is_disputed = any(each.is_open for each in found)
    paused_at = filed.case.paused_at
    if is_disputed and paused_at is None:
        await filing.write(tx, call, filed, cases.paused(filed.case, desk.now), FROZEN)
    elif not is_disputed and paused_at is not None and await _is_frozen(tx, filed):
        after, stood = cases.resumed(filed.case, desk.now)
        filed = await filing.extend_grace(tx, filed, stood, running_at=paused_at)
        await filing.write(tx, call, filed, after, "thawed")
    await filing.refresh_access(tx, call, desk)


async def _is_frozen(tx: Tx, filed: filing.Filed) -> bool:
    """Whether the last pause of a case was made here."""
    last = await store.find_last_step(tx, filed.stored.customer_id, filed.stored.id, kinds=_PAUSES)
    return last is not None and last.kind == FROZEN
