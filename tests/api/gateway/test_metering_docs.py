"""The examples of docs/metering.md are run as they stand, with addresses and keys of the test in their places."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.api.gateway.conftest import Gate, asgi_of
from tests.tollgate_meter import answers
from tests.tollgate_meter.product import open_app
from tests.tollgate_meter.tollbooth import Tollbooth
from tests.tollgate_meter.upstream import open_upstream

PAGE = (Path(__file__).parents[3] / "docs" / "metering.md").read_text(encoding="utf-8")
APP, SDK, GATEWAY = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run(example: str) -> dict[str, Any]:
    """Run an example, and return the names that it defines."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example, "docs/metering.md", "exec"), names)  # noqa: S102 -- the page is ours
    return names


def replaced(example: str, *pairs: tuple[str, str]) -> str:
    """Put addresses and keys in; each must be in the example."""
    for text, value in pairs:
        assert text in example
        example = example.replace(text, value)
    return example


async def test_the_example_of_an_app_meters_its_own_path() -> None:
    tollbooth = Tollbooth()
    async with open_upstream() as upstream, open_app(asgi_of(tollbooth)) as tollgate:
        upstream.replies(answers.candidates("Good morning", answers.GENERATE_USAGE))
        names = run(
            replaced(
                APP,
                ("https://billing.example.com", tollgate),
                ("tg_test_product_key", "tg_test_key"),
                ("https://generativelanguage.googleapis.com", upstream.url),
            )
        )
        async with open_app(names["app"], lifespan="on") as url, httpx2.AsyncClient(base_url=url) as client:
            body = {"contents": [{"parts": [{"text": "Say good morning"}]}]}
            answer = await client.post("/api/ask", json=body, headers={"x-customer": "cus_1"})
            assert (answer.status_code, answer.json()["usageMetadata"]["promptTokenCount"]) == (200, 900)
            assert (await client.post("/api/ask", json=body)).status_code == 403
    assert [each["customer"] for each in tollbooth.reserved] == ["cus_1"]
    assert answers.GENERATE_POOLS.items() <= tollbooth.recorded.items()


async def test_the_example_of_an_sdk_streams_and_records(capsys: pytest.CaptureFixture[str]) -> None:
    tollbooth = Tollbooth()
    async with open_upstream() as upstream, open_app(asgi_of(tollbooth)) as tollgate:
        upstream.streams(*answers.CHAT_STREAM)
        example = replaced(
            SDK,
            ("https://billing.example.com", tollgate),
            ("tg_test_product_key", "tg_test_key"),
            ("https://api.openai.com", upstream.url),
        )
        await asyncio.to_thread(run, example)
    assert capsys.readouterr().out == "Good morning"
    assert answers.CHAT_POOLS.items() <= tollbooth.recorded.items()


async def test_the_example_of_the_gateway_reaches_every_provider(
    gate: Gate, tollbooth: Tollbooth, capsys: pytest.CaptureFixture[str]
) -> None:
    gate.upstream.replies(answers.candidates("Good morning", answers.GENERATE_USAGE))
    example = replaced(GATEWAY, ("tg_test_customer_key", gate.key), ("https://billing.example.com/gateway", gate.url))
    names = await asyncio.to_thread(run, example)
    assert capsys.readouterr().out == "Good morning\n"

    def use() -> None:
        say: Any = [{"role": "user", "content": "Hi"}]
        gate.upstream.replies(answers.chat())
        names["gpt"].chat.completions.create(model="gpt-5.1", messages=say)
        names["mistral"].chat.completions.create(model="mistral-large-latest", messages=say)
        gate.upstream.replies(answers.message())
        names["claude"].messages.create(model="claude-example", max_tokens=9, messages=say)
        for name in ("gpt", "mistral", "claude", "gemini"):
            names[name].close()

    await asyncio.to_thread(use)
    await gate.settled()
    found = [each["properties"]["provider"] for each in tollbooth.settled]
    assert found == ["gemini", "openai", "mistral", "anthropic"]
