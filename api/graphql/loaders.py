"""Look-ups that are batched within a request: what a list reaches costs one statement, however long the list."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from strawberry.dataloader import DataLoader

from domain.alerts.alert import Alert
from domain.alerts.preference import Preference
from domain.alerts.preferring import service as preferring
from domain.alerts.raising import service as alerts
from domain.customers import service as customers
from domain.customers.clock import Clock
from domain.customers.customer import Customer
from domain.customers.profiles import service as profiles
from domain.customers.profiles.profile import Profile
from domain.db import Tx
from domain.dunning.reading import service as dunning
from domain.dunning.store import CaseStep
from domain.invoices import service as invoices
from domain.invoices.balances import service as balances
from domain.invoices.billdiff import service as billdiff
from domain.invoices.credit_note import CreditNote, CreditNoteLine
from domain.invoices.crediting import service as crediting
from domain.invoices.documents import service as documents
from domain.invoices.documents.store import Document
from domain.invoices.heading import Heading
from domain.invoices.headings import service as headings
from domain.invoices.invoice import Invoice, Line
from domain.invoices.taxing import service as taxing
from domain.invoices.taxing.statement import TaxStatement
from domain.journal import store as journal
from domain.journal.store import BillingEvent
from domain.kernel.call import Call, Environment
from domain.kernel.ids import (
    CaseId,
    ClockId,
    CreditNoteId,
    CustomerId,
    InvoiceId,
    PlanVersionId,
    SubscriptionId,
    UnappliedPaymentId,
)
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.payments import store as payments
from domain.payments.attempt import Attempt
from domain.payments.dispute import Dispute
from domain.payments.disputing.store import list_disputes_of
from domain.payments.method import PaymentMethod
from domain.payments.methods import service as methods
from domain.payments.pages import store as pages
from domain.payments.receiving import store as receiving
from domain.payments.receiving.receipt import Received
from domain.payments.refund import Refund
from domain.payments.refunding import store as refunding
from domain.payments.transferring import service as transferring
from domain.payments.unapplied.payment import Application, UnappliedCredit
from domain.payments.unapplied.store import list_applications_of, list_credits_of
from domain.plans.plan import Catalogue
from domain.runtime import Runtime
from domain.subscriptions import service as subscriptions
from domain.subscriptions.change import Change
from domain.subscriptions.changes import service as changes
from domain.subscriptions.listing import service as subscription_list
from domain.subscriptions.subscription import Subscription
from domain.subscriptions.upcoming import service as upcoming
from domain.subscriptions.upcoming.scheduled_start import ScheduledStart

K = TypeVar("K")
V = TypeVar("V")
# As many as a page has; lines of so many invoices still fit into one statement's bound.
BATCH_MAX = 100


@dataclass(frozen=True, slots=True)
class PageOf:
    """A page of one customer's rows: those before an id, newest first."""

    customer_id: CustomerId
    before: UUID | None
    limit: int


async def _attempts(
    tx: Tx, keys: Sequence[tuple[CustomerId, InvoiceId]]
) -> Mapping[tuple[CustomerId, InvoiceId], list[Attempt]]:
    found = await payments.list_attempts_of(tx, keys)
    return {key: found[key[1]] for key in keys}


async def _refunds(
    tx: Tx, keys: Sequence[tuple[CustomerId, InvoiceId]]
) -> Mapping[tuple[CustomerId, InvoiceId], list[Refund]]:
    found = await refunding.list_refunds_of(tx, keys)
    return {key: found[key[1]] for key in keys}


async def _received(
    tx: Tx, keys: Sequence[tuple[CustomerId, InvoiceId]]
) -> Mapping[tuple[CustomerId, InvoiceId], list[Received]]:
    found = await receiving.list_received_of(tx, keys)
    return {key: found[key[1]] for key in keys}


async def _steps(
    tx: Tx, keys: Sequence[tuple[CustomerId, CaseId]], scope: CustomerId | None
) -> Mapping[tuple[CustomerId, CaseId], list[CaseStep]]:
    found = await dunning.steps_of_cases(tx, keys, scope=scope)
    return {key: found.get(key[1], []) for key in keys}


