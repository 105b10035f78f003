"""What all three forms share before a call is sent: find out what it is, ask for it, and say no."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from tollgate_meter.operations import BY_KEY, Found, find, provider_at, provider_named
from tollgate_meter.request import OUTPUT_LIMIT, MeteredCall, read_request
from tollgate_meter.tolls import CallRefused, Properties, TollsMisconfigured, TollsUnavailable

# What a function from request to customer returns for a call that nobody is billed for.
NOT_BILLED: Final = ""
RETRY_AFTER_S = "1"
# SDKs repeat what is refused unless they are told that it does not help.
NOT_AGAIN: Final[Mapping[str, str]] = {"x-should-retry": "false"}
# Operations that are not known, of which each is named once in the log.
UNLISTED_MAX = 256
PATH_LENGTH_MAX = 128
_WORD = re.compile(r"|v\d\w{0,7}|[a-z][a-z_-]{0,31}")
_log = logging.getLogger("tollgate_meter")


class CallUnlisted(Exception):
    """The call asks for what the price list has no price of; the text is the member of its request."""


REFUSALS = (CallRefused, CallUnlisted, TollsUnavailable, TollsMisconfigured)


@dataclass(frozen=True, slots=True)
class Terms:
    """How calls are read.

    `output_limit` is given to a request that states none; None leaves such a request alone. `routes` names the provider
    behind paths of an app's own, such as {"/api/ask": "gemini"}: their bodies are never changed. `unlisted` says what
    becomes of a call that asks for what the price list has no price of: it is refused, or counted at the plain rate.
    """

    output_limit: int | None = OUTPUT_LIMIT
    routes: Mapping[str, str] | None = None
    unlisted: Literal["refuse", "count"] = "refuse"

    def __post_init__(self) -> None:
        """Refuse a provider that is not known."""
        unknown = set((self.routes or {}).values()) - set(BY_KEY)
        if unknown:
            raise ValueError(f"no provider is named {', '.join(sorted(unknown))}; there are {', '.join(BY_KEY)}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer in the place of the provider's. Where a limit is reached, SDKs are told not to ask again at once."""

    status: int
    headers: dict[str, str]
    body: bytes


def candidates_of(terms: Terms, method: str, host: str, path: str) -> tuple[Found, ...]:
    """Return the operations that a request may be of: none, if its body need not be looked at."""
    provider = (terms.routes or {}).get(path)
    if provider is not None:
        return (
            (Found(BY_KEY[provider], BY_KEY[provider].operations[0], None, is_sure=True),) if method == "POST" else ()
        )
    found = find(method, host, path)
    asked = (provider_at(host) or provider_named(path)) if method == "POST" and not found else None
    if asked is not None:
        # Names of operations are words; ids and whatever else may be in a path are not told.
        _say_unlisted(asked.key, "/".join(part if _WORD.fullmatch(part) else "*" for part in path.split("/")))
    return tuple(each for each in found if each.operation.is_metered)


@lru_cache(maxsize=UNLISTED_MAX)
def _say_unlisted(provider: str, operation: str) -> None:
    """Say once that a provider is asked for what is not metered: it may cost money."""
    _log.warning("operation_not_metered provider=%s operation=%s", provider, operation[:PATH_LENGTH_MAX])


def call_of(terms: Terms, candidates: tuple[Found, ...], path: str, body: bytes) -> MeteredCall | None:
    """Read a request of one of the candidates; None where its body shows that it is something else."""
    rewrites = path not in (terms.routes or {})
    return read_request(candidates, path, body, output_limit=terms.output_limit, rewrites=rewrites)


def held_properties(call: MeteredCall) -> Properties:
    """Return the event that a call would become, with the most that it can use."""
    return {**call.names, **call.held}


def refusal_from(error: Exception) -> Refusal:
    """Write the answer to a call that may not be made, or of which nobody knows whether it may."""
    if isinstance(error, CallRefused):
        return refusal(429, error.body, {**NOT_AGAIN, **error.headers})
    if isinstance(error, CallUnlisted):
        message = f"This call cannot be metered: the price list has no price for its {error}."
        return refusal(422, error_body("call_not_meterable", message), {})
    if isinstance(error, TollsUnavailable):
        message = "Whether your plan allows this call cannot be checked now. Try again in a moment."
        return refusal(503, error_body("limits_unavailable", message), {"retry-after": RETRY_AFTER_S})
    _log.error("metering_misconfigured error=%s", error)
    return refusal(503, error_body("metering_misconfigured", "This service is not set up to meter calls."), NOT_AGAIN)


def customer_unknown() -> Refusal:
    """Write the answer to a call for which no customer is named: what nobody pays for is not sold."""
    return refusal(403, error_body("customer_unknown", "It is not known which customer this call is for."), {})


def check_listed(terms: Terms, call: MeteredCall) -> None:
    """Refuse a call that asks for what no price is listed of, unless it is to be counted. Raises CallUnlisted."""
    if call.unlisted:
        _say_unpriced(call.provider, call.unlisted, terms.unlisted)
        if terms.unlisted == "refuse":
            raise CallUnlisted(call.unlisted)


@lru_cache(maxsize=UNLISTED_MAX)
def _say_unpriced(provider: str, member: str, what: str) -> None:
    """Say once what becomes of calls that the price list has no price of."""
    _log.warning("call_without_price provider=%s member=%s unlisted=%s", provider, member, what)


def error_body(code: str, message: str) -> dict[str, Any]:
    """Write an error as every provider's SDK reads it."""
    error = {"type": code, "code": code, "message": message, "status": code.upper(), "param": None}
    return {"type": "error", "error": error}


def refusal(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Refusal:
    """Join the parts of an answer of our own."""
    return Refusal(status, {"content-type": "application/json", **headers}, msgspec.json.encode(body))
