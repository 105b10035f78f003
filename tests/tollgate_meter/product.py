"""A product's own app on a loopback port: it passes LLM calls on to a provider, and is wrapped in the middleware."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.waiting import until


def product(upstream_url: str) -> Starlette:
    """Make an app that passes /llm/... on, streams as they come, and answers /api/ask in a form of its own."""

    async def pass_on(request: Request) -> Response:
        client = httpx2.AsyncClient()
        url = f"{upstream_url}{request.url.path.removeprefix('/llm')}"
        sent = client.build_request("POST", url, content=await request.body(), params=request.query_params)
        answer = await client.send(sent, stream=True)

        async def parts() -> AsyncIterator[bytes]:
            try:
                async for part in answer.aiter_raw():
                    yield part
            finally:
                await answer.aclose()
                await client.aclose()

        return StreamingResponse(parts(), answer.status_code, media_type=answer.headers["content-type"])

    async def ask(request: Request) -> Response:
        question = (await request.json())["question"]
        return JSONResponse({"answer": f"You asked: {question}"})

    async def note(request: Request) -> Response:
        return JSONResponse({"noted": (await request.json())["text"]})

    async def crash(_: Request) -> Response:
        raise RuntimeError("a fault of the app")

    return Starlette(
        routes=[
            Route("/llm/crash/v1/messages", crash, methods=["POST"]),
            Route("/llm/{path:path}", pass_on, methods=["POST"]),
            Route("/api/v1/messages", note, methods=["POST"]),
            Route("/api/ask", ask, methods=["POST"]),
        ]
    )


@asynccontextmanager
async def open_app(app: Any, lifespan: Literal["on", "off"] = "off") -> AsyncIterator[str]:
    """Serve an app on a port of this machine, and give its address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan=lifespan))
        task = asyncio.create_task(server.serve([listener]))
        await until(lambda: server.started or task.done(), "the start of the app")
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
