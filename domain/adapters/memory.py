"""Outside parties in memory, for tests: a payment gateway that keeps the port's promises, and a mailer.

The gateway's methods behave by the name of the token they were attached from, as Stripe's test tokens do.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from domain.adapters.memory_copies import DECLINES, Copy
from domain.adapters.memory_desk import MemoryDesk
from domain.adapters.memory_listing import MemoryListing
from domain.adapters.memory_refunds import MemoryRefunds
from domain.adapters.memory_transfers import MemoryTransfers
from domain.alerts.port import MailPolicy, OutgoingMail
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError
from domain.kernel.ids import CreditNoteId, CustomerId, InvoiceId
from domain.payments.declines import classify
from domain.payments.listed import GatewayDispute
from domain.payments.port import (
    GatewayEnvironmentDiffers,
    GatewayEvent,
    GatewayInvoice,
    GatewayInvoiceState,
    GatewayMethod,
    GatewayRefused,
    GatewaySubscription,
    GatewayUnavailable,
    PayOutcome,
    PayState,
    PushedCredit,
    PushedInvoice,
    PushedLine,
)

Result = TypeVar("Result")
When = Literal["before", "after"]

_CONFIRMED_BY_CUSTOMER = "pm_card_authenticationRequired"


class MemoryGateway:
    """A gateway whose replies can be lost: `lose("pay", "after")` acts and then raises GatewayUnavailable."""

    def __init__(self, environment: Environment = Environment.TEST) -> None:
        """Know nobody yet.

        For tests: `skew_minor` is added to every total, `refusals` are raised by operations of that name, and
        `before_pay` is called with the invoice's id once, just before the next charge.
        """
        self._environment = environment
        self._lock = asyncio.Lock()
        self._replies: dict[str, tuple[Any, Any]] = {}
        self._faults: list[tuple[str, When]] = []
        self.tokens: dict[str, str] = {}
        self._made = 0
        self.methods: dict[str, GatewayMethod] = {}
        self.copies: dict[str, Copy] = {}
        self.customers: dict[str, CustomerId] = {}
        self.subscriptions: dict[str, GatewaySubscription] = {}
        self.events: list[GatewayEvent] = []
        self.charges: list[tuple[str, int]] = []
        self.skew_minor = 0
        self.refusals: dict[str, GatewayRefused] = {}
        self.before_pay: Callable[[str], None] | None = None
        self.listing = MemoryListing(self)
        self.desk = MemoryDesk(self)
        self.refunds = MemoryRefunds(self)
        self.transfers = MemoryTransfers(self)

    @property
    def environment(self) -> Environment:
        """The kind of customers it collects from."""
        return self._environment

    def lose(self, operation: str, when: When, times: int = 1) -> None:
        """Order failures of the next calls of an operation, before or after it acts."""
        self._faults += [(operation, when)] * times

    async def ensure_customer(self, customer_id: CustomerId, environment: Environment, *, key: str) -> str:
        """Make a customer."""
        self._check(environment)

        def act() -> str:
            made = self.new_id("cus")
            self.customers[made] = customer_id
            return made

        return await self.write("ensure_customer", key, customer_id, act)

    async def delete_customer(self, gateway_customer_id: str, *, key: str) -> None:
        """Delete a customer, and detach its methods."""

        def act() -> None:
            self.customers.pop(gateway_customer_id, None)
            for method in [each for each in self.methods.values() if each.gateway_customer_id == gateway_customer_id]:
                self.methods[method.id] = dataclasses.replace(method, gateway_customer_id=None)

        await self.write("delete_customer", key, gateway_customer_id, act)

    async def attach_method(self, gateway_customer_id: str, gateway_method_id: str, *, key: str) -> GatewayMethod:
        """Attach a method; a test token becomes a new one first."""
        known = self.methods.get(gateway_method_id)
        if known is not None and known.gateway_customer_id == gateway_customer_id:
            return known

        def act() -> GatewayMethod:
            if known is not None:
                raise GatewayRefused("payment_method_unexpected_state")
            kind = "us_bank_account" if gateway_method_id.startswith("pm_usBank") else "card"
            is_card = kind == "card"
            method = GatewayMethod(
                id=self.new_id("pm"),
                kind=kind,
                brand="visa" if is_card else "STRIPE TEST BANK",
                last4="4242" if is_card else "6789",
                exp_month=12 if is_card else None,
                exp_year=2030 if is_card else None,
                fingerprint=gateway_method_id,
                gateway_customer_id=gateway_customer_id,
            )
            self.methods[method.id], self.tokens[method.id] = method, gateway_method_id
            return method

        return await self.write("attach_method", key, (gateway_customer_id, gateway_method_id), act)

    def detach(self, gateway_method_id: str) -> None:
        """Detach a method, as its owner does in the gateway's own pages."""
        self.methods[gateway_method_id] = dataclasses.replace(self.methods[gateway_method_id], gateway_customer_id=None)

    async def create_invoice(self, pushed: PushedInvoice, *, key: str) -> str:
        """Make an empty draft; its number may be taken once."""
        self._check(pushed.environment)

        def act() -> str:
            if any(copy.pushed.number == pushed.number for copy in self.copies.values()):
                raise GatewayRefused("number_taken")
            copy = Copy(self.new_id("in"), pushed)
            self.copies[copy.id] = copy
            return copy.id

        return await self.write("create_invoice", key, pushed.invoice_id, act)

    async def add_lines(self, gateway_invoice_id: str, lines: Sequence[PushedLine], *, key: str) -> None:
        """Add lines to a draft."""

        def act() -> None:
            self._draft(gateway_invoice_id).lines.extend(lines)

        await self.write("add_lines", key, (gateway_invoice_id, tuple(lines)), act)

    async def finalise_invoice(self, gateway_invoice_id: str, *, key: str) -> GatewayInvoice:
        """Open a draft."""

        def act() -> GatewayInvoice:
            copy = self._draft(gateway_invoice_id)
            copy.state = GatewayInvoiceState.OPEN
            self.transfers.reconcile(copy.pushed.gateway_customer_id)
            return self._seen(copy)

        return await self.write("finalise_invoice", key, gateway_invoice_id, act)

    async def delete_draft(self, gateway_invoice_id: str) -> None:
        """Delete a draft."""
        self._fail("delete_draft", "before")
        if gateway_invoice_id in self.copies:
            self._draft(gateway_invoice_id)
            del self.copies[gateway_invoice_id]

    async def credit_invoice(self, gateway_invoice_id: str, credit: PushedCredit, *, key: str) -> None:
        """Lower what is due on an open invoice; all of it makes it paid."""

        def act() -> None:
            copy = self.copies[gateway_invoice_id]
            left = self._total(copy) - sum(copy.credits.values())
            if copy.state is not GatewayInvoiceState.OPEN or credit.amount_minor > left:
                raise GatewayRefused("invoice_not_creditable")
            copy.credits[credit.note_id] = credit.amount_minor
            if credit.amount_minor == left:
                copy.state = GatewayInvoiceState.PAID

        await self.write("credit_invoice", key, (gateway_invoice_id, credit), act)

    async def list_credits(self, gateway_invoice_id: str) -> frozenset[CreditNoteId]:
        """Return which notes were taken off."""
        await self.read("list_credits")
        return frozenset(self.copies[gateway_invoice_id].credits)

    async def void_invoice(self, gateway_invoice_id: str, *, key: str) -> None:
        """Take an invoice back."""
        await self._end("void_invoice", key, gateway_invoice_id, GatewayInvoiceState.VOID)

    async def write_off_invoice(self, gateway_invoice_id: str, *, key: str) -> None:
        """Give an invoice up."""
        await self._end("write_off_invoice", key, gateway_invoice_id, GatewayInvoiceState.UNCOLLECTIBLE)

    async def mark_paid_outside(self, gateway_invoice_id: str, *, key: str) -> None:
        """Mark an invoice paid by money that came another way."""
        await self._end("mark_paid_outside", key, gateway_invoice_id, GatewayInvoiceState.PAID)

    async def _end(self, operation: str, key: str, gateway_invoice_id: str, state: GatewayInvoiceState) -> None:
        def act() -> None:
            copy = self.copies[gateway_invoice_id]
            if copy.state not in {GatewayInvoiceState.OPEN, GatewayInvoiceState.UNCOLLECTIBLE}:
                raise GatewayRefused("invoice_not_open")
            copy.state = state

        await self.write(operation, key, gateway_invoice_id, act)

    async def pay(self, gateway_invoice_id: str, gateway_method_id: str, *, key: str) -> PayOutcome:
        """Charge an open invoice; a bank debit stays processing until `settle`."""

        def act() -> PayOutcome:
            copy = self.copies[gateway_invoice_id]
            if self.before_pay is not None:
                step, self.before_pay = self.before_pay, None
                step(gateway_invoice_id)
            is_processing = copy.outcome is not None and copy.outcome.state is PayState.PROCESSING
            if copy.state is not GatewayInvoiceState.OPEN or is_processing:
                raise GatewayRefused("invoice_not_payable")
            copy.token = self.tokens[gateway_method_id]
            copy.outcome = self._attempt(copy)
            return copy.outcome

        return await self.write("pay", key, (gateway_invoice_id, gateway_method_id), act)

    def settle(self, gateway_invoice_id: str, *, succeeds: bool) -> None:
        """End a payment that is processing or waits for its customer."""
        copy = self.copies[gateway_invoice_id]
        reason = DECLINES.get(copy.token, ("insufficient_funds", None))
        copy.outcome = self.charged(copy) if succeeds else self._declined(*reason)

    def pay_outside(self, gateway_invoice_id: str) -> None:
        """Mark an invoice paid by money that came another way."""
        self.charged(self.copies[gateway_invoice_id])

    async def fetch_invoice(self, gateway_invoice_id: str) -> GatewayInvoice | None:
        """Return an invoice as it is."""
        await self.read("fetch_invoice")
        copy = self.copies.get(gateway_invoice_id)
        return self._seen(copy) if copy else None

    async def find_draft(self, gateway_customer_id: str, invoice_id: InvoiceId) -> GatewayInvoice | None:
        """Return a draft by our invoice's id."""
        await self.read("find_draft")
        drafts = [
            self._seen(copy)
            for copy in self.copies.values()
            if copy.state is GatewayInvoiceState.DRAFT and copy.pushed.gateway_customer_id == gateway_customer_id
        ]
        return next((draft for draft in drafts if draft.invoice_id == invoice_id), None)

    async def fetch_method(self, gateway_method_id: str) -> GatewayMethod | None:
        """Return a method as it is."""
        await self.read("fetch_method")
        return self.methods.get(gateway_method_id)

    async def fetch_subscription(self, gateway_subscription_id: str) -> GatewaySubscription | None:
        """Return a subscription that a test has put there."""
        await self.read("fetch_subscription")
        return self.subscriptions.get(gateway_subscription_id)

    async def fetch_dispute(self, gateway_dispute_id: str) -> GatewayDispute | None:
        """Return a dispute as it is."""
        await self.read("fetch_dispute")
        return self.listing.disputes.get(gateway_dispute_id)

    async def pending_deliveries(self) -> int | None:
        """Return None: it delivers nothing by itself."""
        return None

    async def close(self) -> None:
        """Forget nothing: tests look at it afterwards."""

    async def write(self, operation: str, key: str, given: object, act: Callable[[], Result]) -> Result:
        """Act once for a key; the same key with other input is refused. A refusal is not kept, a decline is."""
        async with self._lock:
            await asyncio.sleep(0)
            self._fail(operation, "before")
            if operation in self.refusals:
                raise self.refusals[operation]
            if key in self._replies and self._replies[key][0] != given:
                raise GatewayRefused("idempotency_error")
            if key not in self._replies:
                self._replies[key] = (given, act())
            self._fail(operation, "after")
            result: Result = self._replies[key][1]
            return result

    async def read(self, operation: str) -> None:
        """Look, unless the look is to be lost."""
        await asyncio.sleep(0)
        self._fail(operation, "before")

    def _fail(self, operation: str, when: When) -> None:
        if (operation, when) in self._faults:
            self._faults.remove((operation, when))
            raise GatewayUnavailable(f"lost {when} {operation}")

    def _attempt(self, copy: Copy) -> PayOutcome:
        if copy.token in DECLINES and not copy.token.startswith("pm_usBank"):
            return self._declined(*DECLINES[copy.token])
        if copy.token == _CONFIRMED_BY_CUSTOMER:
            decline = classify("authentication_required", decline_code="authentication_required")
            return PayOutcome(PayState.ACTION_REQUIRED, decline, self.new_id("pi"))
        if copy.token.startswith("pm_usBank"):
            return PayOutcome(PayState.PROCESSING, gateway_payment_id=self.new_id("pi"))
        return self.charged(copy)

    def charged(self, copy: Copy) -> PayOutcome:
        """Take all that is due on a copy."""
        copy.state = GatewayInvoiceState.PAID
        copy.paid_minor = self.due_of(copy)
        self.charges.append((copy.id, copy.paid_minor))
        copy.outcome = PayOutcome(PayState.PAID, gateway_payment_id=self.new_id("pi"))
        return copy.outcome

    def _declined(self, code: str, decline_code: str | None) -> PayOutcome:
        return PayOutcome(PayState.DECLINED, classify(code, decline_code=decline_code), self.new_id("pi"))

    def _seen(self, copy: Copy) -> GatewayInvoice:
        total = self._total(copy)
        return GatewayInvoice(
            id=copy.id,
            state=copy.state,
            currency=copy.pushed.currency,
            total_minor=total,
            tax_minor=sum(line.tax_minor for line in copy.lines),
            remaining_minor=0 if copy.state is GatewayInvoiceState.PAID else self.due_of(copy),
            outcome=copy.outcome,
            gateway_customer_id=copy.pushed.gateway_customer_id,
            customer_id=copy.pushed.customer_id,
            invoice_id=copy.pushed.invoice_id,
            hosted_url=f"https://pay.example.com/{copy.id}" if copy.state is GatewayInvoiceState.OPEN else None,
            paid_minor=copy.paid_minor,
        )

    def due_of(self, copy: Copy) -> int:
        """Return what is due on a copy as long as it is open: its total less credit notes."""
        return self._total(copy) - sum(copy.credits.values())

    def _total(self, copy: Copy) -> int:
        return sum(line.amount_minor + line.tax_minor for line in copy.lines) + self.skew_minor

    def _draft(self, gateway_invoice_id: str) -> Copy:
        copy = self.copies.get(gateway_invoice_id)
        if copy is None or copy.state is not GatewayInvoiceState.DRAFT:
            raise GatewayRefused("invoice_not_editable")
        return copy

    def _check(self, environment: Environment) -> None:
        if environment is not self._environment:
            raise GatewayEnvironmentDiffers(environment)

    def paid_by(self, gateway_payment_id: str) -> int:
        """Return what a payment brought, in minor units."""
        copies = [copy for copy in self.copies.values() if copy.outcome is not None]
        return sum(
            copy.paid_minor for copy in copies if copy.outcome and copy.outcome.gateway_payment_id == gateway_payment_id
        )

    def new_id(self, prefix: str) -> str:
        """Make an id."""
        self._made += 1
        return f"{prefix}_memory{self._made}"


class MemoryMailer:
    """Keeps what it is given; `failures` are raised first, one a mail."""

    def __init__(self, policy: MailPolicy) -> None:
        """Start with an empty box."""
        self._policy = policy
        self.sent: list[OutgoingMail] = []
        self.failures: list[DomainError] = []

    @property
    def policy(self) -> MailPolicy:
        """Who mail is from, and who may get it."""
        return self._policy

    async def send(self, mail: OutgoingMail) -> None:
        """Keep a mail, or fail as ordered."""
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(mail)
