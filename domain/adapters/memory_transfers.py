"""Bank transfers of the gateway in memory: what arrives pays sent invoices that it covers, the oldest first."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from domain.adapters.memory_copies import Copy
from domain.kernel.ids import CustomerId
from domain.payments.listed import Page
from domain.payments.port import GatewayInvoiceState, PayOutcome
from domain.payments.transfer import GatewayAccount, GatewayCash

Result = TypeVar("Result")
_MOVED_AT = datetime(2026, 1, 1, tzinfo=UTC)


class _Gateway(Protocol):
    customers: dict[str, CustomerId]
    copies: dict[str, Copy]

    async def write(self, operation: str, key: str, given: object, act: Callable[[], Result]) -> Result: ...

    async def read(self, operation: str) -> None: ...

    def new_id(self, prefix: str) -> str: ...

    def charged(self, copy: Copy) -> PayOutcome: ...

    def due_of(self, copy: Copy) -> int: ...


class MemoryTransfers:
    """Cash balances in USD. `page_size` bounds a page of its list."""

    def __init__(self, gateway: _Gateway) -> None:
        """Hold nothing."""
        self._gateway = gateway
        self.moved: dict[str, list[GatewayCash]] = {}
        self.page_size = 100

    async def fetch_account(self, gateway_customer_id: str, currency: str, *, key: str) -> GatewayAccount | None:
        """Return an account in USD, and none in another currency."""
        details = (("bank_name", "Memory Bank"), ("account_number", "000123454321"), ("routing_number", "110000000"))
        made = GatewayAccount("USD", "US", "Memory Bank", "4321", details) if currency == "USD" else None
        return await self._gateway.write("fetch_account", key, (gateway_customer_id, currency), lambda: made)

    async def list_cash(self, gateway_customer_id: str, *, after: str | None) -> Page[GatewayCash]:
        """Return a page, the newest first."""
        await self._gateway.read("list_cash")
        held = list(reversed(self.moved.get(gateway_customer_id, [])))
        start = next((place + 1 for place, each in enumerate(held) if each.id == after), 0)
        items = held[start : start + self.page_size]
        return Page(items, items[-1].id if start + self.page_size < len(held) else None)

    def arrive(self, customer_id: CustomerId, amount_minor: int) -> str:
        """Let money of a customer arrive; return its id at the gateway."""
        gateway_customer_id = next(key for key, each in self._gateway.customers.items() if each == customer_id)
        self._move(gateway_customer_id, "funded", amount_minor, None)
        self.reconcile(gateway_customer_id)
        return gateway_customer_id

    def reconcile(self, gateway_customer_id: str) -> None:
        """Pay the open invoices that were sent and are covered, the oldest first."""
        for copy in self._gateway.copies.values():
            is_sent = copy.pushed.days_until_due is not None and copy.pushed.gateway_customer_id == gateway_customer_id
            due = self._gateway.due_of(copy)
            if is_sent and copy.state is GatewayInvoiceState.OPEN and due <= self._available(gateway_customer_id):
                paid = self._gateway.charged(copy)
                self._move(gateway_customer_id, "applied_to_payment", -due, paid.gateway_payment_id)

    def _available(self, gateway_customer_id: str) -> int:
        return sum(each.amount_minor for each in self.moved.get(gateway_customer_id, []))

    def _move(self, gateway_customer_id: str, kind: str, amount: int, payment_id: str | None) -> None:
        made = GatewayCash(self._gateway.new_id("ccsbtxn"), kind, amount, "USD", payment_id, _MOVED_AT)
        self.moved.setdefault(gateway_customer_id, []).append(made)
