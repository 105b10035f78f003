"""Refusals in Stripe's error shape: `{"error": {"type", "code", "message", "param", …}}` with an HTTP status."""

from typing import Any

DOCUMENTATION = "https://docs.stripe.com/error-codes/"


class StripeError(Exception):
    """A refusal as Stripe would send it.

    `keep` says that what was done before the refusal stays: a declined card leaves a failed charge and events behind,
    while an invalid request leaves nothing. `begun` is false for a refusal that came before the operation was
    executed; such an answer is never saved under an idempotency key.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        keep: bool = False,
        begun: bool = True,
        headers: dict[str, str] | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.keep = keep
        self.begun = begun
        self.headers = headers or {}
        self.fields: dict[str, Any] = {"type": kind, "message": message}
        if code is not None:
            self.fields |= {"code": code, "doc_url": DOCUMENTATION + code.replace("_", "-")}
        if param is not None:
            self.fields["param"] = param
        self.fields |= facts or {}

    def body(self) -> dict[str, Any]:
        """Give the answer's JSON body."""
        return {"error": self.fields}


def invalid(message: str, *, code: str | None = None, param: str | None = None) -> StripeError:
    """Make the refusal of a request that the current state or a rule of Stripe does not allow (400)."""
    return StripeError(400, "invalid_request_error", message, code=code, param=param)


def malformed(message: str, *, code: str | None = None, param: str | None = None) -> StripeError:
    """Make the refusal of a request that does not fit the contract (400); it is found before anything is executed."""
    return StripeError(400, "invalid_request_error", message, code=code, param=param, begun=False)


def missing(kind: str, identifier: str, *, param: str | None = None) -> StripeError:
    """Make the refusal of an id that names nothing: 404 for the object in the path, 400 for one in a parameter."""
    title = {"payment_method": "PaymentMethod", "subscription_item": "subscription item"}.get(kind, kind)
    return StripeError(
        404 if param is None else 400,
        "invalid_request_error",
        f"No such {title}: '{identifier}'",
        code="resource_missing",
        param=param or "id",
    )


def not_implemented(what: str) -> StripeError:
    """Make the refusal of something that Stripe knows and this sandbox does not do.

    It answers 501 and asks clients not to retry, so that a gap is seen at once instead of being silently ignored.
    """
    return StripeError(
        501,
        "api_error",
        f"The sandbox does not implement {what}. Stripe knows it; add it below sandbox/ if it is needed.",
        code="sandbox_not_implemented",
        begun=False,
        headers={"Stripe-Should-Retry": "false"},
    )
