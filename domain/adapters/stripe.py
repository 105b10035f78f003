"""Stripe as the payment gateway, and the sandbox, which speaks the same.

The `stripe` package and `httpx` are imported at the first request: a process that only serves reads never pays for
them. The client pools connections and is bound to one event loop, so it is made inside of it.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from domain.adapters import stripe_objects
from domain.adapters.pacer import Pacer
from domain.adapters.stripe_desk import StripeDesk
from domain.adapters.stripe_errors import errors, or_none
from domain.adapters.stripe_listing import StripeListing
from domain.adapters.stripe_pages import entries
from domain.adapters.stripe_refunds import StripeRefunds
from domain.adapters.stripe_transfers import StripeTransfers, payment_settings
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CreditNoteId, CustomerId, InvoiceId, encode
from domain.kernel.values import dataclass
from domain.payments.listed import GatewayDispute
from domain.payments.pace import STAND_IN_PER_S, rate_of
from domain.payments.port import (
    GatewayEnvironmentDiffers,
    GatewayInvoice,
    GatewayMethod,
    GatewaySubscription,
    GatewayUnavailable,
    PayOutcome,
    PushedCredit,
    PushedInvoice,
    PushedLine,
)

if TYPE_CHECKING:
    import httpx
    import stripe

TIMEOUT_S = 10
CONNECT_TIMEOUT_S = 3
RETRIES = 2
# Calls a second, under Stripe's bounds of 100 of a live key, 25 of a test key, and 25 of one endpoint.
CALLS_PER_S = {Environment.LIVE: 80, Environment.TEST: 20}
ENDPOINT_CALLS_PER_S = 20
_WITH_PAYMENT = {"expand": ["payments.data.payment.payment_intent"]}
_ENVIRONMENTS = {"sk_test": Environment.TEST, "rk_test": Environment.TEST, "sk_live": Environment.LIVE}
_ENVIRONMENTS["rk_live"] = Environment.LIVE
_PERCENT_DIGITS = Decimal("0.0001")


@dataclass(eq=False)
class StripeKeyMalformed(DomainError):
    """The secret key of Stripe begins with sk_test_, sk_live_, rk_test_ or rk_live_. Check STRIPE_SECRET_KEY."""

    code = "stripe_key_malformed"
    kind = Kind.UNAVAILABLE


class StripeGateway:
    """Collects through Stripe. Make it anywhere, use it in one event loop, close it at the end."""

    def __init__(self, secret_key: str, api_base: str | None = None, *, calls_per_s: int = 0) -> None:
        """Open no connection yet. `api_base` is the sandbox's address, or another stand-in's; None is Stripe.

        `calls_per_s` bounds the calls of this process; 0 is what Stripe takes of such a key, and no bound elsewhere.
        """
        if secret_key[:7] not in _ENVIRONMENTS:
            raise StripeKeyMalformed
        self._environment = _ENVIRONMENTS[secret_key[:7]]
        self._secret_key = secret_key
        self._api_base = api_base.rstrip("/") if api_base else None
        self._made: stripe.StripeClient | None = None
        self._http: stripe.HTTPXClient | None = None
        self._control: httpx.AsyncClient | None = None
        self.pacer = _pacer(calls_per_s or (STAND_IN_PER_S if api_base else CALLS_PER_S[self._environment]))
        self.listing = StripeListing(lambda: self.api)

    @property
    def environment(self) -> Environment:
        """Whether the key moves real money."""
        return self._environment

    @property
    def api(self) -> "stripe.StripeClient":
        """The client, made at its first use; only adapters use it."""
        if self._made is None:
            import httpx  # noqa: PLC0415 -- see the module's docstring
            import stripe  # noqa: PLC0415 -- a third of a second and 40 MB, which most processes never need

            from domain.adapters.stripe_paced import PacedClient  # noqa: PLC0415 -- likewise

            stripe.enable_telemetry = False
            self._http = PacedClient(self.pacer, httpx.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S))
            bases: Any = dict.fromkeys(("api", "files", "connect", "meter_events"), self._api_base)
            self._made = stripe.StripeClient(
                self._secret_key,
                http_client=self._http,
                max_network_retries=RETRIES,
                base_addresses=bases if self._api_base else None,
            )
        return self._made

    @property
    def desk(self) -> StripeDesk:
        """What Stripe does about payment methods."""
        return StripeDesk(lambda: self.api)

    @property
    def refunds(self) -> StripeRefunds:
        """What Stripe pays back."""
        return StripeRefunds(lambda: self.api)

    @property
    def transfers(self) -> StripeTransfers:
        """What customers transfer to Stripe."""
        return StripeTransfers(lambda: self.api)

    async def ensure_customer(self, customer_id: CustomerId, environment: Environment, *, key: str) -> str:
        """Make the customer with our id in its metadata and nothing personal."""
        self._check(environment)
        metadata = {"customer_id": encode("customer", customer_id), "environment": str(environment)}
        with errors():
            made = await self.api.v1.customers.create_async({"metadata": metadata}, {"idempotency_key": key})
        return made.id

    async def delete_customer(self, gateway_customer_id: str, *, key: str) -> None:
        """Delete the customer: Stripe detaches its methods. Asked again, Stripe knows of none, which is as wanted."""
        with errors():
            await or_none(self.api.v1.customers.delete_async(gateway_customer_id, options={"idempotency_key": key}))

    async def attach_method(self, gateway_customer_id: str, gateway_method_id: str, *, key: str) -> GatewayMethod:
        """Attach a method, unless a SetupIntent has done so."""
        known = await self.fetch_method(gateway_method_id)
        if known is not None and known.gateway_customer_id == gateway_customer_id:
            return known
        with errors():
            attached = await self.api.v1.payment_methods.attach_async(
                gateway_method_id, {"customer": gateway_customer_id}, {"idempotency_key": key}
            )
        return stripe_objects.method(attached.to_dict())

    async def create_invoice(self, pushed: PushedInvoice, *, key: str) -> str:
        """Make an empty draft that Stripe neither advances nor charges by itself."""
        self._check(pushed.environment)
        given: Any = {
            "customer": pushed.gateway_customer_id,
            "currency": pushed.currency.lower(),
            "auto_advance": False,
            "pending_invoice_items_behavior": "exclude",
            "number": pushed.number,
            "metadata": {
                "invoice_id": encode("invoice", pushed.invoice_id),
                "customer_id": encode("customer", pushed.customer_id),
                "environment": str(pushed.environment),
            },
        }
        with errors():
            made = await self.api.v1.invoices.create_async(given | _terms(pushed), {"idempotency_key": key})
        return made.id

    async def add_lines(self, gateway_invoice_id: str, lines: Sequence[PushedLine], *, key: str) -> None:
        """Add lines with the taxes that we have computed."""
        given: Any = {"lines": [_line(line) for line in lines]}
        with errors():
            await self.api.v1.invoices.add_lines_async(gateway_invoice_id, given, {"idempotency_key": key})

    async def finalise_invoice(self, gateway_invoice_id: str, *, key: str) -> GatewayInvoice:
        """Open a draft; Stripe does not go on by itself."""
        params: Any = {"auto_advance": False} | _WITH_PAYMENT
        with errors():
            opened = await self.api.v1.invoices.finalize_invoice_async(
                gateway_invoice_id, params, {"idempotency_key": key}
            )
        return stripe_objects.invoice(opened.to_dict())

    async def delete_draft(self, gateway_invoice_id: str) -> None:
        """Delete a draft; one that is gone is as wanted."""
        with errors():
            await or_none(self.api.v1.invoices.delete_async(gateway_invoice_id))

    async def credit_invoice(self, gateway_invoice_id: str, credit: PushedCredit, *, key: str) -> None:
        """Issue a credit note on an open invoice: what is due there becomes less."""
        given: Any = {
            "invoice": gateway_invoice_id,
            "amount": credit.amount_minor,
            "metadata": {"credit_note_id": encode("credit_note", credit.note_id)},
        }
        with errors():
            await self.api.v1.credit_notes.create_async(given, {"idempotency_key": key})

    async def list_credits(self, gateway_invoice_id: str) -> frozenset[CreditNoteId]:
        """Return which of our notes have one there: all, as one that is not seen would be taken off a second time."""
        asked = {"invoice": gateway_invoice_id}
        listed = entries(self.api.v1.credit_notes.list_async, asked, what="credit notes of an invoice")
        found = [stripe_objects.credit_note_id(each.to_dict()) async for each in listed]
        return frozenset(each for each in found if each is not None)

    async def void_invoice(self, gateway_invoice_id: str, *, key: str) -> None:
        """Void an invoice."""
        with errors():
            await self.api.v1.invoices.void_invoice_async(gateway_invoice_id, {}, {"idempotency_key": key})

    async def write_off_invoice(self, gateway_invoice_id: str, *, key: str) -> None:
        """Mark an invoice uncollectible."""
        with errors():
            await self.api.v1.invoices.mark_uncollectible_async(gateway_invoice_id, {}, {"idempotency_key": key})

    async def mark_paid_outside(self, gateway_invoice_id: str, *, key: str) -> None:
        """Mark an invoice as paid out of band; Stripe cancels its payment."""
        with errors():
            await self.api.v1.invoices.pay_async(
                gateway_invoice_id, {"paid_out_of_band": True}, {"idempotency_key": key}
            )

    async def pay(self, gateway_invoice_id: str, gateway_method_id: str, *, key: str) -> PayOutcome:
        """Charge an open invoice; a decline is an outcome, not an error."""
        import stripe  # noqa: PLC0415 -- see the module's docstring

        params: Any = {"payment_method": gateway_method_id, "off_session": True} | _WITH_PAYMENT
        try:
            with errors(declines=True):
                paid = await self.api.v1.invoices.pay_async(gateway_invoice_id, params, {"idempotency_key": key})
        except stripe.CardError as declined:
            error: dict[str, Any] = declined.error.to_dict() if declined.error else {"code": declined.code}
            intent = error.get("payment_intent")
            return stripe_objects.refusal(error, intent["id"] if intent else None)
        outcome = stripe_objects.outcome_of(paid.to_dict())
        if outcome is None:
            raise GatewayUnavailable("no_outcome")
        return outcome

    async def fetch_invoice(self, gateway_invoice_id: str) -> GatewayInvoice | None:
        """Return the invoice with its payment; a deleted draft is None."""
        params: Any = _WITH_PAYMENT
        with errors():
            found = await or_none(self.api.v1.invoices.retrieve_async(gateway_invoice_id, params))
        return stripe_objects.invoice(found) if found and not found.get("deleted") else None

    async def find_draft(self, gateway_customer_id: str, invoice_id: InvoiceId) -> GatewayInvoice | None:
        """Look through the drafts of the customer, the newest first, for our invoice's id."""
        asked = {"customer": gateway_customer_id, "status": "draft"}
        async for found in entries(self.api.v1.invoices.list_async, asked, what="drafts of a customer"):
            draft = stripe_objects.invoice(found.to_dict())
            if draft.invoice_id == invoice_id:
                return draft
        return None

    async def fetch_method(self, gateway_method_id: str) -> GatewayMethod | None:
        """Return the method, or None."""
        with errors():
            found = await or_none(self.api.v1.payment_methods.retrieve_async(gateway_method_id))
        return stripe_objects.method(found) if found else None

    async def fetch_dispute(self, gateway_dispute_id: str) -> GatewayDispute | None:
        """Return the dispute, or None."""
        with errors():
            found = await or_none(self.api.v1.disputes.retrieve_async(gateway_dispute_id))
        return stripe_objects.dispute(found) if found else None

    async def fetch_subscription(self, gateway_subscription_id: str) -> GatewaySubscription | None:
        """Return the subscription, ended ones too, or None."""
        with errors():
            found = await or_none(self.api.v1.subscriptions.retrieve_async(gateway_subscription_id))
        return stripe_objects.subscription(found) if found else None

    async def pending_deliveries(self) -> int | None:
        """Ask the sandbox; Stripe itself does not tell, nor do other stand-ins."""
        if self._api_base is None:
            return None
        import httpx  # noqa: PLC0415 -- see the module's docstring

        if self._control is None:
            headers = {"Authorization": f"Bearer {self._secret_key}"}
            self._control = httpx.AsyncClient(base_url=self._api_base, timeout=TIMEOUT_S, headers=headers)
        try:
            answer = await self._control.get("/_sandbox/deliveries/pending")
            if answer.status_code == httpx.codes.NOT_FOUND:
                return None
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise GatewayUnavailable("sandbox") from error
        return int(answer.json()["pending"])

    async def close(self) -> None:
        """Close every connection."""
        if self._http is not None:
            await self._http.close_async()  # type: ignore[no-untyped-call]
        if self._control is not None:
            await self._control.aclose()
        self._made = self._http = self._control = None

    def _check(self, environment: Environment) -> None:
        if environment is not self._environment:
            raise GatewayEnvironmentDiffers(environment)


