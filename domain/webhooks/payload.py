"""What is sent about an event, by schema version: the same bytes however often it is sent.

An endpoint keeps the version that it was made with. A new version is a new function in VERSIONS; old ones stay.
Payloads are thin: ids, states and amounts, never personal values. Whoever needs more asks the API by the id.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, encode
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.webhooks.event_kind import EventKind, kind_of

FIRST = "2026-11-01"
TEST_TYPE = "endpoint.test"


@dataclass(eq=False)
class SchemaVersionUnknown(DomainError):
    """There is no schema version {version}. The versions are: {known}."""

    code = "schema_version_unknown"
    kind = Kind.INVALID
    version: str
    known: str


@dataclass(frozen=True, slots=True)
class Event:
    """A billing event that has its place: `number` among all, `sequence` among its customer's."""

    customer_id: CustomerId
    id: UUID
    environment: Environment
    at: datetime
    told: str
    amount: Money | None
    metadata: Mapping[str, Any]
    number: int
    sequence: int

    @property
    def kind(self) -> EventKind:
        """What kind of event it is."""
        return kind_of(self.told, self.metadata)

    @property
    def name(self) -> str:
        """Its type outside, such as invoice.paid."""
        return self.kind.name


def _first(event: Event) -> dict[str, Any]:
    data: dict[str, Any] = {name: event.metadata.get(name) for name in event.kind.facts if name in event.metadata}
    if event.amount is not None:
        data["amount"] = {"amount": event.amount.major, "currency": event.amount.currency}
    return {
        "id": encode("billing_event", event.id),
        "type": event.name,
        "timestamp": instant_text(event.at),
        "version": FIRST,
        "environment": event.environment.value,
        "customer_id": encode("customer", event.customer_id),
        "number": event.number,
        "sequence": event.sequence,
        "data": data,
    }


VERSIONS: Mapping[str, Callable[[Event], dict[str, Any]]] = {FIRST: _first}
NEWEST = max(VERSIONS)


def check_version(version: str) -> str:
    """Return a version that there is. Raises SchemaVersionUnknown."""
    if version not in VERSIONS:
        raise SchemaVersionUnknown(version[: len(FIRST)], ", ".join(sorted(VERSIONS)))
    return version


def document_of(event: Event, version: str) -> dict[str, Any]:
    """Return what is told of an event in a schema version."""
    return VERSIONS[version](event)


def body_of(event: Event, version: str) -> bytes:
    """Write what is sent of an event in a schema version."""
    return _written(document_of(event, version))


def probe_body(event_id: str, environment: Environment, version: str, at: datetime) -> bytes:
    """Write an event that is sent to try an endpoint; it is about no customer."""
    return _written(
        {
            "id": event_id,
            "type": TEST_TYPE,
            "timestamp": instant_text(at),
            "version": version,
            "environment": environment.value,
            "data": {},
        }
    )


def instant_text(at: datetime) -> str:
    """Write an instant in UTC, as 2026-01-31T09:30:00Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _written(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
