"""A row as a line of an export: a JSON object, whose ids, numbers and instants are written as the API writes them."""

import base64
import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.kernel.ids import encode
from domain.privacy.inventory import Form, Holding

# What an id is of, by the column that holds it; other ids are written as UUIDs.
_NOUNS = {
    f"{noun}_id": noun
    for noun in (
        *("customer", "clock", "product", "plan_version", "price", "meter", "subscription", "segment", "invoice"),
        *("line", "coupon", "wallet", "top_up", "credit_note", "attempt", "dispute", "unapplied_payment", "method"),
    )
} | {"case_id": "dunning_case", "policy_id": "dunning_policy", "applied_id": "applied_coupon", "entry_id": "entry"}
# What the ids of a table's own rows are of, where the table has another name.
_OWN = {
    "api_key": "key",
    "payment_method": "method",
    "payment_attempt": "attempt",
    "usage_event": "event",
    "unit_grant": "grant",
    "ledger_entry": "entry",
    "subscription_change": "change",
    "limit_decision": "decision",
    "limit_override": "override",
    "audit_entry": "audit",
    "invoice_line": "line",
}
_SAME = frozenset(
    (
        *("invoice", "subscription", "segment", "wallet", "wallet_grant", "top_up", "credit_note", "one_off_charge"),
        *("refund", "dispute", "unapplied_payment", "unapplied_credit", "promotion_code", "scheduled_start", "mail"),
        *("alert", "document", "billing_event", "applied_coupon", "dunning_case"),
    )
)


def line_of(holding: Holding, values: Mapping[str, Any]) -> bytes:
    """Write a row as one line: its table as `record`, then its columns. What is sealed comes opened, as bytes."""
    forms = {each.column: each.form for each in holding.personal}
    written = {name: _written(holding.table, name, forms.get(name), value) for name, value in values.items()}
    return json_line({"record": holding.table, **written})


def json_line(value: Mapping[str, Any]) -> bytes:
    """Write a line of JSON Lines."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _written(table: str, column: str, form: Form | None, value: Any) -> Any:
    """Write a value so that nothing of it is lost: exact numbers as text, bytes in base64."""
    if isinstance(value, list | tuple):
        return [_written(table, column, form, each) for each in value]
    if isinstance(value, UUID):
        return _id(table, column, value)
    if isinstance(value, bytes):
        return _opened(form, value)
    if form is Form.JSON and isinstance(value, str):
        return json.loads(value)
    return _plain(value)


def _opened(form: Form | None, value: bytes) -> Any:
    if form is Form.JSON:
        return json.loads(value)
    return value.decode() if form is Form.TEXT else base64.b64encode(value).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, datetime | date) else value


def _id(table: str, column: str, value: UUID) -> str:
    own = table if table in _SAME else _OWN.get(table)
    noun = own if column == "id" else _NOUNS.get(column)
    return encode(noun, value) if noun else str(value)
