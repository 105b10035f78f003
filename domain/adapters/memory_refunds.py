"""The refunds of the gateway in memory: they stand in its list, and a test ends them."""

import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from domain.adapters.memory_listing import MemoryListing
from domain.kernel.ids import RefundId
from domain.payments.listed import GatewayRefund
from domain.payments.port import GatewayRefused
from domain.payments.refund import Refund

Result = TypeVar("Result")


class _Gateway(Protocol):
    listing: MemoryListing

    async def write(self, operation: str, key: str, given: object, act: Callable[[], Result]) -> Result: ...

    async def read(self, operation: str) -> None: ...

    def new_id(self, prefix: str) -> str: ...

    def paid_by(self, gateway_payment_id: str) -> int: ...


class MemoryRefunds:
    """Pays back what was charged, never more. `next_status` is that of the refunds to come."""

    def __init__(self, gateway: _Gateway) -> None:
        """Succeed at once."""
        self._gateway = gateway
        self.next_status = "succeeded"

    async def create_refund(self, refund: Refund, *, key: str) -> GatewayRefund:
        """Refund a part of a payment."""
        given = (refund.id, refund.gateway_payment_id, refund.amount, refund.reason)
        return await self._gateway.write("create_refund", key, given, lambda: self._made(refund))

    async def fetch_refund(self, gateway_refund_id: str) -> GatewayRefund | None:
        """Return a refund, or None."""
        await self._gateway.read("fetch_refund")
        return next((each for each in self._gateway.listing.refunds if each.id == gateway_refund_id), None)

    async def find_refund(self, gateway_payment_id: str, refund_id: RefundId) -> GatewayRefund | None:
        """Return the refund of a payment that names ours, or None."""
        await self._gateway.read("find_refund")
        own = [each for each in self._gateway.listing.refunds if each.gateway_payment_id == gateway_payment_id]
        return next((each for each in own if each.refund_id == refund_id), None)

    def end(self, gateway_refund_id: str, status: str, failure: str | None = None) -> None:
        """Move a refund, as a bank does."""
        held = self._gateway.listing.refunds
        [at] = [place for place, each in enumerate(held) if each.id == gateway_refund_id]
        held[at] = dataclasses.replace(held[at], status=status, failure=failure)

    def _made(self, refund: Refund) -> GatewayRefund:
        held = self._gateway.listing.refunds
        own = [each for each in held if each.gateway_payment_id == refund.gateway_payment_id]
        gone = sum(each.amount_minor for each in own if each.status != "failed")
        if gone + refund.amount.minor > self._gateway.paid_by(refund.gateway_payment_id):
            raise GatewayRefused("charge_already_refunded")
        made = GatewayRefund(
            id=self._gateway.new_id("re"),
            status=self.next_status,
            currency=refund.amount.currency,
            amount_minor=refund.amount.minor,
            gateway_payment_id=refund.gateway_payment_id,
            created_at=_created(refund),
            customer_id=refund.customer_id,
            refund_id=refund.id,
        )
        held.append(made)
        return made


def _created(refund: Refund) -> datetime:
    return refund.sent_at or refund.created_at
