"""`tollgate up`: start what is not given by settings, then migrations, the API and the worker, and watch it all.

Every server that the settings name replaces the embedded one. Means of development (random secrets, HS256 tokens, the
sandbox, demo credentials) are used while no server of the merchant's own is named, or when TOLLGATE_DEV=1 is given.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from api.local import demo, webhooks
from api.local.children import Program, Supervisor, answers_http
from api.local.home import Home, Secrets, lock_home, make_secrets, open_home
from api.local.ports import LOOPBACK, claim_api_port, remembered_ports
from api.local.postgres import Postgres, local_postgres
from api.local.processes import child_environment, last_lines, python_module
from api.local.valkey import Valkey, local_valkey
from api.seed import seed
from domain.config import SettingMissing, Settings, check_development, check_serving, environment_of
from domain.kernel.values import dataclass
from migrations.run import upgrade

Report = Callable[[str], None]
PORTS = ("smtp", "mail", "sandbox")
# Lines of a log that are searched for the worker's own word that it has started.
STARTED_LINES = 50


@dataclass(frozen=True, slots=True)
class Stack:
    """What will run: the settings of every process, and the embedded servers among them; None stands for a real one."""

    home: Home
    secrets: Secrets
    settings: Settings
    postgres: Postgres | None
    valkey: Valkey | None
    sandbox_port: int | None
    smtp_port: int | None
    mail_port: int | None

    @property
    def api_url(self) -> str:
        """The address of the API on this machine."""
        return f"http://{LOOPBACK}:{self.settings.port}"

    @property
    def sandbox_url(self) -> str | None:
        """The address of the Stripe sandbox, if it is started."""
        return None if self.sandbox_port is None else f"http://{LOOPBACK}:{self.sandbox_port}"

    @property
    def mail_url(self) -> str | None:
        """The address of the page with caught mail, if the catcher is started."""
        return None if self.mail_port is None else f"http://{LOOPBACK}:{self.mail_port}"


def up(settings: Settings, report: Report) -> None:
    """Start everything, print where it is, and keep it running until a stop signal. Raises LocalStackError."""
    began_s = time.monotonic()
    check_up(settings)
    claim_api_port(settings.port)
    home = open_home(settings.home)
    with ExitStack() as held:
        held.enter_context(lock_home(home))
        secrets = make_secrets(home)
        demo.forget(home)
        stack = plan(settings, home, secrets)
        supervisor = held.enter_context(Supervisor(report))
        start(supervisor, stack)
        if stack.postgres is not None:
            report(stack.postgres.describe())
        for name, address in _addresses(stack).items():
            report(f"{name:<18}{address}")
        report(f"Tollgate runs, started in {time.monotonic() - began_s:.1f} s. Ctrl-C stops it.")
        supervisor.watch()


def check_up(settings: Settings) -> None:
    """Refuse settings that must not be combined, before anything is made or started.

    Raises SettingMissing, SettingRefused.
    """
    if not settings.real_servers:
        return
    check_development(settings)
    if not settings.dev and not settings.stripe_secret_key:
        names = ", ".join(settings.real_servers)
        advice = f"Beside {names} the sandbox is refused: give the key, or TOLLGATE_DEV=1"
        raise SettingMissing("STRIPE_SECRET_KEY", advice)


def plan(settings: Settings, home: Home, secrets: Secrets) -> Stack:
    """Choose what is started and complete the settings for it. Starts nothing.

    Raises SettingMissing, SettingRefused, LocalStackError.
    """
    ports = remembered_ports(home, PORTS)
    stack = Stack(
        home=home,
        secrets=secrets,
        settings=settings,
        postgres=None if settings.database_url else local_postgres(home, secrets.home_id),
        valkey=None if settings.redis_url else local_valkey(home, secrets.home_id),
        sandbox_port=None if settings.stripe_secret_key else ports["sandbox"],
        smtp_port=None if settings.smtp_url else ports["smtp"],
        mail_port=None if settings.smtp_url else ports["mail"],
    )
    completed = complete(settings, secrets, stack)
    check_serving(completed)
    return replace(stack, settings=completed)


def complete(settings: Settings, secrets: Secrets, stack: Stack) -> Settings:
    """Name the embedded servers in the settings and, in development, fill in the home's secrets."""
    chosen: dict[str, Any] = {"home": stack.home.path}
    if stack.postgres is not None:
        chosen["database_url"] = stack.postgres.dsn()
    if stack.valkey is not None:
        chosen["redis_url"] = stack.valkey.url()
    if stack.sandbox_url is not None:
        chosen |= {"stripe_secret_key": secrets.sandbox_api_key, "stripe_api_base": stack.sandbox_url}
    if stack.smtp_port is not None:
        chosen["smtp_url"] = f"smtp://{LOOPBACK}:{stack.smtp_port}"
    if settings.allowed_hosts:
        # The health check asks by this name.
        chosen["allowed_hosts"] = (*settings.allowed_hosts, f"{LOOPBACK}:{settings.port}")
    if settings.dev or not settings.real_servers:
        chosen |= {
            "dev": True,
            "master_key": settings.master_key or secrets.master_key,
            "key_pepper": settings.key_pepper or secrets.api_key_pepper,
            "hs256_secret": settings.hs256_secret or secrets.hs256_secret,
            # The demo key reports usage of the LLM product, for test customers.
            "gateway_keys": settings.gateway_keys or (secrets.demo_api_key,),
            # So caught mails carry the links that they carry in production.
            "public_url": settings.public_url or stack.api_url,
        }
    return replace(settings, **chosen)


