"""A read-only page that shows what the sandbox holds: counts by kind and the newest documents."""

from html import escape

from sandbox import waiting
from sandbox.store import Query, Store

NEWEST_MAX = 20
KINDS = ("customer", "payment_method", "invoice", "payment_intent", "charge", "refund", "subscription", "event")
SHOWN = ("id", "type", "status", "number", "customer", "currency", "total", "amount")
STYLE = "body{font:14px/1.4 system-ui;margin:2rem}td{padding:.1rem 1rem .1rem 0}h2{margin:1.5rem 0 .3rem}"


def render(store: Store) -> bytes:
    """Give the page; every value in it is escaped."""
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Stripe sandbox</title><style>{STYLE}</style>",
        f"<h1>Stripe sandbox</h1><p>Deliveries pending: {waiting.pending_deliveries(store)}</p>",
    ]
    parts += [_section(store, kind) for kind in KINDS]
    return "".join([*parts, "</html>"]).encode()


def _section(store: Store, kind: str) -> str:
    rows = "".join(_row(document) for document in store.select(Query(kind, limit=NEWEST_MAX)))
    return f"<h2>{kind} ({store.count(Query(kind))})</h2><table>{rows}</table>"


def _row(document: dict[str, object]) -> str:
    cells = [str(document[name]) for name in SHOWN if document.get(name) is not None]
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
