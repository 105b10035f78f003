"""The routes of limits, described; docs/limits.md says what they mean."""

from typing import Any

from api.rest.describing import Operation, Parameter
from api.rest.limits import CheckBody, ExtendBody, ReserveBody, SettleBody
from domain.access.roles import Permission

_WANTED: dict[str, Any] = {
    "customer": "cus_01m8gtnvtvf3ev7mfxw2tgpb3z",
    "type": "llm.call",
    "properties": {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 4808, "output_tokens": 1000},
}
_LIMIT: dict[str, Any] = {
    "key": "gemini_calls",
    "name": "Gemini calls",
    "unit": "call",
    "limit": "5000",
    "bound": "5000",
    "used": "800",
    "held": "0",
    "asked": "1",
    "state": "active",
    "resets_at": "2026-05-01T00:00:00Z",
}
_ALLOWED: dict[str, Any] = {"allowed": True, "decision": None, "limits": [_LIMIT]}
_HELD: dict[str, Any] = {
    **_ALLOWED,
    "reservation": "rsv_01m8gtnvtvf3ev7mfxw2tgpb3z",
    "expires_at": "2026-04-10T12:10:00Z",
}
_RESERVATION = Parameter(
    "id",
    "path",
    "The reservation, `rsv_…`, as it was answered.",
    {"type": "string", "pattern": "^rsv_"},
    "rsv_01m8gtnvtvf3ev7mfxw2tgpb3z",
)
_REFUSED: dict[str, Any] = {
    "allowed": False,
    "decision": "dec_01m8gtnvtvf3ev7mfxw2tgpb3z",
    "code": "limit_reached",
    "message": "Gemini calls: 1 more would pass 5,000; 5,000 of 5,000 are used. The limit starts anew on 2026-05-01 at "
    "00:00 UTC. The plan Enterprise would allow it.",
    "refusal": {**_LIMIT, "used": "5000", "state": "blocked", "plan": {"key": "enterprise", "name": "Enterprise"}},
    "limits": [{**_LIMIT, "used": "5000", "state": "blocked"}],
}
_LIMIT_REFUSES = {429: ("A limit refuses it; the decision can be explained later.", _REFUSED)}
_HEADS = {
    "RateLimit": "What is left of each limit that has a bound, in whole units, and the seconds until it starts anew.",
    "RateLimit-Policy": "The bound of each such limit, in whole units, and the seconds of its period.",
}
_REFUSALS = (400, 401, 402, 403, 404, 409, 413, 429, 503)
# What ends a reservation asks for nothing: it is refused neither by a limit nor for an unpaid invoice.
_REFUSALS_TO_END = (400, 401, 403, 404, 413, 429, 503)
_HOLDING = "An API key needs `limit:check` beside it."

LIMITS = (
    Operation(
        "POST",
        "/v1/check",
        "checkLimit",
        "May this be used? Holds and changes nothing.",
        "Where each limit stands that such an event feeds; 429 where one of them refuses.",
        _ALLOWED,
        Permission.LIMIT_CHECK,
        bodies={"application/json": _WANTED},
        refusals=_REFUSALS,
        shape=CheckBody,
        answers_too=_LIMIT_REFUSES,
        heads=_HEADS,
    ),
    Operation(
        "POST",
        "/v1/reservations",
        "reserveUsage",
        "Hold what a call may come to, on all limits that it feeds or on none. Safe to repeat with the same `id`.",
        "It was held before.",
        _HELD,
        Permission.USAGE_WRITE,
        _HOLDING,
        bodies={"application/json": {"id": "call-1", **_WANTED, "expires_in_s": 600}},
        refusals=_REFUSALS,
        shape=ReserveBody,
        answers_too={201: ("It is held now.", _HELD), **_LIMIT_REFUSES},
        heads=_HEADS,
    ),
    Operation(
        "POST",
        "/v1/reservations/{id}/extend",
        "extendReservation",
        "Hold it longer, or more of it.",
        "It is held.",
        _HELD,
        Permission.USAGE_WRITE,
        _HOLDING,
        (_RESERVATION,),
        bodies={"application/json": {"expires_in_s": 600}},
        refusals=_REFUSALS,
        shape=ExtendBody,
        answers_too=_LIMIT_REFUSES,
        heads=_HEADS,
    ),
    Operation(
        "POST",
        "/v1/reservations/{id}/settle",
        "settleReservation",
        "Record what was used in the place of what was held: always, and once.",
        "It is recorded; `overrun` says that it lies above what was held.",
        {"status": "counted", "overrun": False},
        Permission.USAGE_WRITE,
        _HOLDING,
        (_RESERVATION,),
        bodies={"application/json": {"status": "measured", "properties": _WANTED["properties"]}},
        refusals=_REFUSALS_TO_END,
        shape=SettleBody,
    ),
    Operation(
        "POST",
        "/v1/reservations/{id}/release",
        "releaseReservation",
        "Give back what was held. Safe to repeat.",
        "`released` says whether anything was still held.",
        {"released": True},
        Permission.USAGE_WRITE,
        _HOLDING,
        (_RESERVATION,),
        refusals=_REFUSALS_TO_END,
    ),
)
