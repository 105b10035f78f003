"""Stripe's refunds."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from domain.adapters import stripe_objects
from domain.adapters.stripe_errors import errors, or_none
from domain.kernel.ids import RefundId, encode
from domain.payments.listed import GatewayRefund
from domain.payments.port import GatewayUnavailable
from domain.payments.refund import Refund

if TYPE_CHECKING:
    import stripe

PAGE = 100
# A refund of a payment that has more than these is not looked for: a person finds it.
PAGES_MAX = 20


class StripeRefunds:
    """Pays back through Stripe; it speaks through the gateway's client."""

    def __init__(self, api: "Callable[[], stripe.StripeClient]") -> None:
        """Open nothing."""
        self._api = api

    async def create_refund(self, refund: Refund, *, key: str) -> GatewayRefund:
        """Refund a part of a payment intent; our ids stand in its metadata, so that it can be found again."""
        given: Any = {
            "payment_intent": refund.gateway_payment_id,
            "amount": refund.amount.minor,
            "reason": str(refund.reason),
            "metadata": {
                "refund_id": encode("refund", refund.id),
                "customer_id": encode("customer", refund.customer_id),
            },
        }
        with errors():
            made = await self._api().v1.refunds.create_async(given, {"idempotency_key": key})
        return stripe_objects.refund(made.to_dict())

    async def fetch_refund(self, gateway_refund_id: str) -> GatewayRefund | None:
        """Return a refund, or None."""
        with errors():
            found = await or_none(self._api().v1.refunds.retrieve_async(gateway_refund_id))
        return stripe_objects.refund(found) if found else None

    async def find_refund(self, gateway_payment_id: str, refund_id: RefundId) -> GatewayRefund | None:
        """Return the refund of a payment intent that names ours, or None.

        Raises GatewayUnavailable where there are more than are looked through: what was not found may be there.
        """
        after: str | None = None
        for _ in range(PAGES_MAX):
            asked: Any = {"payment_intent": gateway_payment_id, "limit": PAGE}
            with errors():
                page = await self._api().v1.refunds.list_async(asked | ({"starting_after": after} if after else {}))
            found = [stripe_objects.refund(each.to_dict()) for each in page.data]
            named = next((each for each in found if each.refund_id == refund_id), None)
            if named is not None or not page.has_more:
                return named
            after = found[-1].id
        raise GatewayUnavailable("refunds_too_many")
