"""The `/_sandbox/` endpoints: order faults, shape deliveries, settle what is on its way, start anew. JSON both ways."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec

from sandbox import bank_transfers, clock, disputes, faults, payment_intents, refunds, setup_intents, waiting
from sandbox.behaviours import CHARGES
from sandbox.call import Call
from sandbox.contract_index import api_version
from sandbox.errors import StripeError, malformed, missing
from sandbox.events import DELIVERIES_DEFAULT
from sandbox.intents import SETTLE_AFTER_DEFAULT_S
from sandbox.presenting import present
from sandbox.store import Document, Store

DELAY_MAX_MS = 600_000
SETTLE_AFTER_MAX_S = 86_400.0
Decoded = TypeVar("Decoded")


class DeliverySettings(msgspec.Struct, forbid_unknown_fields=True):
    """How new deliveries are made; what is not given stays. `hold` keeps all back until it is false again."""

    duplicate: bool | None = None
    delay_ms: int | None = None
    reorder: bool | None = None
    hold: bool | None = None
    first_pause_ms: int | None = None


class Settlement(msgspec.Struct, forbid_unknown_fields=True):
    """How something that is on its way ends."""

    result: Literal["settle", "succeed", "fail"]
    reason: str = "unknown"


class DebitSettings(msgspec.Struct, forbid_unknown_fields=True):
    """When bank debits and pending refunds settle by themselves; null leaves them until they are told."""

    settle_after_s: float | None


class MethodSettings(msgspec.Struct, forbid_unknown_fields=True):
    """What a payment method does from now on: `succeeds`, `authenticates`, `hangs`, or a decline code."""

    behaviour: str


class DisputeOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Why a charge is disputed, and how much of it in minor units; the whole of it unless given."""

    reason: str = "fraudulent"
    amount: int | None = None


class ReturnOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Why a bank returns a debit that had succeeded."""

    reason: str = "insufficient_funds"


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    """How an open dispute ends."""

    result: Literal["won", "lost"]


class Transfer(msgspec.Struct, forbid_unknown_fields=True):
    """The network by which a bank transfer comes, and how much; null is what remains of the invoice that it names."""

    network: Literal["ach", "domestic_wire_us", "swift"] = "domestic_wire_us"
    amount: int | None = None


def answer(store: Store, verb: str, path: str, body: bytes) -> tuple[int, Any]:
    """Act on a control request and give status and JSON body. Raises StripeError for what it does not know."""
    name, _, target = path.removeprefix("/_sandbox/").partition("/")
    key = f"{verb} {name}{'/*' if target else ''}"
    if key == "GET deliveries/*" and target == "pending":
        return 200, {"pending": waiting.pending_deliveries(store)}
    act = ACTIONS.get(key)
    if act is None:
        raise StripeError(404, "invalid_request_error", f"Unknown control request: {verb} {path}", begun=False)
    with store.transaction():
        return 200, act(store, target, body)


def _decoded(body: bytes, kind: type[Decoded]) -> Decoded:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(f"Invalid control request: {error}") from error


def _health(_store: Store, _target: str, _body: bytes) -> Any:
    return {"status": "ok", "api_version": api_version()}


def _reset(store: Store, _target: str, _body: bytes) -> Any:
    store.reset()
    return {"status": "empty"}


def _forget_keys(store: Store, _target: str, _body: bytes) -> Any:
    store.forget_keys(clock.now() + 1)
    return {"status": "forgotten"}


def _order_faults(store: Store, _target: str, body: bytes) -> Any:
    faults.order(store, body)
    return {"faults": faults.ordered(store)}


def _list_faults(store: Store, _target: str, _body: bytes) -> Any:
    return {"faults": faults.ordered(store)}


def _set_deliveries(store: Store, _target: str, body: bytes) -> Any:
    given = msgspec.to_builtins(_decoded(body, DeliverySettings))
    settings = store.setting("deliveries", DELIVERIES_DEFAULT) | {
        name: value for name, value in given.items() if value is not None
    }
    if not all(0 <= settings[name] <= DELAY_MAX_MS for name in ("delay_ms", "first_pause_ms")):
        raise malformed(f"delay_ms and first_pause_ms must be 0..{DELAY_MAX_MS}.")
    store.set_setting("deliveries", settings)
    return settings


def _get_deliveries(store: Store, _target: str, _body: bytes) -> Any:
    return store.setting("deliveries", DELIVERIES_DEFAULT)


def _set_debits(store: Store, _target: str, body: bytes) -> Any:
    after = _decoded(body, DebitSettings).settle_after_s
    if after is not None and not 0 <= after <= SETTLE_AFTER_MAX_S:
        raise malformed(f"settle_after_s must be null or 0..{SETTLE_AFTER_MAX_S}.")
    store.set_setting("settle_after_s", after)
    return {"settle_after_s": after}


def _get_debits(store: Store, _target: str, _body: bytes) -> Any:
    return {"settle_after_s": store.setting("settle_after_s", SETTLE_AFTER_DEFAULT_S)}


def _call(store: Store) -> Call:
    return Call(store, clock.now(), {}, {})


def _settle_debit(store: Store, target: str, body: bytes) -> Any:
    succeeds = _decoded(body, Settlement).result != "fail"
    intent = _call(store).document("payment_intent", target)
    waiting.remove_timers(store, target)
    return present(store, payment_intents.settle(_call(store), intent, succeeds=succeeds))


def _settle_refund(store: Store, target: str, body: bytes) -> Any:
    settlement = _decoded(body, Settlement)
    refund = _call(store).document("refund", target)
    if settlement.result != "fail":
        waiting.remove_timers(store, target)
        return present(store, refunds.settle(_call(store), refund))
    if settlement.reason not in refunds.FAILURES:
        raise malformed(f"reason must be one of {', '.join(sorted(refunds.FAILURES))}.")
    waiting.remove_timers(store, target)
    return present(store, refunds.fail(_call(store), refund, settlement.reason))


def _charge(store: Store, target: str) -> Document:
    """Read a charge by its own id, or the latest one of a payment intent."""
    intent = store.find(target)
    charge = intent["latest_charge"] if intent is not None and intent["object"] == "payment_intent" else target
    return _call(store).document("charge", charge or target)


def _open_dispute(store: Store, target: str, body: bytes) -> Any:
    order = _decoded(body, DisputeOrder)
    if order.reason not in disputes.REASONS:
        raise malformed(f"reason must be one of {', '.join(sorted(disputes.REASONS))}.")
    return present(store, disputes.opened(_call(store), _charge(store, target), order.reason, order.amount))


def _return_debit(store: Store, target: str, body: bytes) -> Any:
    reason = _decoded(body, ReturnOrder).reason
    if reason not in disputes.LATE_RETURNS:
        raise malformed(f"reason must be one of {', '.join(sorted(disputes.LATE_RETURNS))}.")
    return present(store, disputes.returned_late(_call(store), _charge(store, target), reason))


def _decide_dispute(store: Store, target: str, body: bytes) -> Any:
    verdict = _decoded(body, Verdict).result
    dispute = _call(store).document("dispute", target)
    return present(store, disputes.decided(_call(store), dispute, verdict))


def _receive_transfer(store: Store, target: str, body: bytes) -> Any:
    order = _decoded(body, Transfer)
    found = store.find(target)
    if found is not None and found["object"] == "customer":
        customer = _call(store).document("customer", target)
        return present(store, bank_transfers.pushed(_call(store), customer, order.network, order.amount))
    invoice = _call(store).document("invoice", target)
    return present(store, bank_transfers.arrived(_call(store), invoice, order.network, order.amount))


def _authenticate(store: Store, target: str, body: bytes) -> Any:
    succeeds = _decoded(body, Settlement).result != "fail"
    found = store.find(target)
    if found is not None and found["object"] == "setup_intent":
        return present(store, setup_intents.authenticate(_call(store), found, succeeds=succeeds))
    intent = _call(store).document("payment_intent", target)
    return present(store, payment_intents.authenticate(_call(store), intent, succeeds=succeeds))


def _set_method(store: Store, target: str, body: bytes) -> Any:
    behaviour = _decoded(body, MethodSettings).behaviour
    method = store.find(target)
    if method is None or method["object"] != "payment_method":
        raise missing("payment_method", target)
    known = CHARGES[method["type"]]
    if behaviour not in known:
        raise malformed(f"behaviour must be one of {', '.join(sorted(known))}.")
    store.put(method | {"_charge": behaviour})
    return {"payment_method": target, "behaviour": behaviour}


ACTIONS: dict[str, Callable[[Store, str, bytes], Any]] = {
    "GET health": _health,
    "POST reset": _reset,
    "POST forget_keys": _forget_keys,
    "POST faults": _order_faults,
    "GET faults": _list_faults,
    "POST deliveries": _set_deliveries,
    "GET deliveries": _get_deliveries,
    "POST ach": _set_debits,
    "GET ach": _get_debits,
    "POST ach/*": _settle_debit,
    "POST refunds/*": _settle_refund,
    "POST disputes/*": _open_dispute,
    "POST verdicts/*": _decide_dispute,
    "POST returns/*": _return_debit,
    "POST bank_transfers/*": _receive_transfer,
    "POST authenticate/*": _authenticate,
    "POST payment_methods/*": _set_method,
}
