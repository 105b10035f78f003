"""`tollgate` as a test runs it: with the settings of an environment, and in a thread, for it has an event loop."""

import asyncio
import base64
from collections.abc import Mapping

from typer.testing import CliRunner

from api.cli import app


async def run(database_url: str, *arguments: str, given: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a command and return its status and what it told. A refusal is raised, as `main` catches it.

    `given` are further settings.
    """
    settings = {
        "DATABASE_URL": database_url,
        "REDIS_URL": "unix:///nonexistent/valkey.sock",
        "TOLLGATE_MASTER_KEY": base64.b64encode(b"\x01" * 32).decode(),
        **(given or {}),
    }
    done = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=settings)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output
