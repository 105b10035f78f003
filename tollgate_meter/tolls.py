"""What is said to Tollgate about a call, and what its answers mean: no network here.

Before a call its most is held: `POST /v1/reservations`. After it what it used is recorded: `…/settle`, once for each
hold whatever is repeated. The usage of a call that was allowed unchecked is posted as an event with the hold's id
(`POST /v1/events`).
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tollgate_meter.reading import Certainty

RESERVATIONS, EVENTS = "/v1/reservations", "/v1/events"
EVENT_TYPE = "llm.call"
# A hold that nobody extends ends by itself; a stream extends its own at half of this time.
HOLD_S = 600
_OK, _CREATED, _NOT_FOUND, _REFUSED = 200, 201, 404, 429
_PASSING = frozenset((408, 429, 500, 502, 503, 504))
# Headers of a refusal that are passed on; they say when to try again.
REFUSAL_HEADERS = ("retry-after", "ratelimit", "ratelimit-policy")
# It becomes a part of a path.
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
Properties = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hold:
    """What was allowed. An unenforced one was not checked by anybody, and its usage is posted as an event."""

    id: str
    customer: str
    is_enforced: bool
    reservation: str = ""


class CallRefused(Exception):
    """The call may not be made: a limit of the customer's is reached. `body` says which, for the caller."""

    def __init__(self, body: dict[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(body["error"]["message"])
        self.body = body
        self.headers = dict(headers)


class TollsUnavailable(Exception):
    """Tollgate did not answer, so whether the call may be made is not known."""


class TollsMisconfigured(Exception):
    """Tollgate does not accept what it is asked: the key, its scopes or the customer's id are wrong."""


def new_hold_id() -> str:
    """Make the id of a hold: the identity under which the call is recorded once."""
    return f"call_{secrets.token_hex(16)}"


def reserve_body(hold_id: str, customer: str, properties: Properties) -> bytes:
    """Write the body of a reservation."""
    return msgspec.json.encode(
        {
            "id": hold_id,
            "customer": customer,
            "type": EVENT_TYPE,
            "properties": properties,
            "expires_in_s": HOLD_S,
        }
    )


def read_reservation(hold_id: str, customer: str, status: int, headers: Mapping[str, str], content: bytes) -> Hold:
    """Say what an answer to a reservation means. Raises CallRefused, TollsUnavailable, TollsMisconfigured."""
    answer = _object(content)
    name = answer.get("reservation")
    if status in {_OK, _CREATED} and isinstance(name, str) and _NAME.fullmatch(name):
        return Hold(hold_id, customer, is_enforced=True, reservation=name)
    if status == _REFUSED and answer.get("allowed") is False:
        raise CallRefused(refusal_of(answer), {name: headers[name] for name in REFUSAL_HEADERS if name in headers})
    _raise_for(status, answer)
    raise TollsUnavailable(f"an answer of status {status} without a reservation")


def _raise_for(status: int, answer: Mapping[str, Any]) -> None:
    code = answer.get("code")
    # Whoever answers 404 without a code is not Tollgate, but something before it that finds no way there.
    if status in _PASSING or status < 400 or (status == _NOT_FOUND and code is None):
        raise TollsUnavailable(f"status {status}")
    raise TollsMisconfigured(f"status {status}: {code}")


def refusal_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Write a refusal so that every provider's SDK finds its message where it looks for one."""
    message = answer.get("message")
    text = message if isinstance(message, str) else "A limit of your plan is reached."
    code = str(answer.get("code") or "limit_reached")
    error = {"type": code, "code": code, "message": text, "status": "RESOURCE_EXHAUSTED", "param": None}
    kept = {name: answer[name] for name in ("decision", "refusal", "limits") if name in answer}
    return {"type": "error", "error": error, "allowed": False, **kept}


@dataclass(frozen=True, slots=True)
class Message:
    """One request to Tollgate."""

    path: str
    body: bytes


def settle_message(hold: Hold, certainty: Certainty, properties: Properties) -> Message:
    """Write what records a call: the settling of its hold, or an event where nothing was held."""
    if hold.is_enforced:
        body = {"status": certainty, "properties": properties, "reference": hold.id}
        return Message(f"{RESERVATIONS}/{hold.reservation}/settle", msgspec.json.encode(body))
    return event_message(hold, certainty, properties)


def event_message(hold: Hold, certainty: Certainty, properties: Properties) -> Message:
    """Write the usage event of a call that was not held."""
    event = {
        "id": hold.id,
        "type": EVENT_TYPE,
        "customer": hold.customer,
        "properties": {**properties, "certainty": certainty},
    }
    return Message(EVENTS, msgspec.json.encode(event))


def release_message(hold: Hold) -> Message:
    """Write what gives a hold back of which nothing was used."""
    return Message(f"{RESERVATIONS}/{hold.reservation}/release", b"{}")


def extend_message(hold: Hold) -> Message:
    """Write what lets a hold live for HOLD_S more."""
    return Message(f"{RESERVATIONS}/{hold.reservation}/extend", msgspec.json.encode({"expires_in_s": HOLD_S}))


def check_recorded(status: int, content: bytes) -> None:
    """Return when a call is recorded. Raises TollsUnavailable, TollsMisconfigured."""
    answer = _object(content)
    if status not in {_OK, _CREATED}:
        _raise_for(status, answer)
        raise TollsUnavailable(f"status {status}")
    verdicts = answer.get("results")
    if isinstance(verdicts, list) and any(each.get("status") == "rejected" for each in verdicts):
        raise TollsMisconfigured("the event was rejected")


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