def start(supervisor: Supervisor, stack: Stack) -> None:
    """Start each part when the parts it needs are healthy, beside those that it does not. Raises LocalStackError."""
    helpers = _helpers(stack)
    supervisor.launch(helpers)
    for server in (stack.postgres, stack.valkey):
        if server is not None:
            supervisor.start(server)
    asyncio.run(prepare(stack.settings, stack.secrets.demo_api_key))
    settings = stack.settings
    supervisor.await_health(helpers)
    if stack.sandbox_url is not None:
        secret = webhooks.register(stack.home, stack.sandbox_url, settings.stripe_secret_key, stack.api_url)
        settings = replace(settings, stripe_webhook_secret=(secret,))
    processes = _processes(stack, settings)
    supervisor.launch(processes)
    supervisor.await_health(processes)
    if settings.dev:
        asyncio.run(_demonstrate(stack, settings))


async def prepare(settings: Settings, api_key: str) -> None:
    """Bring the database to the newest revision, fill the catalogue, and store the demo key. Safe to repeat."""
    await upgrade(settings.database_url)
    await seed(settings)
    if settings.dev:
        await demo.ensure_key(settings, api_key)


async def _demonstrate(stack: Stack, settings: Settings) -> None:
    await demo.write(
        stack.home,
        settings,
        stack.secrets,
        api_url=stack.api_url,
        sandbox_url=stack.sandbox_url,
        mail_url=stack.mail_url,
    )


def _addresses(stack: Stack) -> dict[str, str]:
    found = {
        "API": stack.api_url,
        "GraphQL": f"{stack.api_url}/graphql",
        "Stripe sandbox": stack.sandbox_url,
        "Caught mail": stack.mail_url,
        "Demo credentials": str(stack.home.demo) if stack.settings.dev else None,
        "Logs": str(stack.home.logs),
    }
    return {name: address for name, address in found.items() if address is not None}


def _helpers(stack: Stack) -> list[Program]:
    """Return the stand-ins for outside parties that are not given by settings."""
    found = []
    if stack.sandbox_port is not None:
        command = python_module(
            "sandbox",
            "--port",
            str(stack.sandbox_port),
            "--data",
            str(stack.home.sandbox),
            "--api-key",
            stack.settings.stripe_secret_key,
        )
        found.append(_program(stack, "sandbox", command, answers_http(stack.sandbox_port, "/")))
    if stack.mail_port is not None:
        command = python_module(
            "api.local.mail",
            "--smtp-port",
            str(stack.smtp_port),
            "--http-port",
            str(stack.mail_port),
            "--dir",
            str(stack.home.mail),
        )
        found.append(_program(stack, "mail", command, answers_http(stack.mail_port, "/healthz")))
    return found


def _processes(stack: Stack, settings: Settings) -> list[Program]:
    """Return Tollgate's own processes. They get every setting by their environment, and nothing else of ours."""
    variables = environment_of(settings)
    api = python_module("api", "serve")
    worker = python_module("workers")
    return [
        _program(stack, "api", api, answers_http(settings.port, "/readyz"), variables),
        _program(stack, "worker", worker, says_started(stack.home.logs / "worker.log"), variables),
    ]


def _program(
    stack: Stack,
    name: str,
    command: list[str],
    healthy: Callable[[], bool],
    variables: dict[str, str] | None = None,
) -> Program:
    return Program(name, command, child_environment(variables), stack.home.logs / f"{name}.log", healthy)


def says_started(log: Path) -> Callable[[], bool]:
    """Give a health check for the worker, which listens nowhere: it has logged that it started, since now."""
    seen = log.stat().st_size if log.exists() else 0

    def check() -> bool:
        # A log that became shorter was emptied for its size.
        after = seen if log.exists() and log.stat().st_size >= seen else 0
        return any('"worker_started"' in line for line in last_lines(log, STARTED_LINES, after=after))

    return check
