"""List invoices and credit notes of all customers that the caller may see, and add them up."""

from collections.abc import Sequence

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.store import Sight
from domain.db import Tx
from domain.invoices.credit_note import CreditNote
from domain.invoices.invoice import Invoice
from domain.invoices.listing import filter as rules
from domain.invoices.listing import store
from domain.invoices.listing.filter import CreditNoteFilter, InvoiceFilter
from domain.invoices.listing.store import Place
from domain.invoices.listing.totals import InvoiceSum, NoteSum
from domain.kernel.call import Call, Environment
from domain.kernel.ids import CreditNoteId, CustomerId, InvoiceId
from domain.kernel.period import Period
from domain.plans import service as plans

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101
EXPORT_PAGE = 1_000


async def list_invoices(
    tx: Tx, call: Call, wanted: InvoiceFilter, *, before: InvoiceId | None = None, limit: int = PAGE_MAX
) -> Sequence[Invoice]:
    """Return invoices and statements, those drafted last first, at most PAGE_MAX; `before` is the last one seen.

    Raises Forbidden, FilterRefused, CurrencyUnknown, CustomerNotFound, ProductNotFound.
    """
    place = await _check_invoices(tx, call, wanted)
    return await store.list_invoices(tx, wanted, place, before=before, limit=min(limit, PAGE_MAX))


async def sum_invoices(tx: Tx, call: Call, wanted: InvoiceFilter) -> Sequence[InvoiceSum]:
    """Add invoices up, by environment, currency and state: reads all of them.

    Raises what `list_invoices` does.
    """
    return await store.sum_invoices(tx, wanted, await _check_invoices(tx, call, wanted))


async def list_notes(
    tx: Tx, call: Call, wanted: CreditNoteFilter, *, before: CreditNoteId | None = None, limit: int = PAGE_MAX
) -> Sequence[CreditNote]:
    """Return credit notes, the last ones first, at most PAGE_MAX; `before` is the last one seen.

    Raises Forbidden, FilterRefused, CurrencyUnknown, CustomerNotFound.
    """
    sight = await _check_notes(tx, call, wanted)
    return await store.list_notes(tx, wanted, sight=sight, before=before, limit=min(limit, PAGE_MAX))


async def sum_notes(tx: Tx, call: Call, wanted: CreditNoteFilter) -> Sequence[NoteSum]:
    """Add credit notes up, by environment, currency and kind: reads all of them.

    Raises what `list_notes` does.
    """
    sight = await _check_notes(tx, call, wanted)
    return await store.sum_notes(tx, wanted, sight=sight)


async def customers_of(tx: Tx, call: Call, number: str) -> Sequence[CustomerId]:
    """Return whose invoice or credit note has this number, live and test, the last ones first.

    Whether the caller may see them is for whoever loads them. Raises Forbidden, FilterRefused.
    """
    call.need(Permission.INVOICE_READ)
    rules.check_invoices(InvoiceFilter(number=number))
    return await store.list_customers_of(tx, number, limit=PAGE_MAX)


async def list_issued(
    tx: Tx, environment: Environment, period: Period, *, after: str | None = None
) -> Sequence[Invoice]:
    """Return the next EXPORT_PAGE invoices that were issued in a period of business time, by number, for an export.

    Void ones are among them, statements and drafts are not. `after` is the number of the last one seen.
    """
    return await store.list_issued(tx, environment, period, after=after, limit=EXPORT_PAGE)


async def list_issued_notes(
    tx: Tx, environment: Environment, period: Period, *, after: str | None = None
) -> Sequence[CreditNote]:
    """Return the next EXPORT_PAGE credit notes that were issued in a period, likewise."""
    return await store.list_issued_notes(tx, environment, period, after=after, limit=EXPORT_PAGE)


async def _check_invoices(tx: Tx, call: Call, wanted: InvoiceFilter) -> Place:
    call.need(Permission.INVOICE_READ)
    rules.check_invoices(wanted)
    key = wanted.product
    product_id = (await plans.load_catalogue(tx)).product(key).id if key is not None else None
    return Place(await _sight(tx, call, wanted.customer_id), product_id)


async def _check_notes(tx: Tx, call: Call, wanted: CreditNoteFilter) -> Sight:
    call.need(Permission.INVOICE_READ)
    rules.check_notes(wanted)
    return await _sight(tx, call, wanted.customer_id)


async def _sight(tx: Tx, call: Call, customer_id: CustomerId | None) -> Sight:
    """Return what the caller may see; a customer that is named has to be in it. Raises CustomerNotFound."""
    if customer_id is not None:
        await customers.load_customer(tx, call, customer_id)
    return Sight(call.scope, call.principal.environment)
