"""The page at `/`: what the sandbox holds, and forms that make things happen. Server-rendered, without scripts.

Whoever reaches the port may look and act without a key, as the data is made up; `app` lets in loopback names only and
posts only from the page itself. Each form becomes a request to a control endpoint and is checked there.
"""

from typing import Any
from urllib.parse import urlencode

import msgspec

from sandbox import control, faults, forms, waiting
from sandbox.errors import StripeError, malformed
from sandbox.page_actions import find, general, offered
from sandbox.page_parts import HEADERS, dump, form, link, moment, table, text, whole
from sandbox.presenting import present
from sandbox.replies import Reply
from sandbox.store import Document, Query, Store

ROWS_MAX = 25
KINDS = (
    "customer", "payment_method", "setup_intent", "invoice", "payment_intent", "charge", "refund", "dispute",
    "credit_note", "subscription", "event", "webhook_endpoint",
)  # fmt: skip
SHOWN = ("type", "status", "number", "email", "url", "reason", "customer", "invoice", "charge", "payment_intent")
AMOUNTS = ("total", "amount")
HTML = "text/html; charset=utf-8"
SEQ_MAX = 2**63 - 1
SEQ_DIGITS_MAX = 18


def show(store: Store, query: str, *, status: int = 200, told: str = "") -> Reply:
    """Show the overview, a list (`kind`, `before`), a document (`id`) or the deliveries."""
    given = dict(forms.pairs(query))
    told = told or given.get("told", "")
    if "id" in given:
        return _document(store, given["id"], status, told)
    if given.get("kind") in KINDS:
        return _reply(status, f"{given['kind']}s", _list(store, given["kind"], given.get("before", "")), told)
    if given.get("kind") == "delivery":
        return _reply(status, "Deliveries", _deliveries(store, given.get("before", "")), told)
    return _reply(status, "Stripe sandbox", _overview(store), told)


def act(store: Store, body: bytes) -> Reply:
    """Carry a posted form out through its control endpoint, then send the browser back to what it was about."""
    target = ""
    try:
        given = dict(forms.pairs(body.decode("utf-8", "replace")))
        target = given.get("target", "")
        done = _carried_out(store, given, target)
    except StripeError as error:
        about = urlencode({"id": target}) if target else ""
        return show(store, about, status=error.status, told=str(error.body()["error"]["message"]))
    view = {"id": target} if target else {}
    return Reply(303, b"", {"Location": f"/?{urlencode(view | {'told': done})}"} | HEADERS, kind=HTML)


def _carried_out(store: Store, given: dict[str, str], target: str) -> str:
    document = store.find(target) if target else None
    action = None if target and document is None else find(store, given.get("do", ""), document)
    if action is None:
        raise malformed("That cannot be done any more; the page may have been old.")
    path = "/_sandbox/" + action.path.format(target)
    control.answer(store, "POST", path, msgspec.json.encode(action.body(given)))
    return f"Done: {action.label}."


def _reply(status: int, title: str, body: str, told: str) -> Reply:
    return Reply(status, whole(title, body, told), HEADERS, kind=HTML)


def _overview(store: Store) -> str:
    counts = "".join(f"{link(kind, kind=kind)} <em>{store.count(Query(kind))}</em> &ensp;" for kind in KINDS)
    pending = waiting.pending_deliveries(store)
    ordered = [[text(name) for name in fault.values()] for fault in faults.ordered(store)[:ROWS_MAX]]
    heads = ["kind", "operation", "path", "when", "status", "seconds", "times", "retry after"]
    return (
        f"<nav>{counts}{link('deliveries', kind='delivery')} <em>{pending} pending</em></nav>"
        f"<section><h2>Newest invoices</h2>{_rows(store.select(Query('invoice', limit=5)))}</section>"
        f"<section><h2>Newest payments</h2>{_rows(store.select(Query('payment_intent', limit=5)))}</section>"
        f"<section><h2>Newest payment methods</h2>{_rows(store.select(Query('payment_method', limit=5)))}</section>"
        f"<section><h2>Faults that are ordered</h2>{table(heads, ordered)}</section>"
        f"<div class=forms>{''.join(form(action) for action in general())}</div>"
    )


def _list(store: Store, kind: str, before: str) -> str:
    below = store.sequence(kind, before) if before else None
    found = store.select(Query(kind, below=below, limit=ROWS_MAX + 1))
    older = link("Older", kind=kind, before=found[ROWS_MAX - 1]["id"]) if len(found) > ROWS_MAX else ""
    return f"<section><h2>{text(kind)} ({store.count(Query(kind))})</h2>{_rows(found[:ROWS_MAX])}{older}</section>"


def _rows(documents: list[Document]) -> str:
    return table(["id", "created", "amount", "about"], [_row(each) for each in documents])


def _row(document: Document) -> list[str]:
    about = " &middot; ".join(_value(document[name]) for name in SHOWN if document.get(name))
    created = document.get("created")
    return [link(document["id"], id=document["id"]), text(moment(created)) if created else "", _amount(document), about]


def _value(value: Any) -> str:
    return link(value, id=value) if _is_id(value) else text(value)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value.split("_")[0] in {"cus", "in", "pi", "pm", "ch", "py", "dp", "du", "evt"}


def _amount(document: Document) -> str:
    amounts = [document[name] for name in AMOUNTS if isinstance(document.get(name), int)]
    return f"{text(amounts[0])} {text(document.get('currency', ''))}" if amounts else ""


def _deliveries(store: Store, before: str) -> str:
    below = int(before) if before.isdecimal() and len(before) <= SEQ_DIGITS_MAX else SEQ_MAX
    found = waiting.list_deliveries(store, below, ROWS_MAX + 1)
    rows = [
        [link(row.event, id=row.event), text(row.type), link(row.endpoint, id=row.endpoint), text(row.state),
         text(row.tries), text(moment(row.due_at))]
        for row in found[:ROWS_MAX]
    ]  # fmt: skip
    older = link("Older", kind="delivery", before=found[ROWS_MAX - 1].seq) if len(found) > ROWS_MAX else ""
    heads = ["event", "type", "endpoint", "state", "tries", "due"]
    return f"<section><h2>Deliveries</h2>{table(heads, rows)}{older}</section>"


def _document(store: Store, identifier: str, status: int, told: str) -> Reply:
    document = store.find(identifier)
    if document is None:
        return _reply(404, "Unknown", "<section>There is no such document.</section>", told)
    actions = "".join(form(action, identifier) for action in offered(store, document))
    related = "".join(f"<section><h2>{text(kind)}</h2>{rows}</section>" for kind, rows in _related(store, document))
    shown = dump(present(store, document))
    head = f"<h2>{link(document['object'], kind=document['object'])} {text(identifier)}</h2>"
    return _reply(
        status, identifier, f"{head}<div class=forms>{actions}</div>{related}<section>{shown}</section>", told
    )


def _related(store: Store, document: Document) -> list[tuple[str, str]]:
    """Give tables of what hangs on a document: a customer's documents, an intent's charges, a charge's reversals."""
    below = {
        "customer": [("payment_method", "customer"), ("invoice", "customer"), ("payment_intent", "customer")],
        "payment_intent": [("charge", "payment_intent")],
        "charge": [("refund", "charge"), ("dispute", "charge")],
    }.get(document["object"], [])
    tables = [(kind, store.select(Query(kind, {name: document["id"]}, limit=ROWS_MAX))) for kind, name in below]
    intent = store.find(document.get("_intent") or "")
    tables += [("payment_intent", [intent])] if intent else []
    return [(kind, _rows(found)) for kind, found in tables if found]
