"""POST /v1/events: 1 to 1,000 usage events in, an answer for each of them out, after the commit.

    POST /v1/events?mode=partial|atomic
    [{"id": "…", "type": "llm.call", "customer": "cus_…", "occurred_at": "2026-01-15T12:00:00Z", "properties": {…}}, …]

    {"results": [{"id": "…", "status": "counted"}, …], "counted": 1, "duplicate": 0, …}

A single object is a batch of one; forms.py tells what else is read, and intake.py how large a body may be, gzip or not.
Numbers are read exactly. An event that cannot be read is rejected by itself; a body that is no JSON, an empty batch and
one that is too large are refused whole.
"""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from api.auth import bearer
from api.context import Serving
from api.intake import BodyNotGzip, BodyTooSlow, EncodingUnknown, body_of
from api.problems import problem_response
from api.rest.forms import EventsMalformed, FormUnknown, decode, form_of
from domain.db import DATABASE_ERRORS
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.usage.verdict import BatchRefused, Reason, Status, UsageUnavailable, Verdict

# What HTTP has a status of its own for.
_STATUS: dict[type[DomainError], int] = {
    EventsMalformed: 400,
    BodyNotGzip: 400,
    BodyTooSlow: 408,
    EncodingUnknown: 415,
    FormUnknown: 415,
}
_STATUS_GONE = 400
_encoder = msgspec.json.Encoder()


class Mode(StrEnum):
    """What becomes of a batch with a bad event."""

    PARTIAL = "partial"
    ATOMIC = "atomic"


class ModeUnknown(DomainError):
    """`mode` is partial (the default) or atomic."""

    code = "mode_unknown"
    kind = Kind.INVALID


class Result(msgspec.Struct, omit_defaults=True, gc=False):
    """The answer to one event; `id` is null where none could be read."""

    id: str | None
    status: Status
    reason: Reason | None = None
    message: str | None = None


async def post_events(request: Request) -> Response:
    """Record a batch. Safe to repeat: what was counted before is answered `duplicate`.

    200 with an answer for each event; 400 for a body that is no JSON or no gzip, 401, 403, 408 for one that comes too
    slowly, 413 for too much, 415 for another form, 422 for an atomic batch with a bad event, 429 and 503 with
    Retry-After when it should be sent again.
    """
    serving: Serving = request.app.state.serving
    try:
        return await _record(serving, request)
    except tuple(_STATUS) as refused:
        response = problem_response(refused, status=_STATUS[type(refused)])
        if isinstance(refused, EncodingUnknown):
            response.headers["Accept-Encoding"] = "gzip"
        return response
    except ClientDisconnect:
        return Response(status_code=_STATUS_GONE)


async def _record(serving: Serving, request: Request) -> Response:
    call = await _call(serving, request)
    mode = _mode(request)
    form = form_of(request.headers.get("content-type"))
    async with body_of(request, serving.inflow) as body:
        names, events = decode(body, form, call.principal.source)
        try:
            verdicts = await serving.recorder.record(call, events, atomic=mode is Mode.ATOMIC)
        except BatchRefused as refused:
            return _refusal(refused, names)
        return Response(_encoder.encode(answer_of(names, verdicts)), media_type="application/json")


def _refusal(refused: BatchRefused, names: Sequence[str | None]) -> Response:
    """Add to the problem which events are bad, by index, and what is said of each."""
    problem = problem_response(refused)
    body = msgspec.json.decode(problem.body) | {"bad": refused.bad, "results": results_of(names, refused.verdicts)}
    return Response(_encoder.encode(body), problem.status_code, media_type=problem.media_type)


async def _call(serving: Serving, request: Request) -> Call:
    try:
        principal = await serving.authenticator.authenticate(
            bearer(request.headers.get("authorization")), serving.runtime.now()
        )
    except DATABASE_ERRORS as fault:
        raise UsageUnavailable from fault
    return serving.runtime.call(principal)


def _mode(request: Request) -> Mode:
    try:
        return Mode(request.query_params.get("mode", Mode.PARTIAL))
    except ValueError:
        raise ModeUnknown from None


def answer_of(names: Sequence[str | None], verdicts: Sequence[Verdict]) -> dict[str, object]:
    """Write what became of a batch: an answer for each event, and how many there are of each status."""
    counts = Counter(verdict.status for verdict in verdicts)
    return {"results": results_of(names, verdicts), **{status.value: counts[status] for status in Status}}


def results_of(names: Sequence[str | None], verdicts: Sequence[Verdict]) -> list[Result]:
    """Write the answer for each event."""
    return [
        Result(name, verdict.status, verdict.reason, verdict.message)
        for name, verdict in zip(names, verdicts, strict=True)
    ]
