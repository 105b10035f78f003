"""Limits while calls run: check, reserve, extend, settle, release.

    POST /v1/check                     {"customer": "cus_…", "type": "llm.call", "properties": {…}}
    POST /v1/reservations              the same and {"id": "…", "expires_in_s": 600}
    POST /v1/reservations/{id}/extend  {"expires_in_s": 600, "properties": {…}}
    POST /v1/reservations/{id}/settle  {"status": "measured", "properties": {…}, "occurred_at": …, "reference": "…"}
    POST /v1/reservations/{id}/release {}

`properties` are those of the usage event that the call becomes, with upper bounds for what is not known yet. Numbers
are read and written exactly. A refusal is 429 with its numbers, `Retry-After` and the RateLimit headers.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

import msgspec
from starlette.types import Receive, Scope, Send

from api.auth import bearer
from api.bodies import malformed, receive_body
from api.context import Serving
from api.problems import HTTP_STATUS, problem_response
from api.rest.reads import instant
from domain.db import DATABASE_ERRORS
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import encode
from domain.kernel.unreadable import UNREADABLE
from domain.kernel.values import dataclass
from domain.limits.explanation import numbers_of
from domain.limits.judging import Answer, Standing
from domain.limits.request import LimitsUnavailable, Reserved, Wanted
from domain.limits.reservation import EXPIRES_IN_S_DEFAULT, EXPIRES_IN_S_MAX, Measure
from domain.limits.sum import sum_of

# One event has at most 32 properties of 1,000 characters.
BODY_BYTES_MAX = 262_144
_OK, _CREATED, _BAD, _REFUSED = 200, 201, 400, 429
_encoder = msgspec.json.Encoder()


def _told(text: str, **schema: Any) -> msgspec.Meta:
    """Describe a member for the OpenAPI document; what it may be is checked by the domain, which says what to do."""
    return msgspec.Meta(description=text, extra_json_schema=schema or None)


CustomerName = Annotated[str, _told("`cus_…`")]
EventType = Annotated[str, _told("The type of usage event that the call becomes, such as `llm.call`.")]
Estimates = Annotated[dict[str, Any], _told("Those of the event, with upper bounds for what is not known yet.")]
_ID = "The caller's: the same id is the same reservation. With other properties it is refused (`reservation_conflict`)."
Seconds = Annotated[int, _told("For how long to hold it from now on.", minimum=1, maximum=EXPIRES_IN_S_MAX)]


class CheckBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for."""

    customer: CustomerName
    type: EventType
    properties: Estimates = {}


class ReserveBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to hold."""

    customer: CustomerName
    type: EventType
    id: Annotated[str, _told(_ID, minLength=1, maxLength=255)]
    properties: Estimates = {}
    expires_in_s: Seconds = EXPIRES_IN_S_DEFAULT


class ExtendBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For how long to hold, and how much where that is more."""

    expires_in_s: Seconds = EXPIRES_IN_S_DEFAULT
    properties: Annotated[dict[str, Any] | None, _told("A larger estimate; null holds what is held.")] = None


class SettleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was used."""

    status: Annotated[Measure, _told("How the quantities are known.")]
    properties: Annotated[dict[str, Any], _told("Those of the event; without any where the status is unknown.")] = {}
    occurred_at: Annotated[Any, _told("ISO 8601 with a zone, or seconds since 1970; now where it is left out.")] = None
    reference: Annotated[str | None, _told("The product's own id of the call.")] = None


class ReleaseBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing is said."""


_DECODERS: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {
    shape: msgspec.json.Decoder(shape, float_hook=Decimal)
    for shape in (CheckBody, ReserveBody, ExtendBody, SettleBody, ReleaseBody)
}


