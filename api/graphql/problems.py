"""Refusals as types: every mutation's result union holds its success and these problems."""

from collections.abc import Mapping

import strawberry

from api.graphql.permissions import public_type
from domain.kernel.errors import DomainError, Kind


@strawberry.interface(description="Why a request was refused. Show `message` to people, branch on `code`.")
class Problem:
    """A refusal."""

    code: str = strawberry.field(description="Stable, machine-readable, such as `plan_not_found`.")
    message: str = strawberry.field(description="One or two sentences: what happened and what to do.")


@public_type("Some input is malformed, out of bounds or contradicts itself.")
class InvalidInput(Problem):
    """Kind.INVALID."""


@public_type("No credentials were sent, or they are unknown, expired or revoked.")
class NotAuthenticated(Problem):
    """Kind.UNAUTHENTICATED."""


@public_type("The caller's role or key lacks a permission.")
class NotPermitted(Problem):
    """Kind.FORBIDDEN."""


@public_type("It does not exist, or the caller may not know that it does.")
class NotFound(Problem):
    """Kind.NOT_FOUND."""


@public_type("The present state does not allow it, or another request was first.")
class Conflict(Problem):
    """Kind.CONFLICT."""


@public_type("The input exceeds a bound on its size.")
class TooLarge(Problem):
    """Kind.TOO_LARGE."""


@public_type("A limit of the plan is reached.")
class LimitReached(Problem):
    """Kind.LIMIT_REACHED."""

    decision_id: strawberry.ID | None = strawberry.field(
        description="`dec_…` where the decision is kept with its numbers.", default=None
    )


@public_type("Money could not be collected.")
class PaymentFailed(Problem):
    """Kind.PAYMENT_FAILED."""


@public_type("The server has as much work as it takes on. Send the same request again shortly.")
class Busy(Problem):
    """Kind.BUSY."""


@public_type("Something the request needs is out of reach. Send the same request again later.")
class Unavailable(Problem):
    """Kind.UNAVAILABLE."""


AnyProblem = (
    InvalidInput
    | NotAuthenticated
    | NotPermitted
    | NotFound
    | Conflict
    | TooLarge
    | LimitReached
    | PaymentFailed
    | Busy
    | Unavailable
)


_TYPES: dict[Kind, type[AnyProblem]] = {
    Kind.INVALID: InvalidInput,
    Kind.UNAUTHENTICATED: NotAuthenticated,
    Kind.FORBIDDEN: NotPermitted,
    Kind.NOT_FOUND: NotFound,
    Kind.CONFLICT: Conflict,
    Kind.TOO_LARGE: TooLarge,
    Kind.LIMIT_REACHED: LimitReached,
    Kind.PAYMENT_FAILED: PaymentFailed,
    Kind.BUSY: Busy,
    Kind.UNAVAILABLE: Unavailable,
}


def problem_of(error: DomainError) -> AnyProblem:
    """Return a refusal as a member of every result union."""
    return _TYPES[error.kind](code=error.code, message=error.message)


def remembered(outcome: Mapping[str, str]) -> AnyProblem:
    """Return a refusal that an idempotency row kept: its kind, code and message."""
    return _TYPES[Kind(outcome["problem"])](code=outcome["code"], message=outcome["message"])