def _pacer(per_s: int) -> Pacer:
    """Make the pacer of a process. Where there is no bound for all calls, there is none for an endpoint's."""
    each = per_s if per_s == STAND_IN_PER_S else min(per_s, ENDPOINT_CALLS_PER_S)
    return Pacer(rate_of(per_s), rate_of(each))


def _terms(pushed: PushedInvoice) -> Any:
    """Say who moves the money. Stripe mails nothing of what is sent: it is finalised, and `send` is never called."""
    if pushed.days_until_due is None:
        return {"collection_method": "charge_automatically"}
    terms = {"collection_method": "send_invoice", "days_until_due": pushed.days_until_due}
    return {**terms, **payment_settings(pushed.currency)}


def _line(line: PushedLine) -> dict[str, Any]:
    sent: dict[str, Any] = {"description": line.description, "amount": line.amount_minor}
    if line.period:
        sent["period"] = {
            "start": int(line.period.start.timestamp()),
            "end": int(line.period.end.timestamp()),
        }
    if line.tax_minor:
        # The amount is ours to the cent; the rate beside it is only shown.
        percent = abs(Decimal(line.tax_minor) * 100 / line.amount_minor).quantize(_PERCENT_DIGITS)
        rate = {"display_name": "Tax", "inclusive": False, "percentage": str(percent.normalize())}
        tax = {"amount": line.tax_minor, "taxable_amount": line.amount_minor, "tax_rate_data": rate}
        sent["tax_amounts"] = [tax]
    return sent
