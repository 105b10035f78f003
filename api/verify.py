"""`tollgate verify`: whether a set-up is complete. One check a line, each with what to do when it fails."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from cryptography.exceptions import InvalidTag
from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.local.home import Home, read_secrets
from api.local.ports import LOOPBACK
from api.local.postgres import local_postgres
from api.local.valkey import local_valkey
from api.seed import operator, operator_database
from domain.adapters import redis_address
from domain.adapters.redis import pool_of
from domain.config import SettingMissing, Settings, check_serving
from domain.customers import service as customers
from domain.db import DATABASE_ERRORS
from domain.kernel.errors import DomainError
from domain.kernel.values import dataclass
from domain.payments.pages import store as pages
from domain.plans import service as plans
from domain.privacy.rekeying.service import rekey
from domain.usage import service as usage
from domain.usage.sealing import store as events
from migrations.run import newest_revision, present_revision

REDIS_TIMEOUT_S = 5.0
# Of each sort of value that is plain; more are not counted.
PLAIN_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    good: bool
    detail: str


class Unfit(Exception):
    """A check failed; the text says what is wrong and what to do."""


Check = Callable[[Settings], Awaitable[str]]


def settings_at_home(settings: Settings) -> Settings:
    """Name the embedded servers and the home's secrets where the settings name none. Raises LocalStackError."""
    if settings.real_servers and not settings.dev:
        return settings
    home = Home(settings.home.resolve())
    secrets = read_secrets(home)
    return replace(
        settings,
        dev=True,
        database_url=settings.database_url or local_postgres(home, secrets.home_id).dsn(),
        redis_url=settings.redis_url or local_valkey(home, secrets.home_id).url(),
        master_key=settings.master_key or secrets.master_key,
        key_pepper=settings.key_pepper or secrets.api_key_pepper,
        hs256_secret=settings.hs256_secret or secrets.hs256_secret,
        stripe_secret_key=settings.stripe_secret_key or secrets.sandbox_api_key,
        # No check sends mail: that there is a catcher is enough.
        smtp_url=settings.smtp_url or f"smtp://{LOOPBACK}",
    )


async def verify(settings: Settings) -> list[Finding]:
    """Run every check; one that fails stops no other. Changes nothing."""
    found = []
    for name, check in CHECKS.items():
        try:
            found.append(Finding(name, good=True, detail=await check(settings)))
        except (Unfit, DomainError) as error:
            detail = error.message if isinstance(error, DomainError) else str(error)
            found.append(Finding(name, good=False, detail=detail))
        except DATABASE_ERRORS as error:
            reason = str(error).splitlines()[0]
            found.append(Finding(name, good=False, detail=f"PostgreSQL does not answer ({reason}); see DATABASE_URL"))
    return found


async def _settings(settings: Settings) -> str:
    check_serving(settings)
    if settings.dev:
        return "for development; with servers of your own, leave TOLLGATE_DEV away and set TOLLGATE_JWKS_URL"
    missing = [
        name
        for name, value in (
            ("STRIPE_SECRET_KEY", settings.stripe_secret_key),
            ("STRIPE_WEBHOOK_SECRET", settings.stripe_webhook_secret),
            ("SMTP_URL", settings.smtp_url),
        )
        if not value
    ]
    if missing:
        raise Unfit(f"{', '.join(missing)} must be set too: without them nothing is collected or mailed")
    return "complete"


async def _revision(settings: Settings) -> str:
    if not settings.database_url:
        raise SettingMissing("DATABASE_URL", "Give the address of the database")
    present, newest = await present_revision(settings.database_url), newest_revision()
    if present != newest:
        raise Unfit(f"the database is at revision {present or 'none'}, not {newest}; run: tollgate migrate")
    return f"reachable, at revision {present}"


async def _catalogue(settings: Settings) -> str:
    async with operator(settings) as (tx, _):
        catalogue = await plans.load_catalogue(tx)
    if not catalogue.products:
        raise Unfit("it is empty; run: tollgate seed")
    return f"{len(catalogue.products)} products: {', '.join(product.key for product in catalogue.products)}"


async def _key(settings: Settings) -> str:
    """Read back a sealed value: reading any customer opens its name and address."""
    try:
        async with operator(settings) as (tx, call):
            found = await customers.list_customers(tx, call, limit=1)
    except InvalidTag:
        raise Unfit(
            "it does not open what is stored; set TOLLGATE_MASTER_KEY to the key that this database was used with, "
            "or name that in TOLLGATE_OTHER_MASTER_KEYS"
        ) from None
    if settings.other_master_keys:
        async with operator_database(settings) as database:
            left = sum([each.left + each.lost async for each in rekey(database, is_looked_at=True)])
        if left:
            raise Unfit(f"{left} values are not sealed under TOLLGATE_MASTER_KEY; run: tollgate privacy rekey")
        return "opens everything; TOLLGATE_OTHER_MASTER_KEYS opens nothing more"
    return "opens what it sealed" if found else "nothing is sealed yet"


async def _sealed(settings: Settings) -> str:
    """Open the newest values that are sealed apart from customers, and count those that are plain."""
    try:
        async with operator(settings) as (tx, call):
            await usage.list_quarantined(tx, call, open_only=False, limit=1)
            newest = await pages.find_newest(tx)
            await pages.find_pages(tx, [newest] if newest else [])
            plain = await events.count_plain(tx, limit=PLAIN_MAX) + await pages.count_plain(tx, limit=PLAIN_MAX)
    except InvalidTag:
        raise Unfit("some do not open with TOLLGATE_MASTER_KEY; see the encryption key") from None
    if plain:
        raise Unfit(f"{plain} are plain; the worker seals them within ten minutes, or run: tollgate privacy seal")
    return "all are sealed"


async def _redis(settings: Settings) -> str:
    try:
        redis_address.check(settings.redis_url)
    except redis_address.RedisAddressRefused as error:
        raise Unfit(f"{error}; see REDIS_URL") from None
    client = Redis.from_pool(pool_of(settings.redis_url, REDIS_TIMEOUT_S))
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        raise Unfit(f"it does not answer ({type(error).__name__}); see REDIS_URL") from None
    finally:
        await client.aclose()
    return "reachable"


CHECKS: dict[str, Check] = {
    "settings": _settings,
    "database": _revision,
    "catalogue": _catalogue,
    "encryption key": _key,
    "personal values": _sealed,
    "redis": _redis,
}
