"""The forms in which events come, told by the Content-Type, and how each is decoded.

    application/json                      an object, or an array of them (also where no type is named)
    application/x-ndjson                  an object on each line; lines end in LF, CR LF or CR, empty ones are skipped
    application/cloudevents+json          a CloudEvent; see cloudevents.py
    application/cloudevents-batch+json    an array of CloudEvents

Numbers are read exactly. A whole body that can be decoded at once is; where an event in it cannot be read, events are
read one by one and that one becomes its verdict.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from api.rest.cloudevents import CloudEvent, event_of
from domain.kernel.errors import DomainError, Kind
from domain.kernel.unreadable import UNREADABLE
from domain.kernel.values import dataclass
from domain.usage.event import BATCH_MAX, ID_LENGTH_MAX, UsageEvent
from domain.usage.verdict import BatchTooLarge, Reason, Verdict, rejected

DETAIL_LENGTH_MAX = 200


class Form(Enum):
    """How a body is written."""

    JSON = "json"
    LINES = "lines"
    CLOUD_EVENTS = "cloudevents"


@dataclass(eq=False)
class EventsMalformed(DomainError):
    """The body is not a JSON array of events, nor one event: {fault}. Nothing was recorded."""

    code = "events_malformed"
    kind = Kind.INVALID
    fault: str


class FormUnknown(DomainError):
    """CloudEvents are read as application/cloudevents+json or application/cloudevents-batch+json. Send one of these."""

    code = "form_unknown"
    kind = Kind.INVALID


# The ids as they were sent, None where none could be read; and the events, or the verdict on what is none.
Batch = tuple[list[str | None], list[UsageEvent | Verdict]]

_Read = tuple[str | None, UsageEvent | Verdict]
_FORMS = {
    "application/x-ndjson": Form.LINES,
    "application/ndjson": Form.LINES,
    "application/jsonl": Form.LINES,
    "application/cloudevents+json": Form.CLOUD_EVENTS,
    "application/cloudevents-batch+json": Form.CLOUD_EVENTS,
}


class _Named(msgspec.Struct):
    id: str | None = None


_events = msgspec.json.Decoder(list[UsageEvent], float_hook=Decimal)
_event = msgspec.json.Decoder(UsageEvent, float_hook=Decimal)
_clouds = msgspec.json.Decoder(list[CloudEvent], float_hook=Decimal)
_cloud = msgspec.json.Decoder(CloudEvent, float_hook=Decimal)
_rows = msgspec.json.Decoder(list[msgspec.Raw])
_named = msgspec.json.Decoder(_Named)


def form_of(content_type: str | None) -> Form:
    """Tell the form from a Content-Type; what is not named there is JSON. Raises FormUnknown."""
    plain = (content_type or "").partition(";")[0].strip().lower()
    found = _FORMS.get(plain)
    if found is None and plain.startswith("application/cloudevents"):
        raise FormUnknown
    return found or Form.JSON


def decode(body: bytes, form: Form, own_source: str | None = None) -> Batch:
    """Decode a body. `own_source` is that of the key. Raises EventsMalformed, BatchTooLarge."""
    if form is Form.LINES:
        return _read_apart(_lines(body), _read_event)
    if body.lstrip(b" \t\r\n")[:1] == b"{":
        body = b"[" + body + b"]"
    if form is Form.CLOUD_EVENTS:
        return _decode_clouds(body, own_source)
    try:
        events: list[UsageEvent | Verdict] = list(_events.decode(body))
    except msgspec.ValidationError:
        return _read_apart(_split(body), _read_event)
    except UNREADABLE as fault:
        raise EventsMalformed(_fault(fault)) from fault
    return [event.id for event in events if isinstance(event, UsageEvent)], events


def convert(rows: Sequence[Any]) -> Batch:
    """Read events from JSON that was decoded already, its numbers with a point as Decimal. Raises BatchTooLarge."""
    try:
        events: list[UsageEvent | Verdict] = list(msgspec.convert(rows, list[UsageEvent]))
    except msgspec.ValidationError:
        return _read_apart(rows, _convert_event, _converted_name)
    return [event.id for event in events if isinstance(event, UsageEvent)], events


def _decode_clouds(body: bytes, own_source: str | None) -> Batch:
    try:
        clouds = _clouds.decode(body)
    except msgspec.ValidationError:
        return _read_apart(_split(body), lambda row: _read_cloud(row, own_source))
    except UNREADABLE as fault:
        raise EventsMalformed(_fault(fault)) from fault
    return [_bounded(each.id) for each in clouds], [event_of(each, own_source) for each in clouds]


def _read_event(row: bytes | msgspec.Raw) -> _Read:
    event = _event.decode(row)
    return event.id, event


def _read_cloud(row: msgspec.Raw, own_source: str | None) -> _Read:
    cloud = _cloud.decode(row)
    return _bounded(cloud.id), event_of(cloud, own_source)


def _convert_event(row: Any) -> _Read:
    event = msgspec.convert(row, UsageEvent)
    return event.id, event


def _split(body: bytes) -> Sequence[msgspec.Raw]:
    """Cut an array into its parts without reading them."""
    try:
        return _rows.decode(body)
    except UNREADABLE as fault:
        raise EventsMalformed(_fault(fault)) from fault


def _lines(body: bytes) -> list[bytes]:
    return [line for line in body.splitlines() if line and not line.isspace()]


def _name_of(row: bytes | msgspec.Raw) -> str | None:
    try:
        return _bounded(_named.decode(row).id)
    except UNREADABLE:
        return None


def _converted_name(row: Any) -> str | None:
    name = row.get("id") if isinstance(row, dict) else None
    return _bounded(name) if isinstance(name, str) else None


def _read_apart(
    rows: Sequence[Any], read: Callable[[Any], _Read], name_of: Callable[[Any], str | None] = _name_of
) -> Batch:
    """Read events one by one; one that cannot be read is rejected by itself. Raises BatchTooLarge."""
    if len(rows) > BATCH_MAX:
        raise BatchTooLarge(len(rows), BATCH_MAX)
    names: list[str | None] = []
    events: list[UsageEvent | Verdict] = []
    for row in rows:
        try:
            name, event = read(row)
        except UNREADABLE as fault:
            name, event = name_of(row), rejected(Reason.MALFORMED, _fault(fault))
        names.append(name)
        events.append(event)
    return names, events


def _bounded(name: str | None) -> str | None:
    return name[:ID_LENGTH_MAX] if name is not None else None


def _fault(fault: Exception) -> str:
    """Say what is wrong and where, without repeating a value."""
    if isinstance(fault, msgspec.MsgspecError):
        return str(fault)[:DETAIL_LENGTH_MAX]
    return "it is nested too deeply" if isinstance(fault, RecursionError) else "it is not UTF-8"
