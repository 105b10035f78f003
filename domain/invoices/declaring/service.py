"""Report taxes for a stretch of time."""

from domain.access.roles import Permission
from domain.customers.service import EnvironmentRefused
from domain.db import Tx
from domain.invoices.declaring import store
from domain.invoices.declaring.report import NOTHING, Figures, Row, Stated, check_stretch, figures_of, rows_of
from domain.kernel.call import Call, Environment, Forbidden
from domain.kernel.period import Period

PAGE = 1_000


async def report(tx: Tx, call: Call, environment: Environment, period: Period) -> list[Row]:
    """Say what was taxed in a period of business time, how, and what was taken back, by what invoices state.

    Invoices count when they were issued; what credit notes give back when those were, and what is left of a void
    invoice when it was voided: the taxes add up to what the account of taxes payable moved by. For staff. Reads every
    document of the period. Raises Forbidden, EnvironmentRefused, TaxStretchRefused.
    """
    call.need(Permission.LEDGER_READ)
    if call.scope is not None:
        raise Forbidden(Permission.LEDGER_READ)
    if call.principal.environment not in {None, environment}:
        raise EnvironmentRefused(str(call.principal.environment))
    check_stretch(period.start, period.end)
    invoiced = await store.sum_invoices(tx, environment, period, voided=False)
    taken_back = await _credited(tx, environment, period, voided=False)
    taken_back += await store.sum_invoices(tx, environment, period, voided=True)
    # What credit notes had taken back of a void invoice before was not there to be voided.
    taken_back += [(key, NOTHING - each) for key, each in await _credited(tx, environment, period, voided=True)]
    return rows_of(invoiced, taken_back)


async def _credited(tx: Tx, environment: Environment, period: Period, *, voided: bool) -> list[tuple[Stated, Figures]]:
    """Divide all lines of credit notes among the rates that they bear, a page at a time."""
    sums: dict[Stated, Figures] = {}
    after = None
    while True:
        lines = await store.list_credited(tx, environment, period, voided=voided, after=after, limit=PAGE)
        for line_id, line in lines:
            after = line_id
            for stated, figures in figures_of(line):
                sums[stated] = sums.get(stated, NOTHING) + figures
        if len(lines) < PAGE:
            return list(sums.items())
