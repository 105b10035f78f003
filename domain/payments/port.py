"""The payment gateway as the domain sees it: values of our own, one Protocol, two errors.

Every write takes an idempotency key: repeated with the same key and input within KEY_HOURS_MAX, it acts once and gives
the same answer, whatever became of the first reply.
"""

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CreditNoteId, CustomerId, InvoiceId, RefundId
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.payments.declines import Decline
from domain.payments.desks.port import CustomerDesk, TransferDesk
from domain.payments.listed import GatewayDispute, GatewayHolder, GatewayPayment, GatewayRefund, Page
from domain.payments.refund import Refund
from domain.payments.setup import GatewayMandate, GatewaySetup, SetupWay

# The gateway may forget a key after 24 hours, and would then act again.
KEY_HOURS_MAX = 23
LINES_MAX = 250


@dataclass(eq=False)
class GatewayUnavailable(DomainError):
    """The payment provider gave no clear answer ({reason}). It is asked again in a moment."""

    code = "gateway_unavailable"
    kind = Kind.UNAVAILABLE
    reason: str


@dataclass(eq=False)
class GatewayRefused(DomainError):
    """The payment provider refused this ({reason}). Check what was sent, or use another payment method."""

    code = "gateway_refused"
    kind = Kind.PAYMENT_FAILED
    reason: str


@dataclass(eq=False)
class GatewayListTooLong(DomainError):
    """The payment provider lists more than {entries_max} {what}, too many to look through. Nothing was done."""

    code = "gateway_list_too_long"
    kind = Kind.CONFLICT
    what: str
    entries_max: int


@dataclass(eq=False)
class GatewayEnvironmentDiffers(DomainError):
    """A {environment} customer is collected only with a {environment} key of the payment provider."""

    code = "gateway_environment_differs"
    kind = Kind.CONFLICT
    environment: str


@dataclass(eq=False)
class GatewayIdMalformed(DomainError):
    """That is not an id of a payment method of the payment provider: one looks like pm_ followed by letters."""

    code = "gateway_id_malformed"
    kind = Kind.INVALID


@dataclass(frozen=True, slots=True)
class PushedLine:
    """One line of a gateway invoice after discounts and before its tax; negative is a credit."""

    description: str
    amount_minor: int
    tax_minor: int = 0
    period: Period | None = None


@dataclass(frozen=True, slots=True)
class PushedInvoice:
    """What the gateway is to collect: our number, our lines, our total.

    `days_until_due` marks one that its customer pays without being charged, by then; None: it is charged.
    """

    customer_id: CustomerId
    invoice_id: InvoiceId
    environment: Environment
    gateway_customer_id: str
    number: str
    currency: str
    total_minor: int
    tax_minor: int
    lines: tuple[PushedLine, ...]
    days_until_due: int | None = None


class PayState(StrEnum):
    """What is known about a payment."""

    PAID = "paid"
    PROCESSING = "processing"
    ACTION_REQUIRED = "action_required"
    DECLINED = "declined"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PayOutcome:
    """What became of a payment. Unknown is not declined: it may have gone through."""

    state: PayState
    decline: Decline | None = None
    gateway_payment_id: str | None = None

    def __post_init__(self) -> None:
        assert self.state is not PayState.DECLINED or self.decline is not None, "a decline says why"


