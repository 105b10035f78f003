"""Adapters whose libraries come with their first use do what the adapters behind them do."""

import asyncio
import subprocess
import sys

import pytest

from api.local.processes import PYTHON_ROOT
from api.local.throwaway import TemporaryServers
from domain.access.credentials import TokensUnverifiable
from domain.adapters.late import LateVerifier, LateWakeups
from domain.kernel.ids import CustomerId
from tests import make
from tests.waiting import PATIENCE_S


async def test_a_watcher_in_another_process_hears_of_a_customer(servers: TemporaryServers) -> None:
    here, there = LateWakeups(servers.valkey.url()), LateWakeups(servers.valkey.url())
    customer_id = CustomerId(make.new_id())
    try:
        moved = asyncio.Event()
        async with asyncio.timeout(PATIENCE_S):
            with there.watch(customer_id, moved.set):
                while not moved.is_set():
                    await here.publish([CustomerId(make.new_id()), customer_id])
                    await asyncio.sleep(0.01)
    finally:
        await here.close()
        await there.close()


async def test_wakeups_that_nobody_used_are_closed_and_no_news_needs_no_server() -> None:
    wakeups = LateWakeups("redis://127.0.0.1:1")
    await wakeups.publish([])
    await wakeups.close()


async def test_a_token_cannot_be_verified_while_the_provider_is_out_of_reach() -> None:
    header = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUifQ"  # {"alg":"ES256","kid":"e"}
    verifier = LateVerifier("http://127.0.0.1:1/keys", "idp")
    for _ in range(2):
        with pytest.raises(TokensUnverifiable):
            await verifier.verify(f"{header}.e30.AA", make.at("2026-01-15"))


def test_an_application_is_made_without_the_libraries_that_it_may_never_need() -> None:
    script = """
import sys
from api.app import create_app
from domain.config import read_settings
create_app(read_settings({}))
late = ("alembic", "arq", "babel", "genai_prices", "httpx", "jinja2", "jwt", "pydantic", "redis", "stripe", "typer")
print([name for name in late if name in sys.modules])
"""
    shown = subprocess.run(  # noqa: S603 -- a fixed script
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=PYTHON_ROOT, timeout=60
    )
    assert shown.stdout == "[]\n"
