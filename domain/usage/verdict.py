"""The answer to one event, and every reason why an event is not counted."""

from enum import StrEnum

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass


class Status(StrEnum):
    """What became of an event. Duplicate, conflict and rejected ones changed nothing."""

    COUNTED = "counted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Why an event was quarantined or rejected; stable, for programs."""

    MALFORMED = "malformed"
    CUSTOMER_MALFORMED = "customer_malformed"
    SUBSCRIPTION_MALFORMED = "subscription_malformed"
    TEXT_MALFORMED = "text_malformed"
    TOO_MANY_PROPERTIES = "too_many_properties"
    PROPERTY_NOT_SCALAR = "property_not_scalar"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    TIMESTAMP_UNREADABLE = "timestamp_unreadable"
    OUTSIDE_WINDOW = "outside_window"
    WRONG_PRODUCT = "wrong_product"
    NEGATIVE_VALUE = "negative_value"
    LEVEL_BELOW_ZERO = "level_below_zero"
    CORRECTS_NOT_ALLOWED = "corrects_not_allowed"
    CORRECTS_MALFORMED = "corrects_malformed"
    CORRECTED_ALREADY = "corrected_already"
    UNKNOWN_EVENT = "unknown_event"
    UNKNOWN_CUSTOMER = "unknown_customer"
    CUSTOMER_ERASED = "customer_erased"
    UNKNOWN_METER = "unknown_meter"
    UNKNOWN_SUBSCRIPTION = "unknown_subscription"
    OUTSIDE_SUBSCRIPTION = "outside_subscription"
    WRONG_TYPE = "wrong_type"
    TOO_MANY_COMBINATIONS = "too_many_combinations"
    UNPRICED = "unpriced"


_MESSAGES = {
    Reason.MALFORMED: "The event does not have the right shape.",
    Reason.CUSTOMER_MALFORMED: "`customer` is not a customer id: one looks like cus_ and 26 letters and digits.",
    Reason.SUBSCRIPTION_MALFORMED: "`subscription` is not a subscription id: one looks like sub_ and 26 characters.",
    Reason.TEXT_MALFORMED: "A text is empty, too long, or holds a NUL character or half a surrogate pair.",
    Reason.TOO_MANY_PROPERTIES: "An event has at most 32 properties.",
    Reason.PROPERTY_NOT_SCALAR: "A property is a text, a number, true, false or null.",
    Reason.NUMBER_OUT_OF_RANGE: "A number has at most 20 digits before the point and 18 after it.",
    Reason.TIMESTAMP_UNREADABLE: "`occurred_at` is ISO 8601 with a zone, or seconds since 1970 as a number.",
    Reason.OUTSIDE_WINDOW: "`occurred_at` lies more than 35 days back or more than 5 minutes ahead.",
    Reason.WRONG_PRODUCT: "This type of event belongs to another product than the key.",
    Reason.NEGATIVE_VALUE: "The value is negative; only the delta of a level may be.",
    Reason.LEVEL_BELOW_ZERO: "The level would fall below zero.",
    Reason.CORRECTS_NOT_ALLOWED: "Corrections need the scope usage:correct.",
    Reason.CORRECTS_MALFORMED: "`corrects` is the id of an earlier event; an event of the type void needs it.",
    Reason.CORRECTED_ALREADY: "The event was voided or replaced before; correct the event that did so.",
    Reason.UNKNOWN_EVENT: "No counted event of this source has the id that `corrects` names.",
    Reason.UNKNOWN_CUSTOMER: "No such customer is known to this key.",
    Reason.CUSTOMER_ERASED: "This customer was erased: nothing new can be kept of it.",
    Reason.UNKNOWN_METER: "No meter counts events of this type.",
    Reason.UNKNOWN_SUBSCRIPTION: "The customer has no such subscription of this product.",
    Reason.OUTSIDE_SUBSCRIPTION: "No subscription of the customer to this product was running at `occurred_at`.",
    Reason.WRONG_TYPE: "A property that a meter needs is missing or of the wrong type.",
    Reason.TOO_MANY_COMBINATIONS: "The meter has reached its bound of combinations of dimensions in this period.",
    Reason.UNPRICED: "No price is in force for this provider and model.",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an event. `detail` names the place of the fault and never repeats a value."""

    status: Status
    reason: Reason | None = None
    detail: str | None = None

    @property
    def message(self) -> str | None:
        """Return one sentence for the sender, or None where there is nothing to explain."""
        if self.status is Status.CONFLICT:
            return "This id was sent before with another payload; the first one stays."
        if self.reason is None:
            return None
        message = _MESSAGES[self.reason]
        return f"{message.removesuffix('.')} ({self.detail})." if self.detail else message

    @property
    def is_bad(self) -> bool:
        """Whether an atomic batch is refused for it; duplicates are not bad."""
        return self.status in _BAD


COUNTED = Verdict(Status.COUNTED)
DUPLICATE = Verdict(Status.DUPLICATE)
CONFLICT = Verdict(Status.CONFLICT)
_BAD = frozenset((Status.CONFLICT, Status.QUARANTINED, Status.REJECTED))


def rejected(reason: Reason, detail: str | None = None) -> Verdict:
    """Answer an event that holds no identity and may be sent again, mended."""
    return Verdict(Status.REJECTED, reason, detail)


def quarantined(reason: Reason, detail: str | None = None) -> Verdict:
    """Answer an event that is kept, holds its identity, and can be re-driven."""
    return Verdict(Status.QUARANTINED, reason, detail)


@dataclass(eq=False)
class BatchEmpty(DomainError):
    """There is no event in the request. Send 1 to {events_max}."""

    code = "batch_empty"
    kind = Kind.INVALID
    events_max: int


@dataclass(eq=False)
class BatchTooLarge(DomainError):
    """There are {events} events in the request and nothing was recorded. Send at most {events_max} at once."""

    code = "batch_too_large"
    kind = Kind.TOO_LARGE
    events: int
    events_max: int


@dataclass(eq=False)
class BatchRefused(DomainError):
    """Nothing was recorded: {count} events of the atomic batch cannot be counted. Mend them and send all again."""

    code = "batch_refused"
    kind = Kind.INVALID
    count: int
    verdicts: tuple[Verdict, ...]

    @property
    def bad(self) -> tuple[int, ...]:
        """The indexes of the events that cannot be counted."""
        return tuple(index for index, verdict in enumerate(self.verdicts) if verdict.is_bad)


@dataclass(eq=False)
class KeyRecordsNothing(DomainError):
    """Usage is recorded with an API key of the scope usage:write that belongs to a product."""

    code = "key_records_nothing"
    kind = Kind.FORBIDDEN


@dataclass(eq=False)
class UsageBusy(DomainError):
    """More events are waiting than can be recorded at once, and these were not. Send them again in a moment."""

    code = "usage_busy"
    kind = Kind.BUSY


@dataclass(eq=False)
class UsageUnavailable(DomainError):
    """The events may not have been recorded. Send them again unchanged: none is counted twice."""

    code = "usage_unavailable"
    kind = Kind.UNAVAILABLE