class Said(msgspec.Struct, frozen=True, gc=False):
    """An answer, not yet sent; its headers have names in small letters. It is an ASGI app that sends it."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    media_type: str = "application/json"

    @property
    def head(self) -> bytes:
        """Its headers, as they are sent."""
        own = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        length = len(self.body)
        return f"content-type: {self.media_type}\r\ncontent-length: {length}\r\n{own}".encode("latin-1")

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [(b"content-type", self.media_type.encode()), (b"content-length", b"%d" % len(self.body))]
        headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


Headers = Iterable[tuple[bytes, bytes]]
Act = Callable[[Serving, Call, Any, str], Awaitable[Said]]
Recall = Callable[[Serving, Call, Any], Said | None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A route: it authenticates, reads the body, acts, and answers refusals as problems that also have a `message`.

    It is an ASGI app, because what Starlette does around a function would double the price of a warm answer.
    `recall` answers from memory alone, or not at all.
    """

    shape: type[msgspec.Struct]
    act: Act
    recall: Recall | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        serving: Serving = scope["app"].state.serving
        try:
            call = await _call(serving, scope)
            body = _decode(self.shape, await receive_body(receive, BODY_BYTES_MAX))
            said = await self.act(serving, call, body, scope["path_params"].get("id", ""))
        except DomainError as refused:
            said = _refused(refused)
        await said(scope, receive, send)

    def at_once(self, serving: Serving, headers: Headers, body: bytes | bytearray) -> Said | None:
        """Answer yes without waiting, or None: then the request is answered as any other, and told why not."""
        now = serving.runtime.now()
        principal = serving.authenticator.remembered(_credential(headers), now)
        if self.recall is None or principal is None or len(body) > BODY_BYTES_MAX:
            return None
        try:
            return self.recall(serving, serving.runtime.call(principal, now), _decode(self.shape, body))
        except DomainError:
            return None


def _check_at_once(serving: Serving, call: Call, body: CheckBody) -> Said | None:
    answer = serving.limits.memory.check(call, Wanted(body.customer, body.type, body.properties))
    return None if answer is None else _checked(answer)


def _reserve_at_once(serving: Serving, call: Call, body: ReserveBody) -> Said | None:
    wanted = Wanted(body.customer, body.type, body.properties)
    reserved = serving.limits.memory.reserve(call, wanted, body.id, expires_in_s=body.expires_in_s)
    return None if reserved is None else _reserved(reserved)


async def _check(serving: Serving, call: Call, body: CheckBody, _: str) -> Said:
    return _checked(await serving.limits.check(call, Wanted(body.customer, body.type, body.properties)))


async def _reserve(serving: Serving, call: Call, body: ReserveBody, _: str) -> Said:
    wanted = Wanted(body.customer, body.type, body.properties)
    return _reserved(await serving.limits.reserve(call, wanted, body.id, expires_in_s=body.expires_in_s))


async def _extend(serving: Serving, call: Call, body: ExtendBody, name: str) -> Said:
    return _reserved(
        await serving.limits.extend(call, name, expires_in_s=body.expires_in_s, properties=body.properties)
    )


async def _settle(serving: Serving, call: Call, body: SettleBody, name: str) -> Said:
    settled = await serving.limits.settle(
        call,
        name,
        measure=body.status,
        properties=body.properties,
        occurred_at=body.occurred_at,
        reference=body.reference,
    )
    verdict = settled.verdict
    said = {"reason": verdict.reason, "message": verdict.message} if verdict.message else {}
    return _json({"status": verdict.status, "overrun": bool(settled.overrun), **said}, _OK)


async def _release(serving: Serving, call: Call, _: ReleaseBody, name: str) -> Said:
    return _json({"released": await serving.limits.release(call, name)}, _OK)


# May something be used now? 200, or 429 with the limit that refuses. Changes nothing.
post_check = Endpoint(CheckBody, _check, _check_at_once)
# Hold an estimate on all limits that it feeds, or on none: 201, 200 when repeated, or 429.
post_reservation = Endpoint(ReserveBody, _reserve, _reserve_at_once)
# Hold a reservation longer, and more: 200, or 429 for more than there is; then what is held stays.
post_extend = Endpoint(ExtendBody, _extend)
# Record what was used, once, also after expiry, release or loss. Safe to repeat.
post_settle = Endpoint(SettleBody, _settle)
# Give a reservation back. Safe to repeat.
post_release = Endpoint(ReleaseBody, _release)


