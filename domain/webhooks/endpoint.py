"""An endpoint of the merchant: where events are sent, which ones, and whether they are sent now."""

from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import EndpointId
from domain.kernel.values import dataclass
from domain.webhooks.event_kind import matches
from domain.webhooks.lane import Lane

ENDPOINTS_MAX = 16
NAME_LENGTH_MAX = 100
OVERLAP_HOURS_DEFAULT = 24
OVERLAP_HOURS_MAX = 168


@dataclass(eq=False)
class EndpointNotFound(DomainError):
    """There is no such webhook endpoint."""

    code = "endpoint_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class EndpointRefused(DomainError):
    """This webhook endpoint cannot be made so: {reason}."""

    code = "endpoint_refused"
    kind = Kind.INVALID
    reason: str


@dataclass(eq=False)
class EndpointsTooMany(DomainError):
    """There are {count_max} webhook endpoints in this environment already. Delete one first."""

    code = "endpoints_too_many"
    kind = Kind.CONFLICT
    count_max: int = ENDPOINTS_MAX


class EndpointState(StrEnum):
    """Whether events are sent. Of a disabled one they wait."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledBy(StrEnum):
    """Why an endpoint is disabled."""

    STAFF = "staff"
    FAILING = "failing"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint; its secrets are elsewhere. Instants are real time. `events` are patterns."""

    id: EndpointId
    environment: Environment
    name: str
    url: str = field(repr=False)
    events: tuple[str, ...]
    schema_version: str
    state: EndpointState
    disabled_by: DisabledBy | None
    disabled_at: datetime | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    created_at: datetime
    deleted_at: datetime | None = None
    version: int = 1

    def wants(self, name: str) -> bool:
        """Whether it listens to a type of event."""
        return matches(self.events, name)


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret; `expires_at` None for the present one."""

    text: str = field(repr=False)
    created_at: datetime
    expires_at: datetime | None

    def is_valid(self, at: datetime) -> bool:
        """Whether it signs at a real instant."""
        return self.expires_at is None or at < self.expires_at


def check_name(name: str) -> str:
    """Return a name without space around it. Raises EndpointRefused."""
    stripped = name.strip()
    if not 1 <= len(stripped) <= NAME_LENGTH_MAX or not stripped.isprintable():
        raise EndpointRefused(f"a name has 1 to {NAME_LENGTH_MAX} printable characters")
    return stripped


def check_overlap(hours: int) -> timedelta:
    """Return how long the secret before signs beside the new one. Raises EndpointRefused."""
    if not 0 <= hours <= OVERLAP_HOURS_MAX:
        raise EndpointRefused(f"two secrets sign for 0 to {OVERLAP_HOURS_MAX} hours")
    return timedelta(hours=hours)


def disabled(before: Endpoint, by: DisabledBy, at: datetime) -> Endpoint:
    """Return the endpoint as disabled; an earlier reason stands."""
    if before.state is EndpointState.DISABLED:
        return before
    return replace(before, state=EndpointState.DISABLED, disabled_by=by, disabled_at=at)


def enabled(before: Endpoint) -> Endpoint:
    """Return the endpoint as enabled."""
    return replace(before, state=EndpointState.ENABLED, disabled_by=None, disabled_at=None)


def gives_up(endpoint: Endpoint, lane: Lane) -> bool:
    """Whether a lane that is held disables its endpoint: nothing has arrived there for as long as the lane fails.

    Where other customers' events arrive, the fault lies with one event, and the others go on.
    """
    if lane.held_at is None or not lane.is_live or lane.failing_since is None:
        return False
    return endpoint.last_success_at is None or endpoint.last_success_at < lane.failing_since
