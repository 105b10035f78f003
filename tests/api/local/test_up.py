"""What `tollgate up` starts and with which settings, and the sandbox's webhook endpoint."""

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.local import demo, webhooks
from api.local.children import Program, answers_http
from api.local.errors import LocalStackError
from api.local.home import Home, make_secrets, open_home
from api.local.ports import free_port
from api.local.processes import child_environment, python_module
from api.local.up import plan, says_started
from domain.access.tokens import verify_hs256
from domain.config import SettingMissing, Settings, environment_of, read_settings
from tests.make import at

REAL = {
    "database_url": "postgresql://user@db.example/tollgate",
    "redis_url": "redis://redis.example/0",
    "stripe_secret_key": "sk_test_real",
    "smtp_url": "smtp://mail.example",
}
PRODUCTION = {
    "TOLLGATE_MASTER_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "TOLLGATE_KEY_PEPPER": "p" * 32,
    "TOLLGATE_JWKS_URL": "https://id.example/keys",
}


@pytest.fixture
def home(passable: Path) -> Home:
    return open_home(passable / "home")


def settings(**given: str) -> Settings:
    return read_settings({name.upper(): value for name, value in given.items()})


def test_without_settings_everything_is_embedded_and_in_development(home: Home) -> None:
    secrets = make_secrets(home)

    stack = plan(settings(TOLLGATE_PORT="18090"), home, secrets)

    assert stack.postgres is not None
    assert stack.valkey is not None
    assert stack.settings.database_url == stack.postgres.dsn()
    assert stack.settings.redis_url == stack.valkey.url()
    assert stack.settings.stripe_api_base == stack.sandbox_url
    assert stack.settings.stripe_secret_key == secrets.sandbox_api_key
    assert stack.settings.smtp_url == f"smtp://127.0.0.1:{stack.smtp_port}"
    assert stack.settings.dev
    assert stack.api_url == "http://127.0.0.1:18090"
    variables = environment_of(stack.settings)
    assert variables["TOLLGATE_DEV"] == "1"
    assert variables["TOLLGATE_HS256_SECRET"] == secrets.hs256_secret
    assert variables["TOLLGATE_PORT"] == "18090"
    # Links in caught mails lead to it.
    assert variables["TOLLGATE_PUBLIC_URL"] == stack.api_url
    elsewhere = settings(TOLLGATE_PUBLIC_URL="https://billing.example")
    assert plan(elsewhere, home, secrets).settings.public_url == "https://billing.example"


def test_ports_stay_the_same_from_start_to_start(home: Home) -> None:
    first, again = (plan(settings(), home, make_secrets(home)) for _ in range(2))

    assert (first.sandbox_url, first.mail_url) == (again.sandbox_url, again.mail_url)


def test_with_every_real_server_nothing_is_embedded_and_nothing_is_for_development(home: Home) -> None:
    secrets = make_secrets(home)

    stack = plan(settings(**REAL, **PRODUCTION), home, secrets)

    assert (stack.postgres, stack.valkey, stack.sandbox_url, stack.mail_url) == (None, None, None, None)
    assert not stack.settings.dev
    assert (stack.settings.hs256_secret, stack.settings.public_url) == ("", "")
    assert stack.settings.database_url == "postgresql+asyncpg://user@db.example/tollgate"
    assert secrets.master_key not in environment_of(stack.settings).values()


@pytest.mark.parametrize(
    ("given", "embedded"),
    [
        ("database_url", "postgres"),
        ("redis_url", "valkey"),
        ("stripe_secret_key", "sandbox_url"),
        ("smtp_url", "mail_url"),
    ],
)
def test_one_real_server_replaces_its_own_embedded_one_only(given: str, embedded: str, home: Home) -> None:
    stack = plan(settings(**{given: REAL[given]}, TOLLGATE_DEV="1"), home, make_secrets(home))

    parts = {name: getattr(stack, name) for name in ("postgres", "valkey", "sandbox_url", "mail_url")}
    assert [name for name, part in parts.items() if part is None] == [embedded]
    assert getattr(stack.settings, given).endswith(REAL[given].partition("://")[2])


@pytest.mark.parametrize("missing", PRODUCTION)
def test_beside_real_servers_no_secret_of_the_home_stands_in(missing: str, home: Home) -> None:
    given = {name: value for name, value in PRODUCTION.items() if name != missing}

    with pytest.raises(SettingMissing) as refused:
        plan(settings(**REAL, **given), home, make_secrets(home))

    assert refused.value.name == missing


def test_the_worker_is_healthy_once_it_said_so_since_its_start(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text('{"event": "worker_started"}\n{"event": "relay"}\n', "ascii")
    healthy = says_started(log)

    assert not healthy()
    with log.open("a", encoding="ascii") as file:
        file.write('{"event": "relay"}\n{"event": "worker_started"}\n')
    assert healthy()
    log.write_text('{"event": "worker_started"}\n', "ascii")
    assert healthy()


@contextmanager
def sandbox(home: Home, key: str) -> Iterator[str]:
    port = free_port()
    command = python_module("sandbox", "--port", str(port), "--data", str(home.sandbox), "--api-key", key)
    program = Program("sandbox", command, child_environment(), home.logs / "sandbox.log", answers_http(port, "/"))
    program.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        program.stop()


def endpoints(url: str, key: str) -> list[Any]:
    answer = httpx.get(f"{url}/v1/webhook_endpoints", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    found: list[Any] = answer.raise_for_status().json()["data"]
    return found


def test_one_webhook_endpoint_is_kept_with_its_secret_and_follows_the_port(home: Home) -> None:
    key = make_secrets(home).sandbox_api_key
    with sandbox(home, key) as url:
        first = webhooks.register(home, url, key, "http://127.0.0.1:18090")
        again = webhooks.register(home, url, key, "http://127.0.0.1:18091")

        assert first == again
        assert first.startswith("whsec_")
        assert [each["url"] for each in endpoints(url, key)] == ["http://127.0.0.1:18091/api/webhooks/stripe"]
        assert stat.S_IMODE((home.secrets / "webhook_endpoint").stat().st_mode) == 0o600

        # As if the start had been interrupted between the sandbox's answer and the file.
        (home.secrets / "webhook_endpoint").unlink()
        renewed = webhooks.register(home, url, key, "http://127.0.0.1:18091")

        assert renewed != first
        assert len(endpoints(url, key)) == 1


def test_a_sandbox_that_does_not_answer_is_named(home: Home) -> None:
    with pytest.raises(LocalStackError, match="the sandbox does not take our webhook endpoint"):
        webhooks.register(home, f"http://127.0.0.1:{free_port()}", "sk_test_x", "http://127.0.0.1:18090")


def test_demo_tokens_are_accepted_and_end_within_thirty_days() -> None:
    given = settings(TOLLGATE_HS256_SECRET="s" * 32)
    now = at("2026-01-15T12:00")
    token = demo.sign(given, now, {"sub": "demo-staff", "kind": "staff", "role": "admin"})

    staff = verify_hs256(token, secret="s" * 32, issuer="tollgate", at=now)

    assert staff.may("clock:write")
    # 30 days less 5 minutes after the 15th of January, 12:00.
    assert staff.expires_at == at("2026-02-14T11:55")


def test_a_damaged_or_missing_demo_file_says_how_to_get_one(home: Home) -> None:
    with pytest.raises(LocalStackError, match="start the system with `tollgate up`"):
        demo.read(home.path)
    home.demo.write_text(json.dumps({"api_url": "http://127.0.0.1:1"}), "utf-8")

    with pytest.raises(LocalStackError, match="start the system with `tollgate up`"):
        demo.read(home.path)
