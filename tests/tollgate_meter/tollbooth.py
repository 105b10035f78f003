"""Tollgate in memory, by the contract of its routes: what was held and recorded, and how it can fail."""

from dataclasses import dataclass, field
from typing import Any

import httpx2
import msgspec

from tollgate_meter import BlockingTollsClient, TollsClient

REFUSAL = {
    "allowed": False,
    "decision": "dec_1",
    "code": "limit_reached",
    "message": "You have used 5,000 of 5,000 Gemini calls.",
    "refusal": {"key": "gemini_calls", "limit": "5000", "used": "5000"},
    "limits": [],
}


# What stands before Tollgate answers so while it finds no way there.
_ELSEWHERE = httpx2.Response(404, text="default backend - 404")


@dataclass
class Tollbooth:
    """`mode` is open, refuses, elsewhere, down or misconfigured. `settled` has the bodies of settles.

    So many more settles as `astray` says come to somebody else.
    """

    mode: str = "open"
    reserved: list[dict[str, Any]] = field(default_factory=list)
    settled: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    extended: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    lost_answers: int = 0
    astray: int = 0
    asked: int = 0

    def client(self, **options: Any) -> TollsClient:
        """Make a client that asks it."""
        return TollsClient(
            "http://tollgate", "tg_test_key", first_pause_s=0, transport=httpx2.MockTransport(self.answer), **options
        )

    def blocking_client(self, **options: Any) -> BlockingTollsClient:
        """Make a client without async that asks it."""
        return BlockingTollsClient(
            "http://tollgate", "tg_test_key", first_pause_s=0, transport=httpx2.MockTransport(self.answer), **options
        )

    @property
    def recorded(self) -> dict[str, Any]:
        """What was recorded of the only call: its properties, with the certainty, and without the latency."""
        [body] = self.settled
        latency_ms = body["properties"].pop("latency_ms")
        assert isinstance(latency_ms, int)
        assert latency_ms >= 0
        return {"certainty": body["status"], **body["properties"]}

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Answer as the routes do."""
        self.asked += 1
        assert request.headers["authorization"] == "Bearer tg_test_key"
        body = msgspec.json.decode(request.content)
        path = request.url.path
        if self.mode == "down":
            raise httpx2.ConnectError("nobody there")
        if self.mode == "elsewhere":
            return _ELSEWHERE
        if path == "/v1/events":
            return self._event(body)
        if self.mode == "misconfigured":
            return httpx2.Response(403, json={"code": "forbidden", "title": "NotPermitted"})
        if path == "/v1/reservations":
            return self._reservation(body)
        return self._about(path, body)

    def _event(self, body: dict[str, Any]) -> httpx2.Response:
        self.events.append(body)
        return httpx2.Response(200, json={"results": [{"id": body["id"], "status": "counted"}], "counted": 1})

    def _reservation(self, body: dict[str, Any]) -> httpx2.Response:
        if self.mode == "refuses":
            return httpx2.Response(429, json=REFUSAL, headers={"Retry-After": "60", "X-Other": "kept back"})
        self.reserved.append(body)
        answer: dict[str, Any] = {
            "allowed": True,
            "decision": None,
            "reservation": f"rsv_{len(self.reserved)}",
            "limits": [],
        }
        return httpx2.Response(201, json=answer)

    def _about(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        if path.endswith("/extend"):
            self.extended.append(path)
            return httpx2.Response(200, json={})
        if path.endswith("/release"):
            self.released.append(path)
            return httpx2.Response(200, json={"released": True})
        assert path.endswith("/settle")
        if self.lost_answers:
            self.lost_answers -= 1
            raise httpx2.ReadError("the answer was lost")
        if self.astray:
            self.astray -= 1
            return _ELSEWHERE
        self.settled.append(body)
        return httpx2.Response(200, json={"status": "counted", "overrun": False})
