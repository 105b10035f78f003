"""The lists of the gateway in memory: all on pages of PAGE, the newest first, with refunds that a test puts there."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from domain.kernel.errors import DomainError
from domain.kernel.ids import CustomerId
from domain.kernel.period import Period
from domain.payments.listed import GatewayDispute, GatewayHolder, GatewayPayment, GatewayRefund, Page
from domain.payments.port import GatewayEvent, GatewayInvoice, GatewayInvoiceState, GatewayMethod

PAGE = 2
T = TypeVar("T")


class _Gateway(Protocol):
    methods: dict[str, GatewayMethod]
    customers: dict[str, CustomerId]
    events: list[GatewayEvent]

    @property
    def copies(self) -> Mapping[str, object]: ...

    async def fetch_invoice(self, gateway_invoice_id: str) -> GatewayInvoice | None: ...


class MemoryListing:
    """Lists what the gateway holds. All but events, refunds and disputes is of any time."""

    def __init__(self, gateway: _Gateway) -> None:
        """Start without refunds.

        For tests: `failures` are raised first, one a page, where None lets one through; `payments` are those beside the
        invoices' own, `balances` what customers of the gateway hold there; `pages` counts what was asked for.
        """
        self._gateway = gateway
        self.failures: list[DomainError | None] = []
        self.refunds: list[GatewayRefund] = []
        self.payments: list[GatewayPayment] = []
        self.disputes: dict[str, GatewayDispute] = {}
        self.balances: dict[str, int] = {}
        self.pages = 0

    async def list_events(self, created: Period, types: Sequence[str], *, after: str | None) -> Page[GatewayEvent]:
        """Return a page of the events that a test has put there."""
        found = [each for each in self._gateway.events if each.created_at in created and each.type in types]
        return self._page({each.id: each for each in found}, after)

    async def list_customers(self, created: Period, *, after: str | None) -> Page[GatewayHolder]:
        """Return a page of customers."""
        del created
        known = self._gateway.customers.items()
        return self._page(
            {key: GatewayHolder(key, owner, self.balances.get(key, 0), "USD") for key, owner in known}, after
        )

    async def list_invoices(self, created: Period, *, after: str | None) -> Page[GatewayInvoice]:
        """Return a page of invoices."""
        del created
        return self._page({each.id: each for each in await self._invoices()}, after)

    async def list_payments(self, created: Period, *, after: str | None) -> Page[GatewayPayment]:
        """Return a page of payments: the last one of each invoice, and what a test has put there."""
        del created
        found = [payment for each in await self._invoices() if (payment := _payment_of(each)) is not None]
        return self._page({each.id: each for each in [*found, *self.payments]}, after)

    async def list_refunds(self, created: Period, *, after: str | None) -> Page[GatewayRefund]:
        """Return a page of the refunds that a test has put there."""
        found = [each for each in self.refunds if each.created_at in created]
        return self._page({each.id: each for each in found}, after)

    async def list_disputes(self, created: Period, *, after: str | None) -> Page[GatewayDispute]:
        """Return a page of the disputes that a test has opened."""
        found = [each for each in self.disputes.values() if each.created_at in created]
        return self._page({each.id: each for each in found}, after)

    async def list_methods(self, gateway_customer_id: str, *, after: str | None) -> Page[GatewayMethod]:
        """Return a page of what is attached to a customer."""
        own = self._gateway.methods.values()
        return self._page({each.id: each for each in own if each.gateway_customer_id == gateway_customer_id}, after)

    async def _invoices(self) -> list[GatewayInvoice]:
        found = [await self._gateway.fetch_invoice(each) for each in list(self._gateway.copies)]
        return [each for each in found if each is not None]

    def _page(self, found: Mapping[str, T], after: str | None) -> Page[T]:
        self.pages += 1
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        newest = list(found)[::-1]
        start = newest.index(after) + 1 if after is not None else 0
        shown = newest[start : start + PAGE]
        return Page([found[key] for key in shown], shown[-1] if len(newest) > start + PAGE else None)


def _payment_of(seen: GatewayInvoice) -> GatewayPayment | None:
    if seen.outcome is None:
        return None
    status = "paid" if seen.state is GatewayInvoiceState.PAID else "open"
    payment_id = seen.outcome.gateway_payment_id
    return GatewayPayment(f"inpay_{seen.id}", status, seen.currency, seen.paid_minor, seen.id, payment_id)
