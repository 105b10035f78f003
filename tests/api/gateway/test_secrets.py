"""Neither a key nor a prompt is kept, whatever becomes of a call: no line of the log and no table has one."""

from typing import Any

import httpx2
import pytest

from tests.api.gateway.conftest import MERCHANT_KEYS, Gate, post
from tests.tollgate_meter import answers
from tests.tollgate_meter.upstream import RESET


class Unforeseen(httpx2.AsyncBaseTransport):
    """Fails in a way that nobody expects, while it has the whole request in its hands."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Fail."""
        held = (request.url, request.headers, request.content)
        raise RuntimeError(f"unforeseen with {len(held)} in hand")


async def _go_wrong_with_secrets(gate: Gate, path: str, body: Any) -> None:
    """Show a key where Google's own clients do, and secrets in every place, to whatever goes wrong."""
    shown = f"?key=keyofmine&alt=sse&prompt=very+secret+plan&{gate.key}"
    said = [answers.candidates("an unlikely answer", answers.GENERATE_USAGE, None), {"error": {"message": gate.key}}]
    gate.upstream.streams(*said, ends=RESET)
    with pytest.raises(httpx2.RemoteProtocolError):
        await post(gate, path.replace("generate", "streamGenerate") + shown, body)
    assert gate.upstream.seen[-1].path.endswith("?alt=sse")
    gate.upstream.replies({"a very secret plan": "an unlikely answer"}, status=500, location="/a-very-secret-plan")
    assert (await post(gate, path + shown, body)).status_code == 500
    refused = {**body, "cachedContent": "a very secret plan"}
    # Without a key in a header, of no operation, with what has no price, and no JSON at all.
    assert (await post(gate, path + shown, body, authorization="", **{"x-other": "keyofmine"})).status_code == 401
    assert (await post(gate, f"/gemini/v1beta/models/pathofmine/files{shown}", body)).status_code == 404
    assert (await post(gate, path + shown, refused)).status_code == 422
    assert (await post(gate, path + shown, b'{"a very secret plan": "\xff"}')).status_code == 400
    proxy = gate.door._proxy
    assert proxy is not None
    before, metered = dict(proxy._metered), Unforeseen()
    for transport in proxy._metered.values():
        transport._inner = metered
    try:
        assert (await post(gate, path + shown, body)).status_code == 500
    finally:
        for transport in before.values():
            transport._inner = proxy._inner


async def test_neither_keys_nor_prompts_are_stored_or_logged(
    gate: Gate, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "tollgate_meter")
    caplog.set_level("DEBUG", "httpx2")
    body = {"contents": [{"role": "user", "parts": [{"text": "a very secret plan"}]}]}
    path = "/gemini/v1beta/models/gemini-2.5-pro:generateContent"
    gate.upstream.replies(answers.candidates("an unlikely answer", answers.GENERATE_USAGE))
    assert (await post(gate, path, body)).status_code == 200
    gate.upstream.replies({"error": {"message": "a very secret plan failed"}}, status=403)
    assert (await post(gate, path, body)).status_code == 502
    await _go_wrong_with_secrets(gate, path, body)
    await gate.settled()

    secrets = ("very secret plan", "unlikely answer", "keyofmine", "pathofmine", gate.key, *MERCHANT_KEYS.values())
    written = capsys.readouterr()
    # The caller is in this process too, and its own client logs what it sends.
    callers = f"HTTP Request: POST {gate.url}"
    logged = written.out + written.err + "".join(line for line in caplog.text.splitlines() if callers not in line)
    assert "gateway_provider_failed" in logged
    assert "gateway_answer_broken" in logged
    assert "request_crashed" in logged
    assert not [secret for secret in secrets if secret in logged]
    for secret in secrets:
        assert await gate.tables_with(secret) == []
    assert await gate.tables_with("gemini-2.5-pro"), "the model is stored, so the search finds what is there"
