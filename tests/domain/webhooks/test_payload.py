"""Payloads are thin, the same whenever they are written, and of the version that was pinned."""

import json
from dataclasses import replace
from uuid import UUID

import pytest

from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId
from domain.kernel.money import Money
from domain.webhooks.payload import (
    FIRST,
    Event,
    SchemaVersionUnknown,
    body_of,
    check_version,
    probe_body,
)
from tests import make

_EVENT = Event(
    customer_id=CustomerId(UUID(int=1)),
    id=UUID(int=2),
    environment=Environment.TEST,
    at=make.at("2026-03-01T12:00"),
    told="invoice_paid",
    amount=Money(7900, "USD"),
    metadata={"invoice_id": "inv_1", "paid_by": "att_1", "memo": "private"},
    number=41,
    sequence=3,
)


def test_an_event_is_written_with_its_ids_and_amount_and_nothing_else() -> None:
    # The memo is not in the line of invoice.paid, so it stays inside.
    assert json.loads(body_of(_EVENT, FIRST)) == {
        "id": "bev_00000000000000000000000002",
        "type": "invoice.paid",
        "timestamp": "2026-03-01T12:00:00Z",
        "version": "2026-11-01",
        "environment": "test",
        "customer_id": "cus_00000000000000000000000001",
        "number": 41,
        "sequence": 3,
        "data": {"invoice_id": "inv_1", "paid_by": "att_1", "amount": {"amount": "79.00", "currency": "USD"}},
    }


def test_an_event_is_written_in_the_same_bytes_each_time() -> None:
    again = replace(_EVENT, metadata=dict(reversed(list(_EVENT.metadata.items()))))
    assert body_of(again, FIRST) == body_of(_EVENT, FIRST)


def test_what_tries_an_endpoint_is_about_nothing() -> None:
    body = probe_body("bev_1", Environment.LIVE, FIRST, make.at("2026-03-01"))
    assert json.loads(body) == {
        "id": "bev_1",
        "type": "endpoint.test",
        "timestamp": "2026-03-01T00:00:00Z",
        "version": "2026-11-01",
        "environment": "live",
        "data": {},
    }


def test_an_unknown_version_is_refused() -> None:
    assert check_version("2026-11-01") == "2026-11-01"
    with pytest.raises(SchemaVersionUnknown):
        check_version("2020-01-01")
