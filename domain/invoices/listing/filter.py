"""What is looked for among the invoices and credit notes of all customers."""

from collections.abc import Iterator

from domain.customers.customer import CollectionMethod
from domain.invoices.credit_note import CreditKind, CreditReason
from domain.invoices.invoice import InvoiceKind, State
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, InvoiceId
from domain.kernel.money import Money, exponent
from domain.kernel.period import OPEN_RANGE, Range
from domain.kernel.values import dataclass

# A number is some twenty characters long; longer text names none.
NUMBER_LENGTH_MAX = 100


@dataclass(eq=False)
class FilterRefused(DomainError):
    """This cannot be looked for: {fault}."""

    code = "filter_refused"
    kind = Kind.INVALID
    fault: str


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    """Invoices for which all of this holds; what is None, or empty, excludes nothing.

    `number` is the whole number. `product` is the key of one of whose subscriptions there is a line. `issued`, `due`
    and `paid` are ranges of business time: what has not come to that is in none of them. `at_least` and `at_most` are
    totals, both ends inside, of the invoices in their currency.
    """

    environment: Environment | None = None
    customer_id: CustomerId | None = None
    number: str | None = None
    kind: InvoiceKind | None = None
    states: frozenset[State] = frozenset()
    currency: str | None = None
    product: str | None = None
    collection: CollectionMethod | None = None
    issued: Range = OPEN_RANGE
    due: Range = OPEN_RANGE
    paid: Range = OPEN_RANGE
    at_least: Money | None = None
    at_most: Money | None = None


@dataclass(frozen=True, slots=True)
class CreditNoteFilter:
    """Credit notes for which all of this holds; what is None excludes nothing. As in `InvoiceFilter`."""

    environment: Environment | None = None
    customer_id: CustomerId | None = None
    invoice_id: InvoiceId | None = None
    number: str | None = None
    kind: CreditKind | None = None
    reason: CreditReason | None = None
    currency: str | None = None
    issued: Range = OPEN_RANGE


def _faults_of_range(name: str, wanted: Range) -> Iterator[str]:
    if wanted.is_backwards:
        yield f"{name} ends before it begins"


def _faults_of_number(number: str | None) -> Iterator[str]:
    if number is not None and not (1 <= len(number) <= NUMBER_LENGTH_MAX and number.isprintable()):
        yield f"a number has 1 to {NUMBER_LENGTH_MAX} printable characters"


def _faults_of_amounts(wanted: InvoiceFilter) -> Iterator[str]:
    bounds = [each for each in (wanted.at_least, wanted.at_most) if each is not None]
    currencies = {each.currency for each in bounds} | ({wanted.currency} if wanted.currency else set())
    if len(currencies) > 1:
        yield "its amounts are in different currencies"
    elif len(bounds) == 2 and bounds[0].minor > bounds[1].minor:
        yield "the least total is above the highest"


def check_invoices(wanted: InvoiceFilter) -> None:
    """Refuse what no invoice can be. Raises FilterRefused, CurrencyUnknown."""
    if wanted.currency is not None:
        exponent(wanted.currency)
    _refuse(
        _faults_of_number(wanted.number),
        _faults_of_range("issued", wanted.issued),
        _faults_of_range("due", wanted.due),
        _faults_of_range("paid", wanted.paid),
        _faults_of_amounts(wanted),
    )


def check_notes(wanted: CreditNoteFilter) -> None:
    """Refuse what no credit note can be. Raises FilterRefused, CurrencyUnknown."""
    if wanted.currency is not None:
        exponent(wanted.currency)
    _refuse(_faults_of_number(wanted.number), _faults_of_range("issued", wanted.issued))


def _refuse(*faults: Iterator[str]) -> None:
    for each in faults:
        for fault in each:
            raise FilterRefused(fault)
