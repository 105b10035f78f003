"""POST /v1/events: 1 to 1,000 usage events in, an answer for each of them out, after the commit.

    POST /v1/events?mode=partial|atomic
    [{"id": "…", "type": "llm.call", "customer": "cus_…", "occurred_at": "2026-01-15T12:00:00Z", "properties": {…}}, …]

    {"results": [{"id": "…", "status": "counted"}, …], "counted": 1, "duplicate": 0, …}

A single object is a batch of one. Numbers are read exactly. An event that cannot be read is rejected by itself; a body
that is no JSON, an empty batch and one that is too large are refused whole.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from api.auth import bearer
from api.bodies import read_body
from api.context import Serving
from api.problems import problem_response
from domain.db import DATABASE_ERRORS
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.usage.event import BATCH_MAX, ID_LENGTH_MAX, UsageEvent
from domain.usage.verdict import BatchRefused, BatchTooLarge, Reason, Status, UsageUnavailable, Verdict, rejected

BODY_BYTES_MAX = 2_097_152
DETAIL_LENGTH_MAX = 200
STATUS_MALFORMED = 400
MODES = ("partial", "atomic")

_events = msgspec.json.Decoder(list[UsageEvent], float_hook=Decimal)
_event = msgspec.json.Decoder(UsageEvent, float_hook=Decimal)
_rows = msgspec.json.Decoder(list[msgspec.Raw])


class _Named(msgspec.Struct):
    id: str | None = None


_named = msgspec.json.Decoder(_Named)
_encoder = msgspec.json.Encoder()


@dataclass(eq=False)
class EventsMalformed(DomainError):
    """The body is not a JSON array of events, nor one event: {fault}. Nothing was recorded."""

    code = "events_malformed"
    kind = Kind.INVALID
    fault: str


@dataclass(eq=False)
class ModeUnknown(DomainError):
    """`mode` is partial (the default) or atomic."""

    code = "mode_unknown"
    kind = Kind.INVALID


class Result(msgspec.Struct, omit_defaults=True):
    """The answer to one event; `id` is null where none could be read."""

    id: str | None
    status: Status
    reason: Reason | None = None
    message: str | None = None


async def post_events(request: Request) -> Response:
    """Record a batch. Safe to repeat: what was counted before is answered `duplicate`.

    200 with an answer for each event; 400 for a body that is no JSON, 401, 403, 413 for too much, 422 for an atomic
    batch with a bad event, 429 and 503 with Retry-After when it should be sent again.
    """
    serving: Serving = request.app.state.serving
    call = await _call(serving, request)
    atomic = _is_atomic(request)
    try:
        names, events = decode_batch(await read_body(request, BODY_BYTES_MAX))
    except EventsMalformed as malformed:
        return problem_response(malformed, status=STATUS_MALFORMED)
    try:
        verdicts = await serving.recorder.record(call, events, atomic=atomic)
    except BatchRefused as refused:
        return _refusal(refused, names)
    counts = Counter(verdict.status for verdict in verdicts)
    body = {"results": _results(names, verdicts), **{status.value: counts[status] for status in Status}}
    return Response(_encoder.encode(body), media_type="application/json")


def _refusal(refused: BatchRefused, names: Sequence[str | None]) -> Response:
    """Add to the problem which events are bad, by index, and what is said of each."""
    problem = problem_response(refused)
    body = msgspec.json.decode(problem.body) | {"bad": refused.bad, "results": _results(names, refused.verdicts)}
    return Response(_encoder.encode(body), problem.status_code, media_type=problem.media_type)


async def _call(serving: Serving, request: Request) -> Call:
    try:
        principal = await serving.authenticator.authenticate(
            bearer(request.headers.get("authorization")), serving.runtime.now()
        )
    except DATABASE_ERRORS as fault:
        raise UsageUnavailable from fault
    return serving.runtime.call(principal)


def _is_atomic(request: Request) -> bool:
    mode = request.query_params.get("mode", MODES[0])
    if mode not in MODES:
        raise ModeUnknown
    return mode == "atomic"


def decode_batch(body: bytes) -> tuple[list[str | None], list[UsageEvent | Verdict]]:
    """Decode a batch, with the ids as they were sent; an event that is none becomes its verdict.

    Raises EventsMalformed, BatchTooLarge.
    """
    if body.lstrip(b" \t\r\n")[:1] == b"{":
        body = b"[" + body + b"]"
    try:
        events: list[UsageEvent | Verdict] = list(_events.decode(body))
    except msgspec.ValidationError:
        return _read_apart(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise EventsMalformed(_fault(fault)) from fault
    return [event.id if isinstance(event, UsageEvent) else None for event in events], events


def _read_apart(body: bytes) -> tuple[list[str | None], list[UsageEvent | Verdict]]:
    """Decode the events of a batch one by one, because at least one of them is not as it should be."""
    try:
        rows = _rows.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise EventsMalformed(_fault(fault)) from fault
    if len(rows) > BATCH_MAX:
        raise BatchTooLarge(len(rows), BATCH_MAX)
    names: list[str | None] = []
    events: list[UsageEvent | Verdict] = []
    for row in rows:
        try:
            event = _event.decode(row)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            names.append(_name_of(row))
            events.append(rejected(Reason.MALFORMED, _fault(fault)))
        else:
            names.append(event.id)
            events.append(event)
    return names, events


def _name_of(row: msgspec.Raw) -> str | None:
    try:
        name = _named.decode(row).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return name[:ID_LENGTH_MAX] if name is not None else None


def _fault(fault: Exception) -> str:
    """Say what is wrong and where, without repeating a value."""
    if isinstance(fault, msgspec.MsgspecError):
        return str(fault)[:DETAIL_LENGTH_MAX]
    return "it is nested too deeply" if isinstance(fault, RecursionError) else "it is not UTF-8"


def _results(names: Sequence[str | None], verdicts: Sequence[Verdict]) -> list[Result]:
    return [
        Result(name, verdict.status, verdict.reason, verdict.message)
        for name, verdict in zip(names, verdicts, strict=True)
    ]
