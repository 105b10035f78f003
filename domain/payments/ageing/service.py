"""Say what customers owe, by age."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.service import CustomerNotFound, EnvironmentRefused
from domain.db import Tx
from domain.kernel.call import Call, Environment, Forbidden
from domain.kernel.ids import CustomerId, InvoiceId
from domain.kernel.money import Money
from domain.payments.ageing import store
from domain.payments.ageing.age import Owed, Receivables, add_up

# Customers whose books are read at once.
PAGE = 200


async def receivables(
    tx: Tx, call: Call, environment: Environment, before: datetime, *, customer_id: CustomerId | None = None
) -> list[Receivables]:
    """Say what customers of an environment owed just before an instant of business time, by currency and age.

    All of them, or one (`customer_id`). The totals are the balance of the ledger's receivables at that instant. For
    staff. It reads all entries about them, so a snapshot is to be taken. Raises Forbidden, EnvironmentRefused,
    CustomerNotFound, also for a customer of the other environment.
    """
    call.need(Permission.LEDGER_READ)
    if call.scope is not None:
        raise Forbidden(Permission.LEDGER_READ)
    if call.principal.environment not in {None, environment}:
        raise EnvironmentRefused(str(call.principal.environment))
    if customer_id is not None:
        if (await customers.load_customer(tx, call, customer_id)).environment is not environment:
            raise CustomerNotFound
        return add_up(await _owed(tx, [customer_id], before), before)
    owed: list[Owed] = []
    after = None
    while True:
        page = await store.list_customers(tx, environment, after=after, limit=PAGE)
        if page:
            after = page[-1]
            owed += await _owed(tx, page, before)
        if len(page) < PAGE:
            return add_up(owed, before)


async def _owed(tx: Tx, page: Sequence[CustomerId], before: datetime) -> list[Owed]:
    """Bring what some customers' entries come to together by invoice; what is settled is left out."""
    causes = await store.sum_by_cause(tx, page, before)
    invoices = await store.invoices_of(tx, [cause for cause, _ in causes])
    sums: dict[tuple[CustomerId, InvoiceId, str], int] = defaultdict(int)
    for cause, amount in causes:
        sums[cause.customer_id, invoices[cause], amount.currency] += amount.minor
    open_ones = {key: minor for key, minor in sums.items() if minor}
    due = await store.due_dates(tx, {key[:2] for key in open_ones})
    return [
        Owed(customer_id, invoice_id, due[customer_id, invoice_id], Money(minor, currency))
        for (customer_id, invoice_id, currency), minor in open_ones.items()
    ]