def _refused(refused: DomainError) -> Said:
    """Write a refusal; of the headers of a problem those that tell when to come again, and how to sign in."""
    status = _BAD if refused.kind is Kind.INVALID else HTTP_STATUS[refused.kind]
    problem = problem_response(refused, status=status)
    said = msgspec.json.decode(problem.body) | {"message": refused.message}
    kept = {name: problem.headers[name] for name in ("retry-after", "www-authenticate") if name in problem.headers}
    return Said(status, _encoder.encode(said), kept, str(problem.media_type))


async def _call(serving: Serving, scope: Scope) -> Call:
    now = serving.runtime.now()
    try:
        principal = await serving.authenticator.authenticate(_credential(scope["headers"]), now)
    except DATABASE_ERRORS as fault:
        raise LimitsUnavailable from fault
    return serving.runtime.call(principal, now)


def _credential(headers: Headers) -> str | None:
    for name, value in headers:
        if name == b"authorization":
            return bearer(value.decode("latin-1"))
    return None


def _decode(shape: type[msgspec.Struct], body: bytes | bytearray) -> Any:
    try:
        return _DECODERS[shape].decode(body or b"{}")
    except UNREADABLE as fault:
        raise malformed(fault) from None


def _checked(answer: Answer) -> Said:
    return _answered(answer, _OK, {"decision": _decision(answer)})


def _reserved(reserved: Reserved) -> Said:
    if reserved.reservation is None:
        return _answered(reserved.answer, _OK, {})
    beside = {
        "decision": _decision(reserved.answer),
        "reservation": reserved.reservation.name.text,
        "expires_at": instant(reserved.reservation.expires_at),
    }
    return _answered(reserved.answer, _CREATED if reserved.is_new else _OK, beside)


def _answered(answer: Answer, status: int, beside: dict[str, Any]) -> Said:
    """Write a permit, or a refusal with everything that explains it."""
    headers = rate_limit_headers(answer)
    limits = numbers_of(answer.standings)
    if answer.refused is None:
        return _json({"allowed": True, **beside, "limits": limits}, status, headers)
    [refusal] = numbers_of([answer.refused])
    plan = {"key": answer.plan.key, "name": answer.plan.name} if answer.plan else None
    said = {
        "allowed": False,
        "decision": _decision(answer),
        "code": answer.code,
        "message": answer.message,
        "refusal": {**refusal, "plan": plan},
        "limits": limits,
    }
    return _json(said, _REFUSED, {**headers, "retry-after": str(answer.retry_after_s)})


def rate_limit_headers(answer: Answer) -> dict[str, str]:
    """Write every limit that has a bound as the RateLimit headers do: whole units, cut off; seconds until the reset."""
    policies, left = [], []
    for each in answer.standings:
        if each.bound is not None:
            whole = each.bound.numerator // each.bound.denominator
            policies.append(f'"{each.key}";q={whole};w={each.period_s}')
            left.append(f'"{each.key}";r={_left(each, each.bound, answer)};t={answer.resets_in_s(each)}')
    return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(left)} if left else {}


def _left(standing: Standing, bound: Fraction, answer: Answer) -> int:
    """Say what is left once it was allowed; of what is refused nothing is taken."""
    taken = standing.after if answer.is_allowed else None
    if taken is None:
        taken = sum_of(standing.used, standing.held)
    return max(0, taken.whole_units_below(bound))


def _decision(answer: Answer) -> str | None:
    return encode("decision", answer.decision) if answer.decision is not None else None


def _json(said: dict[str, Any], status: int, headers: dict[str, str] | None = None) -> Said:
    return Said(status, _encoder.encode(said), headers or {})
