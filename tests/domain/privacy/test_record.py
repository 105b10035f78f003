"""A row becomes a line of JSON without losing anything."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.privacy.inventory import inventory
from domain.privacy.record import json_line, line_of

ID = UUID(int=1)
LETTERS = "0" * 25 + "1"


def read(table: str, **values: Any) -> dict[str, Any]:
    """Write a row of a table and read it again."""
    line = line_of(inventory()[table], values)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_says_which_record_it_is_and_ids_are_those_of_the_api() -> None:
    assert read("invoice_line", customer_id=ID, id=ID, invoice_id=ID, description="Fee\nand more") == {
        "record": "invoice_line",
        "customer_id": f"cus_{LETTERS}",
        "id": f"line_{LETTERS}",
        "invoice_id": f"inv_{LETTERS}",
        "description": "Fee\nand more",
    }
    assert read("payment_method", id=ID)["id"] == f"pm_{LETTERS}"
    assert read("invoice", id=ID)["id"] == f"inv_{LETTERS}"
    # What the API gives no id of keeps its UUID.
    assert read("customer_credit", about=ID) == {"record": "customer_credit", "about": str(ID)}


def test_numbers_and_instants_stay_exact() -> None:
    at = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
    found = read("usage_event", cost=Decimal("0.000000000000000001"), occurred_at=at, price_ids=[ID], corrects=None)
    assert found["cost"] == "0.000000000000000001"
    assert found["occurred_at"] == "2026-01-31T12:00:00.123456+00:00"
    assert found["price_ids"] == [str(ID)]
    assert found["corrects"] is None
    assert read("invoice", total=date(2026, 1, 2))["total"] == "2026-01-02"


def test_what_was_sealed_is_text_json_or_a_file() -> None:
    assert read("customer", name="Ada \u00e9".encode())["name"] == "Ada \u00e9"
    assert read("billing_profile", address=b'["Street 1","","Bern","3000"]')["address"] == [
        "Street 1",
        "",
        "Bern",
        "3000",
    ]
    # Base64 of the bytes 37 80 68 70 is JVBERg==.
    assert read("document", sealed=b"%PDF")["sealed"] == "JVBERg=="
    assert read("usage_event", properties='{"calls":"1"}')["properties"] == {"calls": "1"}


def test_what_no_line_is_made_of_can_be_written_too() -> None:
    assert json_line({"record": "end"}) == b'{"record":"end"}\n'
