"""What is looked for among the payment attempts of all customers."""

from datetime import datetime

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass
from domain.payments.attempt import AttemptState

# Ids of the gateway are some thirty characters long.
GATEWAY_ID_LENGTH_MAX = 255


@dataclass(eq=False)
class PaymentFilterRefused(DomainError):
    """These payments cannot be looked for: {fault}."""

    code = "payment_filter_refused"
    kind = Kind.INVALID
    fault: str


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    """Attempts for which all of this holds; what is None, or empty, excludes nothing.

    They came to their end from `ended_from` on and before `ended_before`, in business time; those that have not are
    left out where one of both is given.
    """

    environment: Environment | None = None
    customer_id: CustomerId | None = None
    states: frozenset[AttemptState] = frozenset()
    gateway_payment_id: str | None = None
    ended_from: datetime | None = None
    ended_before: datetime | None = None


def check(wanted: PaymentFilter) -> None:
    """Refuse what no attempt can be. Raises PaymentFilterRefused."""
    start, end, name = wanted.ended_from, wanted.ended_before, wanted.gateway_payment_id
    if start is not None and end is not None and start >= end:
        fault = "the stretch of time ends before it begins"
        raise PaymentFilterRefused(fault)
    if name is not None and not (1 <= len(name) <= GATEWAY_ID_LENGTH_MAX and name.isprintable()):
        fault = f"an id of the payment provider has 1 to {GATEWAY_ID_LENGTH_MAX} printable characters"
        raise PaymentFilterRefused(fault)
