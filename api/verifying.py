"""`tollgate verify invoice`: recompute an invoice from its stored events, and say where it differs."""

from collections.abc import Iterator, Mapping

from api.seed import operator
from domain.config import Settings
from domain.invoices.invoice import InvoiceNotFound
from domain.invoices.verification import Difference, LineCheck, Verification
from domain.invoices.verifying import service
from domain.kernel.ids import PREFIXES, InvoiceId, decode

_OUTCOME_WIDTH = 9


async def verify_invoice(settings: Settings, number_or_id: str) -> Verification:
    """Verify the invoice with a number such as 2026-000001, or an id. Raises InvoiceNotFound, IdMalformed."""
    async with operator(settings) as (tx, call):
        if number_or_id.startswith(f"{PREFIXES['invoice']}_"):
            invoice_id: InvoiceId | None = InvoiceId(decode("invoice", number_or_id))
        else:
            invoice_id = await service.find_by_number(tx, call, number_or_id)
        if invoice_id is None:
            raise InvoiceNotFound
        return await service.verify_invoice(tx, call, invoice_id)


def report(found: Verification) -> Iterator[str]:
    """Write what was found: a line for each line of the invoice, with what differs below it, and the end result."""
    for check in found.lines:
        yield f"{check.outcome:<{_OUTCOME_WIDTH}}  {_line(check)}"
        yield from _differences(check.differences)
    for total in found.totals:
        yield f"{'different':<{_OUTCOME_WIDTH}}  total of {total.meter}{_dimensions(total.dimensions)}"
        yield from _differences(total.differences)
    if found.sums:
        yield f"{'different':<{_OUTCOME_WIDTH}}  sums of the invoice"
        yield from _differences(found.sums)
    name = found.invoice.number or "the draft or statement"
    yield f"{name}: {found.outcome}, {len(found.lines)} lines, {found.events} events recounted"


def _line(check: LineCheck) -> str:
    line = check.line
    later = ", together with its later adjustments" if check.with_later else ""
    return f"{line.amount.major} {line.amount.currency}  {_printable(line.description)}{later}"


def _dimensions(dimensions: Mapping[str, str]) -> str:
    named = ", ".join(f"{name} {_printable(value)}" for name, value in sorted(dimensions.items()))
    return f" ({named})" if named else ""


def _printable(text: str) -> str:
    """Leave out what a terminal would act on: values of dimensions come from outside."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _differences(differences: tuple[Difference, ...]) -> Iterator[str]:
    for each in differences:
        stored, recomputed = _printable(each.stored), _printable(each.recomputed)
        yield f"{'':<{_OUTCOME_WIDTH}}  {each.field}: stored {stored}, recomputed {recomputed}"
