"""The command line: refusals in one line, and the settings that must not be combined."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from api.local.processes import PYTHON_ROOT, child_environment

TIMEOUT_S = 60


def tollgate(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 -- our own command
        [sys.executable, "-m", "api", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=PYTHON_ROOT,
        env=child_environment({"TOLLGATE_HOME": str(home), **settings}),
        timeout=TIMEOUT_S,
    )


def test_the_commands_are_listed(tmp_path: Path) -> None:
    listed = tollgate(tmp_path, "--help")

    assert listed.returncode == 0
    for command in ("up", "serve", "work", "migrate", "seed", "schema", "clock", "replay", "verify", "redrive"):
        assert f"  {command} " in listed.stdout


_SERVING = {
    # Nothing listens there.
    "DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/d",
    "REDIS_URL": "redis://127.0.0.1:1",
    "STRIPE_SECRET_KEY": "sk_test_1",
    "SMTP_URL": "smtp://127.0.0.1:1",
    "TOLLGATE_MASTER_KEY": base64.b64encode(b"1" * 32).decode(),
    "TOLLGATE_KEY_PEPPER": "p" * 32,
    "TOLLGATE_JWKS_URL": "https://id.example.com/keys",
    "TOLLGATE_PORT": "8431",
}


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (("serve",), {}, "The setting DATABASE_URL is missing: Set it, or start everything"),
        (("work",), {}, "The setting DATABASE_URL is missing"),
        (("migrate",), {}, "The setting DATABASE_URL is missing"),
        (("seed",), {"DATABASE_URL": "postgresql://h/d"}, "The setting TOLLGATE_MASTER_KEY is missing"),
        # Nothing listens there.
        (
            ("migrate",),
            {"DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/d"},
            "PostgreSQL does not answer, or not to us",
        ),
        (
            ("serve",),
            {"TOLLGATE_PORT": "port"},
            "The setting TOLLGATE_PORT is refused: It must be a whole number from 1 to 65535",
        ),
        (("serve",), {**_SERVING, "SMTP_URL": "mail.example:25"}, "The mail server's URL looks like smtp://"),
        (("serve",), {**_SERVING, "STRIPE_SECRET_KEY": "pk_live_1"}, "The secret key of Stripe begins with sk_test_"),
        (("serve",), {**_SERVING, "TOLLGATE_HOST": "203.0.113.7"}, "nothing can listen on 203.0.113.7 port"),
        (("up",), {"DATABASE_URL": "postgresql://h/d"}, "Beside DATABASE_URL the sandbox is refused"),
        (
            ("up",),
            {"DATABASE_URL": "postgresql://h/d", "TOLLGATE_HS256_SECRET": "s" * 32, "STRIPE_SECRET_KEY": "sk_test_1"},
            "The setting TOLLGATE_HS256_SECRET is refused: It is a means of development",
        ),
        (
            ("up",),
            {"STRIPE_SECRET_KEY": "sk_test_1", "STRIPE_API_BASE": "http://127.0.0.1:9"},
            "The setting STRIPE_API_BASE is refused: It is a means of development",
        ),
        (
            ("up",),
            {"STRIPE_SECRET_KEY": "sk_live_1", "TOLLGATE_DEV": "1"},
            "The setting TOLLGATE_DEV is refused: Development means are refused beside a live Stripe key",
        ),
        (("verify",), {}, "start once with `tollgate up`"),
        (("clock", "show", "clk_1"), {}, "start the system with `tollgate up`"),
        (("replay", "/nowhere/trace.csv"), {}, "/nowhere/trace.csv cannot be read (No such file or directory)"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_nothing(
    arguments: tuple[str, ...], settings: dict[str, str], message: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"

    refused = tollgate(home, *arguments, **settings)

    assert refused.returncode == 1
    assert message in refused.stderr
    assert refused.stderr.startswith("tollgate: ")
    assert refused.stderr.count("\n") == 1
    assert refused.stdout == ""
    assert not home.exists()


def test_a_bad_trace_is_refused_with_its_line(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,1,2\nyesterday,1,2\n", "ascii")

    refused = tollgate(tmp_path, "replay", str(trace))

    assert refused.returncode == 1
    assert refused.stderr.startswith("tollgate: line 3: a row is a time such as")


def test_an_instant_without_an_offset_is_a_wrong_argument(tmp_path: Path) -> None:
    refused = tollgate(tmp_path, "clock", "advance", "clk_1", "2027-01-31T00:00:00")

    assert refused.returncode == 2
    assert "with an offset" in refused.stderr


def test_secrets_are_not_in_what_settings_show(tmp_path: Path) -> None:
    script = "from domain.config import read_settings; print(read_settings())"
    names = (
        "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "DATABASE_URL",
        "REDIS_URL",
        "SMTP_URL",
        "TOLLGATE_MASTER_KEY",
        "TOLLGATE_KEY_PEPPER",
        "TOLLGATE_HS256_SECRET",
    )
    settings = {**dict.fromkeys(names, "hidden-value"), "DATABASE_URL": "postgresql://u:hidden-value@h/d"}

    shown = subprocess.run(  # noqa: S603 -- a fixed script
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=PYTHON_ROOT,
        env=child_environment({"TOLLGATE_HOME": str(tmp_path), **settings}),
        timeout=TIMEOUT_S,
    )

    assert "hidden-value" not in shown.stdout
    assert "port=8000" in shown.stdout


def test_nothing_of_the_api_is_loaded_to_list_the_commands() -> None:
    script = (
        "import api.cli, sys; print([name for name in ('sqlalchemy', 'strawberry', 'pydantic') if name in sys.modules])"
    )

    shown = subprocess.run(  # noqa: S603 -- a fixed script
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=PYTHON_ROOT, timeout=60
    )

    assert shown.stdout == "[]\n"


def test_serving_loads_no_parser_of_a_command_line_and_nothing_of_the_api_before_its_settings_are_known_good(
    tmp_path: Path,
) -> None:
    script = """
import sys
from api.__main__ import main
sys.argv = ["tollgate", "serve"]
try:
    main()
except SystemExit as end:
    print(end.code, [name for name in ("typer", "click", "rich", "sqlalchemy", "strawberry") if name in sys.modules])
"""

    refused = subprocess.run(  # noqa: S603 -- a fixed script
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=PYTHON_ROOT,
        env=child_environment({"TOLLGATE_HOME": str(tmp_path)}),
        timeout=TIMEOUT_S,
    )

    assert refused.stdout == "1 []\n"
    assert refused.stderr.startswith("tollgate: The setting DATABASE_URL is missing")


def test_options_of_serve_are_left_to_the_parser(tmp_path: Path) -> None:
    helped = tollgate(tmp_path, "serve", "--help")

    assert helped.returncode == 0
    assert "Serve the API with the settings of the environment." in helped.stdout
