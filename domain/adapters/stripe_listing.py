"""Stripe's lists, page by page: events, customers, invoices, payments, refunds, disputes, methods."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from domain.adapters import stripe_objects
from domain.adapters.stripe_errors import errors
from domain.kernel.period import Period
from domain.payments.listed import GatewayDispute, GatewayHolder, GatewayPayment, GatewayRefund, Page
from domain.payments.port import GatewayEvent, GatewayInvoice, GatewayMethod

if TYPE_CHECKING:
    import stripe

PAGE = 100
TYPES_MAX = 20
_EXPANDED = ["data.payments.data.payment.payment_intent"]
T = TypeVar("T")


class StripeListing:
    """Reads lists; it speaks through the gateway's client."""

    def __init__(self, api: "Callable[[], stripe.StripeClient]") -> None:
        """Open nothing."""
        self._api = api

    async def list_events(self, created: Period, types: Sequence[str], *, after: str | None) -> Page[GatewayEvent]:
        """Return a page of the events of some types, at most TYPES_MAX of them."""
        assert len(types) <= TYPES_MAX, "Stripe filters by a bounded number of types"
        params = _asked(after, created) | {"types": list(types)}
        with errors():
            found = await self._api().v1.events.list_async(params)
        return _page(found, lambda each: stripe_objects.event(each.to_dict(), str(each).encode()))

    async def list_customers(self, created: Period, *, after: str | None) -> Page[GatewayHolder]:
        """Return a page of customers; deleted ones are not listed."""
        with errors():
            found = await self._api().v1.customers.list_async(_asked(after, created))
        return _page(found, lambda each: stripe_objects.holder(each.to_dict()))

    async def list_invoices(self, created: Period, *, after: str | None) -> Page[GatewayInvoice]:
        """Return a page of invoices with their payments."""
        params = _asked(after, created) | {"expand": _EXPANDED}
        with errors():
            found = await self._api().v1.invoices.list_async(params)
        return _page(found, lambda each: stripe_objects.invoice(each.to_dict()))

    async def list_payments(self, created: Period, *, after: str | None) -> Page[GatewayPayment]:
        """Return a page of the payments of invoices."""
        with errors():
            found = await self._api().v1.invoice_payments.list_async(_asked(after, created))
        return _page(found, lambda each: stripe_objects.payment(each.to_dict()))

    async def list_refunds(self, created: Period, *, after: str | None) -> Page[GatewayRefund]:
        """Return a page of refunds."""
        with errors():
            found = await self._api().v1.refunds.list_async(_asked(after, created))
        return _page(found, lambda each: stripe_objects.refund(each.to_dict()))

    async def list_disputes(self, created: Period, *, after: str | None) -> Page[GatewayDispute]:
        """Return a page of disputes."""
        with errors():
            found = await self._api().v1.disputes.list_async(_asked(after, created))
        return _page(found, lambda each: stripe_objects.dispute(each.to_dict()))

    async def list_methods(self, gateway_customer_id: str, *, after: str | None) -> Page[GatewayMethod]:
        """Return a page of what is attached to a customer."""
        params = _asked(after)
        with errors():
            found = await self._api().v1.customers.payment_methods.list_async(gateway_customer_id, params)
        return _page(found, lambda each: stripe_objects.method(each.to_dict()))


def _asked(after: str | None, created: Period | None = None) -> Any:
    """Ask for the page after an id, the newest first; the end of the stretch does not belong to it."""
    asked: dict[str, Any] = {"limit": PAGE}
    if after is not None:
        asked["starting_after"] = after
    if created is not None:
        asked["created"] = {"gte": int(created.start.timestamp()), "lt": int(created.end.timestamp())}
    return asked


def _page(found: Any, read: Callable[[Any], T]) -> Page[T]:
    last_id = found.data[-1].id if found.data and found.has_more else None
    return Page([read(each) for each in found.data], last_id)
