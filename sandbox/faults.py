"""Failures ordered in advance: a dropped connection, an error status or a delay, for the next matching requests."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from sandbox.errors import StripeError, malformed
from sandbox.store import Store

TIMES_MAX = 10_000
DELAY_MAX_S = 60.0
NOT_BEGUN = frozenset({401, 403, 409, 429})


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order.

    `operation` is `VERB /v1/template` as in Stripe's reference (`POST /v1/invoices/{invoice}/pay`), `path` an exact
    path; without either every request matches. `when` says whether the request has taken effect by then. With
    `retry_after_s` an error says when to come again.
    """

    kind: Literal["drop", "error", "delay"]
    operation: str | None = None
    path: str | None = None
    when: Literal["before", "after"] = "before"
    status: int = 500
    seconds: float = 0.0
    times: int = 1
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request suffers: at most one fault of each kind and moment was taken for it."""

    faults: tuple[Fault, ...]

    def delay_s(self, when: str) -> float:
        """Give the pause to make at a moment."""
        return sum(fault.seconds for fault in self.faults if fault.kind == "delay" and fault.when == when)

    def drops(self, when: str) -> bool:
        """Tell whether the connection is closed without an answer at a moment."""
        return any(fault.kind == "drop" and fault.when == when for fault in self.faults)

    def error(self, when: str) -> StripeError | None:
        """Give the error to answer with at a moment."""
        for fault in self.faults:
            if fault.kind == "error" and fault.when == when:
                return _error(fault.status, fault.retry_after_s)
        return None


def _error(status: int, retry_after_s: int | None) -> StripeError:
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s is not None else {}
    if status == 429:
        text = (
            "Request rate limit exceeded. You can learn more about rate limits at https://docs.stripe.com/rate-limits."
        )
        return StripeError(status, "invalid_request_error", text, code="rate_limit", begun=False, headers=headers)
    text = "An error was ordered from the sandbox for this request."
    return StripeError(status, "api_error", text, begun=status not in NOT_BEGUN, headers=headers)


def order(store: Store, given: bytes) -> None:
    """Keep the orders of a control request; an empty list forgets all orders."""
    try:
        orders = msgspec.json.decode(given, type=Fault | list[Fault])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(f"Invalid fault: {error}") from error
    wanted = orders if isinstance(orders, list) else [*_kept(store), orders]
    for fault in wanted:
        if not (1 <= fault.times <= TIMES_MAX and 0 <= fault.seconds <= DELAY_MAX_S and 400 <= fault.status < 600):
            raise malformed(f"Bounds: times 1..{TIMES_MAX}, seconds 0..{DELAY_MAX_S}, status 400..599.")
    _keep(store, wanted)


def ordered(store: Store) -> list[Any]:
    """List the orders that are left."""
    return [msgspec.to_builtins(fault) for fault in _kept(store)]


def take(store: Store, operation: str, path: str) -> Plan:
    """Use up one time of each matching order."""
    kept = _kept(store)
    matching = [fault for fault in kept if _matches(fault, operation, path)]
    if matching:
        left = [msgspec.structs.replace(f, times=f.times - 1) if f in matching else f for f in kept]
        with store.transaction():
            _keep(store, [fault for fault in left if fault.times > 0])
    return Plan(tuple(matching))


def _matches(fault: Fault, operation: str, path: str) -> bool:
    return fault.operation in {None, operation} and fault.path in {None, path}


def _kept(store: Store) -> list[Fault]:
    return msgspec.convert(store.setting("faults", []), list[Fault])


def _keep(store: Store, faults: list[Fault]) -> None:
    store.set_setting("faults", msgspec.to_builtins(faults))
