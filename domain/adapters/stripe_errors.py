"""Stripe's errors in the words of the payment port."""

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

from domain.payments.port import GatewayRefused, GatewayUnavailable

_BUSY_STATUSES = frozenset((409, 429))


@contextmanager
def errors(*, declines: bool = False) -> Iterator[None]:
    """Turn Stripe's errors into the port's; `declines` lets a CardError through. Only codes are kept."""
    import stripe  # noqa: PLC0415 -- as in the gateway's module

    try:
        yield
    except stripe.CardError as error:
        if declines:
            raise
        raise GatewayRefused(error.code or "card_error") from error
    except (stripe.InvalidRequestError, stripe.IdempotencyError) as error:
        if error.http_status in _BUSY_STATUSES:
            raise GatewayUnavailable(error.code or "busy") from error
        raise GatewayRefused(error.code or "invalid_request") from error
    except stripe.StripeError as error:
        raise GatewayUnavailable(f"{type(error).__name__} {error.http_status or ''}".strip()) from error


async def or_none(request: Awaitable[Any]) -> dict[str, Any] | None:
    """Await a request; None where the object does not exist."""
    import stripe  # noqa: PLC0415 -- as in the gateway's module

    try:
        found: dict[str, Any] = (await request).to_dict()
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            return None
        raise
    return found