class Loaders:
    """One request's loaders. Each batch opens a transaction of its own."""

    def __init__(self, runtime: Runtime, call: Call, *, cache: bool) -> None:
        """Load nothing yet. Of `call` only its rights matter."""
        self._runtime, self._cache = runtime, cache
        scope = call.scope
        self.customers: DataLoader[CustomerId, Customer | None] = self._by_id(
            lambda tx, ids: customers.customers_by_id(tx, ids, scope=scope)
        )
        self.clocks: DataLoader[ClockId, Clock | None] = self._by_id(customers.clocks_by_id)
        self.subscriptions: DataLoader[CustomerId, list[Subscription] | None] = self._by_id(
            lambda tx, ids: subscriptions.subscriptions_of_customers(tx, ids, scope=scope)
        )
        self.starts: DataLoader[CustomerId, list[ScheduledStart] | None] = self._by_id(
            lambda tx, ids: upcoming.starts_of_customers(tx, ids, scope=scope)
        )
        self.pinned: DataLoader[tuple[PlanVersionId, Environment], int | None] = self._by_id(
            lambda tx, keys: subscription_list.count_pinned(tx, call, keys)
        )
        self.changes: DataLoader[SubscriptionId, list[Change] | None] = self._by_id(
            lambda tx, ids: changes.waiting_of(tx, ids, scope=scope)
        )
        self._of_invoices(scope)
        self._of_credit(call)
        self.profiles: DataLoader[CustomerId, Profile | None] = self._by_id(profiles.profiles_by_id)
        self._of_payments()
        self.dunning_steps: DataLoader[tuple[CustomerId, CaseId], list[CaseStep] | None] = self._by_id(
            lambda tx, keys: _steps(tx, keys, scope)
        )
        self.methods: DataLoader[CustomerId, list[PaymentMethod] | None] = self._by_id(
            lambda tx, ids: methods.methods_of_customers(tx, ids, scope=scope)
        )
        self.invoices: DataLoader[PageOf, list[Invoice] | None] = self._by_page(
            lambda tx, ids, before, limit: invoices.invoices_by_customer_ids(
                tx, call, ids, before=InvoiceId(before) if before else None, limit=limit
            )
        )
        self.billing_events: DataLoader[PageOf, list[BillingEvent] | None] = self._by_page(
            lambda tx, ids, before, limit: journal.list_billing_events_of(tx, ids, before=before, limit=limit)
        )
        self.alerts: DataLoader[PageOf, list[Alert] | None] = self._by_page(
            lambda tx, ids, before, limit: alerts.alerts_by_customer_ids(tx, call, ids, before=before, limit=limit)
        )
        self.unread_alerts: DataLoader[PageOf, list[Alert] | None] = self._by_page(
            lambda tx, ids, before, limit: alerts.alerts_by_customer_ids(
                tx, call, ids, before=before, limit=limit, unread_only=True
            )
        )
        self.preferences: DataLoader[CustomerId, Preference | None] = self._by_id(
            lambda tx, ids: preferring.preferences_by_id(tx, ids, scope=scope)
        )

    def _of_payments(self) -> None:
        """Make the loaders of what came for invoices, and of what was transferred."""
        self.attempts: DataLoader[tuple[CustomerId, InvoiceId], list[Attempt] | None] = self._by_id(_attempts)
        self.refunds: DataLoader[tuple[CustomerId, InvoiceId], list[Refund] | None] = self._by_id(_refunds)
        self.disputes: DataLoader[tuple[CustomerId, InvoiceId], list[Dispute] | None] = self._by_id(list_disputes_of)
        self.applications: DataLoader[tuple[CustomerId, UnappliedPaymentId], list[Application] | None] = self._by_id(
            list_applications_of
        )
        self.unapplied_credits: DataLoader[tuple[CustomerId, UnappliedPaymentId], list[UnappliedCredit] | None] = (
            self._by_id(list_credits_of)
        )
        self.received: DataLoader[tuple[CustomerId, InvoiceId], list[Received] | None] = self._by_id(_received)
        self.missing: DataLoader[tuple[CustomerId, InvoiceId], Money | None] = self._by_id(transferring.missing_of)
        self.cash: DataLoader[CustomerId, list[Money] | None] = self._by_id(transferring.balances_of)
        self.payment_pages: DataLoader[tuple[CustomerId, InvoiceId], str | None] = self._by_id(pages.find_pages)

    def _of_invoices(self, scope: CustomerId | None) -> None:
        """Make the loaders of invoices by their ids, and of what belongs to one."""
        self.invoices_by_id: DataLoader[InvoiceId, Invoice | None] = self._by_id(
            lambda tx, ids: invoices.invoices_by_id(tx, ids, scope=scope)
        )
        self.lines: DataLoader[InvoiceId, list[Line] | None] = self._by_id(
            lambda tx, ids: invoices.lines_by_invoice_ids(tx, ids, scope=scope)
        )
        self.previous_invoices: DataLoader[InvoiceId, Invoice | None] = self._by_id(
            lambda tx, ids: billdiff.previous_of_invoices(tx, ids, scope=scope)
        )
        self.taxes: DataLoader[InvoiceId, list[TaxStatement] | None] = self._by_id(
            lambda tx, ids: taxing.statements_by_invoice_ids(tx, ids, scope=scope)
        )
        self.documents: DataLoader[InvoiceId, Document | None] = self._by_id(
            lambda tx, ids: documents.documents_of_invoices(tx, ids, scope=scope)
        )

    def _of_credit(self, call: Call) -> None:
        """Make the loaders of what is given back to customers."""
        scope = call.scope
        self.credit_notes: DataLoader[PageOf, list[CreditNote] | None] = self._by_page(
            lambda tx, ids, before, limit: crediting.notes_by_customer_ids(
                tx, call, ids, before=CreditNoteId(before) if before else None, limit=limit
            )
        )
        self.credit_notes_of_invoices: DataLoader[InvoiceId, list[CreditNote] | None] = self._by_id(
            lambda tx, ids: crediting.notes_by_invoice_ids(tx, ids, scope=scope)
        )
        self.credit_note_lines: DataLoader[CreditNoteId, list[CreditNoteLine] | None] = self._by_id(
            lambda tx, ids: crediting.lines_by_note_ids(tx, ids, scope=scope)
        )
        self.credit_note_documents: DataLoader[CreditNoteId, Document | None] = self._by_id(
            lambda tx, ids: documents.documents_of_credit_notes(tx, ids, scope=scope)
        )
        self.headings: DataLoader[UUID, Heading | None] = self._by_id(headings.headings_by_id)
        self.credit: DataLoader[CustomerId, list[Money] | None] = self._by_id(balances.credit_by_customer_ids)

    async def catalogue(self) -> Catalogue:
        """Return what is sold; the process keeps it while it does not change."""
        return await self._runtime.catalogue()

    def _by_id(self, load: Callable[[Tx, Sequence[K]], Awaitable[Mapping[K, V]]]) -> DataLoader[K, V | None]:
        async def batch(keys: list[K]) -> list[V | None]:
            async with self._runtime.db.transaction() as tx:
                found = await load(tx, keys)
            return [found.get(key) for key in keys]

        return DataLoader(load_fn=batch, max_batch_size=BATCH_MAX, cache=self._cache)

    def _by_page(
        self, load: Callable[[Tx, Sequence[CustomerId], UUID | None, int], Awaitable[Mapping[CustomerId, V]]]
    ) -> DataLoader[PageOf, V | None]:
        """Make a loader of pages: one statement for each place and length that a document asks for."""

        async def batch(keys: list[PageOf]) -> list[V | None]:
            found: dict[PageOf, V] = {}
            async with self._runtime.db.transaction() as tx:
                for before, limit in dict.fromkeys((key.before, key.limit) for key in keys):
                    ids = [key.customer_id for key in keys if (key.before, key.limit) == (before, limit)]
                    rows = await load(tx, ids, before, limit)
                    found |= {PageOf(customer_id, before, limit): each for customer_id, each in rows.items()}
            return [found.get(key) for key in keys]

        return DataLoader(load_fn=batch, max_batch_size=BATCH_MAX, cache=self._cache)
