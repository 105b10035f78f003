"""`tollgate tax`, with the settings of an environment, and the files that it reads."""

import asyncio
import base64
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.taxes.commands import tax
from api.taxes.files import TaxFileRefused, read_file
from domain.db import Database

_HEAD = "country,region,tax_code,name,percent,inclusive,valid_from,valid_to\n"
_RATES = (
    "CA,QC,,QST,9.975,no,2013-01-01T00:00:00Z,\n"
    "DE,,books,VAT,7,yes,2021-01-01T00:00:00Z,\n"
    "DE,,,VAT,16,yes,2020-07-01T00:00:00Z,2021-01-01T00:00:00Z\n"
    "DE,,,VAT,19,yes,2021-01-01T00:00:00Z,\n"
)


async def _run(database_url: str, *arguments: str) -> tuple[int, str]:
    """Run a command in a thread, because it runs an event loop of its own."""
    settings = {
        "DATABASE_URL": database_url,
        "REDIS_URL": "unix:///nonexistent/valkey.sock",
        "TOLLGATE_MASTER_KEY": base64.b64encode(b"\x01" * 32).decode(),
    }
    done = await asyncio.to_thread(CliRunner().invoke, tax, arguments, env=settings)
    return done.exit_code, done.output


async def test_an_operator_imports_and_shows_the_table_of_rates(
    db: Database, database_url: str, tmp_path: Path
) -> None:
    assert db is not None
    file = tmp_path / "rates.csv"
    file.write_text(_HEAD + _RATES)
    assert await _run(database_url, "import", str(file)) == (0, "4 rates added\n")
    assert await _run(database_url, "import", str(file)) == (0, "0 rates added\n")
    assert await _run(database_url, "show") == (0, _HEAD + _RATES)
    assert await _run(database_url, "show", "--country", "FR") == (0, _HEAD)
    # All or none: the second row overlaps what is there.
    file.write_text(
        f"{_HEAD}FR,,,TVA,20,yes,2021-01-01T00:00:00Z,\nDE,,,VAT,18,yes,2022-01-01T00:00:00Z,2023-01-01T00:00:00Z\n"
        "DE,,,VAT,17,yes,2022-06-01T00:00:00Z,\n"
    )
    code, _ = await _run(database_url, "import", str(file))
    assert code == 1
    assert await _run(database_url, "show", "--country", "FR") == (0, _HEAD)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        _HEAD.encode(),
        b"country,name\nDE,VAT\n",
        f"{_HEAD}DE,,,VAT,19,no\n".encode(),
        f"{_HEAD}DE,,,VAT,19,no,2021-01-01T00:00:00Z,,more\n".encode(),
        f"{_HEAD}DE,,,VAT,much,no,2021-01-01T00:00:00Z,\n".encode(),
        f"{_HEAD}DE,,,VAT,19,maybe,2021-01-01T00:00:00Z,\n".encode(),
        f"{_HEAD}DE,,,VAT,19,no,2021-01-01,\n".encode(),
        f"{_HEAD}DE,,,VAT,19,no,soon,\n".encode(),
        b"x" * 10_000_001,
    ],
)
def test_a_file_that_is_not_wholly_understood_is_refused(text: bytes) -> None:
    with pytest.raises(TaxFileRefused):
        read_file(text)
