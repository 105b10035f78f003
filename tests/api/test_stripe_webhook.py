"""POST /api/webhooks/stripe, over HTTP on real Postgres."""

import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from api.problems import on_refusal
from api.stripe_webhook import BODY_BYTES_MAX, post_stripe_event
from domain.db import Database
from domain.journal.store import outbox_job
from domain.kernel.call import Call, Principal
from domain.kernel.errors import DomainError
from domain.webhooks.store import inbox_event
from tests import make

_AT = make.at("2026-01-15T12:00")
_SECRETS = ("whsec_present", "whsec_before")


@dataclass(frozen=True, slots=True)
class Served:
    """What the endpoint needs of a runtime, at a fixed instant."""

    db: Database
    webhook_secrets: tuple[str, ...] = _SECRETS

    def now(self) -> datetime:
        """Return the instant of the tests."""
        return _AT

    def call(self, by: Principal) -> Call:
        """Start a call."""
        return make.call("2026-01-15T12:00", by)


def _event(**changed: Any) -> bytes:
    event = {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1_768_478_400,
        "data": {"object": {"id": "in_1", "object": "invoice"}},
        "livemode": False,
        "type": "invoice.paid",
    }
    return json.dumps(event | changed).encode()


def _signature(body: bytes, at: datetime = _AT, secret: str = _SECRETS[0]) -> str:
    timestamp = int(at.timestamp())
    return f"t={timestamp},v1={hmac.new(secret.encode(), f'{timestamp}.'.encode() + body, sha256).hexdigest()}"


async def _post(db: Database, body: bytes, signature: str | None = None, **served: Any) -> httpx2.Response:
    app = Starlette(
        routes=[Route("/api/webhooks/stripe", post_stripe_event, methods=["POST"])],
        exception_handlers={DomainError: on_refusal},
    )
    app.state.runtime = Served(db, **served)
    headers = {"Stripe-Signature": signature} if signature is not None else {}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://tests") as client:
        return await client.post("/api/webhooks/stripe", content=body, headers=headers)


async def _stored(db: Database) -> tuple[list[str], int]:
    """Return the ids of the stored events and the number of staged jobs."""
    async with db.transaction() as tx:
        events = [row.event_id for row in await tx.rows(inbox_event.select())]
        return events, len(await tx.rows(outbox_job.select()))


async def test_a_signed_event_is_stored_and_staged_before_the_answer(db: Database) -> None:
    answer = await _post(db, _event(), _signature(_event()))
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert await _stored(db) == (["evt_1"], 1)


async def test_a_repeated_event_is_answered_and_changes_nothing(db: Database) -> None:
    for _ in range(2):
        assert (await _post(db, _event(), _signature(_event()))).status_code == 200
    assert await _stored(db) == (["evt_1"], 1)


async def test_an_event_of_no_interest_is_stored_too(db: Database) -> None:
    body = _event(type="a.type.of.next.year")
    assert (await _post(db, body, _signature(body))).status_code == 200
    assert await _stored(db) == (["evt_1"], 1)


async def test_while_a_secret_rolls_the_one_before_is_accepted(db: Database) -> None:
    body = _event()
    assert (await _post(db, body, _signature(body, secret="whsec_before"))).status_code == 200


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (_event(), None),
        (_event(), ""),
        (_event(), "nonsense"),
        (_event(), _signature(_event(), secret="whsec_forged")),
        (_event(), _signature(_event(), _AT - timedelta(minutes=5, seconds=1))),
        (_event(), _signature(_event(), _AT + timedelta(minutes=5, seconds=1))),
        (_event(id="evt_2"), _signature(_event())),
        (b"not json", _signature(b"not json")),
        (b'{"id": "evt_1", "object": "v2.core.event"}', _signature(b'{"id": "evt_1", "object": "v2.core.event"}')),
        (b"", _signature(b"")),
    ],
    ids=["unsigned", "empty", "nonsense", "forged", "stale", "future", "other body", "not json", "thin", "no body"],
)
async def test_what_is_not_signed_or_no_event_is_refused_and_not_stored(
    db: Database, body: bytes, signature: str | None
) -> None:
    answer = await _post(db, body, signature)
    assert answer.status_code == 400
    assert answer.json()["code"] == "signature_rejected"
    assert await _stored(db) == ([], 0)


async def test_without_a_secret_nothing_is_accepted(db: Database) -> None:
    answer = await _post(db, _event(), _signature(_event(), secret=""), webhook_secrets=())
    assert answer.status_code == 400
    assert await _stored(db) == ([], 0)


async def test_a_body_is_read_no_further_than_its_bound(db: Database) -> None:
    body = _event(padding="x" * BODY_BYTES_MAX)
    answer = await _post(db, body, _signature(body))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert await _stored(db) == ([], 0)
