"""Events: a frozen picture of an object at each change of state, kept for the list and queued for the endpoints."""

from typing import Any

from sandbox import clock, ids, waiting
from sandbox.call import Call, operation
from sandbox.contract_index import api_version
from sandbox.errors import invalid
from sandbox.listing import PAGING, page
from sandbox.presenting import present
from sandbox.store import Document, Query, Store

ENDPOINTS_MAX = 16
TYPES_MAX = 20
REORDER_WINDOW_S = 0.1
DELIVERIES_DEFAULT = {"duplicate": False, "delay_ms": 0, "reorder": False, "hold": False, "first_pause_ms": 200}


def emit(call: Call, kind: str, document: Document, before: Document | None = None) -> Document:
    """Record that `document` changed and queue the news; `before` gives `previous_attributes` of an update."""
    data: dict[str, Any] = {"object": present(call.store, document)}
    if before is not None:
        data["previous_attributes"] = _previous(present(call.store, before), data["object"])
    event = {
        "id": ids.new("evt"),
        "object": "event",
        "api_version": api_version(),
        "created": call.now,
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": call.request_id, "idempotency_key": call.idempotency_key},
        "type": kind,
    }
    call.store.put(event)
    _queue(call.store, event)
    return event


def emit_update(call: Call, kind: str, document: Document, before: Document) -> None:
    """Emit an update, unless nothing that clients can see has changed."""
    if present(call.store, before) != present(call.store, document):
        emit(call, kind, document, before)


def _previous(before: Document, after: Document) -> Document:
    """Give the former values of what changed; inside objects, only of the parts that changed."""
    changed: Document = {}
    for name, value in before.items():
        now = after.get(name)
        if value == now or name == "lines":
            continue
        if isinstance(value, dict) and isinstance(now, dict) and value.get("object") != "list":
            changed[name] = _previous(value, now)
        else:
            changed[name] = value
    return changed | {name: None for name in after if name not in before}


def _queue(store: Store, event: Document) -> None:
    settings = store.setting("deliveries", DELIVERIES_DEFAULT)
    due_at = clock.precise() + settings["delay_ms"] / 1000 + (REORDER_WINDOW_S if settings["reorder"] else 0)
    for endpoint in store.select(Query("webhook_endpoint", {"status": "enabled"}, limit=ENDPOINTS_MAX)):
        if "*" in endpoint["enabled_events"] or event["type"] in endpoint["enabled_events"]:
            for _ in range(2 if settings["duplicate"] else 1):
                waiting.add_delivery(store, event["id"], endpoint["id"], due_at)


@operation("get", "/v1/events/{id}")
def retrieve(call: Call) -> Document:
    """Read one event; its picture never changes, only the count of deliveries still to be made."""
    return _counted(call.store, call.target("event"))


@operation("get", "/v1/events", takes=f"type types created delivery_success {PAGING}")
def list_events(call: Call) -> Document:
    """List events, newest first; `type` may end in `*`."""
    types, single = call.params.get("types", []), call.params.get("type")
    if types and single:
        raise invalid("You may pass either `type` or `types`, but not both.", code="parameters_exclusive")
    if len(types) > TYPES_MAX:
        raise invalid(f"You may pass at most {TYPES_MAX} types.", param="types")
    wanted = _matching(call.store, single) if single else types
    if single and not wanted:
        wanted = [single]
    answer = page(call, "event", "/v1/events", types=wanted, delivered=call.params.get("delivery_success"))
    answer["data"] = [_counted(call.store, event) for event in answer["data"]]
    return answer


def _matching(store: Store, pattern: str) -> list[str]:
    if not pattern.endswith("*"):
        return [pattern]
    rows = store.sql.execute("SELECT DISTINCT filed_under FROM document WHERE kind = 'event'")
    return [kind for (kind,) in rows if kind.startswith(pattern[:-1])]


def _counted(store: Store, event: Document) -> Document:
    return event | {"pending_webhooks": waiting.pending_deliveries(store, event["id"])}
