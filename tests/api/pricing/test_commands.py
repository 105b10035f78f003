"""`tollgate prices`, with the settings of an environment."""

import asyncio
import base64
from pathlib import Path

from typer.testing import CliRunner

from api.pricing.commands import prices
from domain.db import Database
from domain.plans import service as plans
from tests import make

_HEAD = "provider,model,pool,above,amount,per,valid_from,valid_to,source\n"


async def _run(database_url: str, *arguments: str) -> tuple[int, str]:
    """Run a command in a thread, because it runs an event loop of its own."""
    settings = {
        "DATABASE_URL": database_url,
        "REDIS_URL": "unix:///nonexistent/valkey.sock",
        "TOLLGATE_MASTER_KEY": base64.b64encode(b"\x01" * 32).decode(),
    }
    done = await asyncio.to_thread(CliRunner().invoke, prices, arguments, env=settings)
    return done.exit_code, done.output


async def test_an_operator_shows_compares_and_imports_a_price_list(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    async with db.transaction() as tx:
        await plans.seed_catalogue(tx, make.call("2026-01-01"))
    code, shown = await _run(database_url, "show", "--provider", "exa", "--csv")
    assert (code, shown) == (0, f"{_HEAD}exa,*,request,0,0.003,1,2020-01-01T00:00:00Z,,merchant's list\n")
    file = tmp_path / "prices.csv"
    file.write_text(f"{_HEAD}exa,deep,request,0,0.01,1,2100-01-01T00:00:00Z,,Exa's list\n")
    for _ in range(2):
        code, told = await _run(database_url, "diff", str(file))
        assert code == 0
        assert told == (
            "+ exa deep request 0.01 USD for 1 from 2100-01-01T00:00:00Z (Exa's list)\n"
            "1 rows added, 0 end, 0 sets are there already, 0 refused\n"
        )
    assert await _run(database_url, "import", str(file)) == (0, "1 rows added\n")
    assert await _run(database_url, "import", str(file)) == (0, "0 rows added\n")
    code, shown = await _run(database_url, "show", "--provider", "exa", "--model", "deep")
    assert code == 0
    assert shown.split()[9:15] == ["exa", "deep", "request", "0", "0.01", "1"]
    code, told = await _run(database_url, "update", "--provider", "gemini", "--model", "gemini-2.5-pro", "--dry-run")
    assert (code, told) == (0, "0 rows added, 0 end, 0 sets are there already, 0 refused\n")
    for options in (["--dry-run"], []):
        start = ["--own", "--from", "2100-01-01T00:00:00Z", *options]
        code, told = await _run(database_url, "update", "--model", "gemini-2.5-pro", *start)
        assert code == 0
        public = "from 2100-01-01T00:00:00Z (genai-prices "
        assert f"+ gemini gemini-2.5-pro input above 200000 2.5 USD for 1000000 {public}" in told
        assert "6 rows added, 2 end" in told
    file.write_text(f"{_HEAD}exa,*,request,,0.01,1,2021-01-01T00:00:00Z,,Exa's list\n")
    code, told = await _run(database_url, "diff", str(file))
    assert code == 1
    assert told.startswith("! exa *: exa * has prices from")