class GatewayInvoiceState(StrEnum):
    """The gateway's own states of an invoice."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


@dataclass(frozen=True, slots=True)
class GatewayInvoice:
    """An invoice as the gateway has it now.

    `outcome` is the state of its payment, None where none was tried; `paid_minor` is what came through the gateway.
    `invoice_id` is ours, from the metadata: None marks an invoice that we did not make, `gateway_subscription_id` one
    of a subscription billed by the gateway. `hosted_url` is its page on which the customer can pay an open one.
    """

    id: str
    state: GatewayInvoiceState
    currency: str
    total_minor: int
    tax_minor: int
    remaining_minor: int
    outcome: PayOutcome | None
    gateway_customer_id: str | None
    customer_id: CustomerId | None
    invoice_id: InvoiceId | None
    gateway_subscription_id: str | None = None
    hosted_url: str | None = None
    paid_minor: int = 0


@dataclass(frozen=True, slots=True)
class PushedCredit:
    """What a credit note of ours takes off an open invoice of the gateway, tax included."""

    note_id: CreditNoteId
    amount_minor: int


@dataclass(frozen=True, slots=True)
class GatewayMethod:
    """A payment method as the gateway has it now. Without a gateway customer it is not attached.

    `blocked` is the gateway's word for why a bank account cannot be debited any more.
    """

    id: str
    kind: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    fingerprint: str | None
    gateway_customer_id: str | None
    blocked: str | None = None


@dataclass(frozen=True, slots=True)
class GatewaySubscription:
    """A subscription that the gateway bills.

    `plan` is "product:plan:interval", from the subscription's metadata or the lookup key of its only price.
    """

    id: str
    status: str
    gateway_customer_id: str
    customer_id: CustomerId | None
    plan: str | None
    currency: str
    started_at: datetime
    anchor_at: datetime
    period: Period | None
    cancel_at: datetime | None
    canceled_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """News from the gateway: only a hint which object to fetch. `object_id` is empty where the object has none."""

    id: str
    type: str
    api_version: str | None
    created_at: datetime
    environment: Environment
    object_kind: str
    object_id: str
    payload: bytes = field(repr=False)


class MethodDesk(Protocol):
    """Every call may raise GatewayUnavailable (it may have acted) or GatewayRefused (it has not)."""

    async def start_setup(self, gateway_customer_id: str, way: SetupWay, *, key: str) -> GatewaySetup:
        """Begin to save a method that can be charged while the customer is away."""
        ...

    async def fetch_setup(self, gateway_setup_id: str) -> GatewaySetup | None:
        """Return it as it is now, or None."""
        ...

    async def verify_deposits(
        self, gateway_setup_id: str, *, amounts: tuple[int, int] | None, code: str | None, key: str
    ) -> GatewaySetup:
        """Tell which deposits came, in minor units, or the code on them. A wrong answer is refused."""
        ...

    async def detach_method(self, gateway_method_id: str, *, key: str) -> None:
        """Detach a method for good; nothing happens where it is detached."""
        ...

    async def fetch_mandate(self, gateway_mandate_id: str) -> GatewayMandate | None:
        """Return a mandate as it is now, or None."""
        ...


class RefundDesk(Protocol):
    """Every call may raise GatewayUnavailable (it may have acted) or GatewayRefused (it has not)."""

    async def create_refund(self, refund: Refund, *, key: str) -> GatewayRefund:
        """Pay back a part of a payment, or all that is left of it; more than that is refused."""
        ...

    async def fetch_refund(self, gateway_refund_id: str) -> GatewayRefund | None:
        """Return the refund as it is now, or None."""
        ...

    async def find_refund(self, gateway_payment_id: str, refund_id: RefundId) -> GatewayRefund | None:
        """Return the refund of a payment that was made for one of ours whose id was lost, or None."""
        ...


class PaymentGateway(CustomerDesk, Protocol):
    """Collects money. Every call may raise GatewayUnavailable (it may have acted) or GatewayRefused (it has not)."""

    @property
    def environment(self) -> Environment:
        """Whether its key moves real money (live) or not (test). It refuses customers of the other kind."""
        ...

    @property
    def desk(self) -> MethodDesk:
        """What it does about payment methods."""
        ...

    @property
    def refunds(self) -> RefundDesk:
        """What it does about refunds."""
        ...

    async def fetch_dispute(self, gateway_dispute_id: str) -> GatewayDispute | None:
        """Return a dispute as it is now, or None. It is answered on the gateway's own pages."""
        ...

    @property
    def transfers(self) -> TransferDesk:
        """What it does about bank transfers."""
        ...

    async def ensure_customer(self, customer_id: CustomerId, environment: Environment, *, key: str) -> str:
        """Make the gateway's customer and return its id. Nothing personal is sent: ids suffice."""
        ...

    async def attach_method(self, gateway_customer_id: str, gateway_method_id: str, *, key: str) -> GatewayMethod:
        """Attach a method that the customer's browser made with the gateway. The returned id is the one to keep."""
        ...

    async def create_invoice(self, pushed: PushedInvoice, *, key: str) -> str:
        """Make an empty draft and return its id: nothing is charged by it, whatever happens next."""
        ...

    async def add_lines(self, gateway_invoice_id: str, lines: Sequence[PushedLine], *, key: str) -> None:
        """Add lines to a draft, at most LINES_MAX in all."""
        ...

    async def finalise_invoice(self, gateway_invoice_id: str, *, key: str) -> GatewayInvoice:
        """Open a draft for payment without charging it."""
        ...

    async def credit_invoice(self, gateway_invoice_id: str, credit: PushedCredit, *, key: str) -> None:
        """Lower what is due on an open invoice by a credit note; all of it makes it paid."""
        ...

    async def list_credits(self, gateway_invoice_id: str) -> frozenset[CreditNoteId]:
        """Return which of our credit notes were taken off an invoice, all of them. Raises GatewayListTooLong."""
        ...

    async def void_invoice(self, gateway_invoice_id: str, *, key: str) -> None:
        """Take back an open or written-off invoice for good."""
        ...

    async def write_off_invoice(self, gateway_invoice_id: str, *, key: str) -> None:
        """Mark an open invoice as one that will not be collected."""
        ...

    async def mark_paid_outside(self, gateway_invoice_id: str, *, key: str) -> None:
        """Mark an open or written-off invoice as paid by money that came another way; nothing is charged."""
        ...

    async def delete_draft(self, gateway_invoice_id: str) -> None:
        """Delete a draft; nothing happens where it is gone."""
        ...

    async def pay(self, gateway_invoice_id: str, gateway_method_id: str, *, key: str) -> PayOutcome:
        """Charge an open invoice to a method while the customer is away."""
        ...

    async def fetch_invoice(self, gateway_invoice_id: str) -> GatewayInvoice | None:
        """Return the invoice as it is now, or None."""
        ...

    async def find_draft(self, gateway_customer_id: str, invoice_id: InvoiceId) -> GatewayInvoice | None:
        """Return a draft made for an invoice of ours whose id was lost, or None."""
        ...

    async def fetch_method(self, gateway_method_id: str) -> GatewayMethod | None:
        """Return the method as it is now, or None."""
        ...

    async def fetch_subscription(self, gateway_subscription_id: str) -> GatewaySubscription | None:
        """Return the subscription as it is now, or None."""
        ...

    @property
    def listing(self) -> "Listing":
        """Its lists."""
        ...

    async def pending_deliveries(self) -> int | None:
        """Return how many webhook deliveries the sandbox still has to make; None where there is no sandbox."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class Listing(Protocol):
    """The gateway's lists, the newest first, by pages: `after` is the id at which the page before ended.

    Each may raise GatewayUnavailable, or GatewayRefused where that id is forgotten. `created` is a stretch of real
    time.
    """

    async def list_events(self, created: Period, types: Sequence[str], *, after: str | None) -> Page[GatewayEvent]:
        """Return a page of the events of some types; it remembers them for 30 days."""
        ...

    async def list_customers(self, created: Period, *, after: str | None) -> Page[GatewayHolder]:
        """Return a page of customers."""
        ...

    async def list_invoices(self, created: Period, *, after: str | None) -> Page[GatewayInvoice]:
        """Return a page of invoices, ours and others."""
        ...

    async def list_payments(self, created: Period, *, after: str | None) -> Page[GatewayPayment]:
        """Return a page of the payments of invoices, whatever became of them."""
        ...

    async def list_refunds(self, created: Period, *, after: str | None) -> Page[GatewayRefund]:
        """Return a page of refunds."""
        ...

    async def list_disputes(self, created: Period, *, after: str | None) -> Page[GatewayDispute]:
        """Return a page of disputes."""
        ...

    async def list_methods(self, gateway_customer_id: str, *, after: str | None) -> Page[GatewayMethod]:
        """Return a page of the payment methods attached to a customer."""
        ...
