"""Settings: the only place that reads the environment.

Two ways to run. On embedded defaults `tollgate up` starts every server, makes the secrets and hands them to its
children. Against real servers the merchant sets the URLs and secrets; then means of development (HS256 tokens, demo
credentials, seeds for tests, the sandbox) are refused unless TOLLGATE_DEV=1, which a live Stripe key forbids.
"""

import base64
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from domain.adapters import postgres_address, redis_address
from domain.alerts.preference import ThresholdsMalformed, check_thresholds
from domain.kernel.errors import DomainError, Kind

_KEY_BYTES = 32
# 32 letters of base64 are 24 bytes.
_HOOK_SECRET = re.compile(r"whsec_(?:[A-Za-z0-9+/]{4}){8,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_WEBHOOK_SECRET = re.compile(r"whsec_\S+")
_SECRET_BYTES_MIN = 32
# As browsers name a server in Host, with a port where it is not the usual one.
_HOST = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_MAIL = re.compile(r"[^@\s<>,]+@[^@\s<>,]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
# Free customers who begin to pay, MRR that expands in a year and customers who leave in a month, all in
# percent, and a lifetime's value for each unit that winning a customer cost.
_TARGETS = {"conversion": Decimal(5), "expansion": Decimal(20), "churn": Decimal(5), "value_to_cost": Decimal(3)}
_TARGET = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4})?")
_ON, _OFF = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off")


@dataclass(eq=False)
class SettingMissing(DomainError):
    """The setting {name} is missing: {advice}."""

    code = "setting_missing"
    kind = Kind.UNAVAILABLE
    name: str
    advice: str


@dataclass(eq=False)
class SettingRefused(DomainError):
    """The setting {name} is refused: {advice}."""

    code = "setting_refused"
    kind = Kind.UNAVAILABLE
    name: str
    advice: str


def _setting(default: Any, variable: str | None = None, *, secret: bool = False, bounds: range | None = None) -> Any:
    """Make a setting. Its variable is its name in capitals unless another is given; a secret one is never shown."""
    return field(default=default, repr=not secret, metadata={"variable": variable, "bounds": bounds})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, and the environment variable it is read from. Secrets have no default."""

    database_url: str = _setting("", secret=True)
    redis_url: str = _setting("", secret=True)
    live_redis_url: str = _setting("", secret=True)
    stripe_secret_key: str = _setting("", secret=True)
    stripe_webhook_secret: tuple[str, ...] = _setting((), secret=True)
    stripe_api_base: str = _setting("")
    stripe_calls_per_s: int = _setting(0, "TOLLGATE_STRIPE_CALLS_PER_S", bounds=range(1_001))
    smtp_url: str = _setting("", secret=True)
    mail_from: str = _setting("billing@localhost", "TOLLGATE_MAIL_FROM")
    mail_test_allow: tuple[str, ...] = _setting((), "TOLLGATE_MAIL_TEST_ALLOW")
    staff_mail: tuple[str, ...] = _setting((), "TOLLGATE_STAFF_MAIL")
    mail_hook_secret: tuple[str, ...] = _setting((), "TOLLGATE_MAIL_HOOK_SECRET", secret=True)
    merchant_name: str = _setting("Tollgate Demo", "TOLLGATE_MERCHANT_NAME")
    merchant_address: tuple[str, ...] = _setting((), "TOLLGATE_MERCHANT_ADDRESS")
    public_url: str = _setting("", "TOLLGATE_PUBLIC_URL")
    port: int = _setting(8000, "TOLLGATE_PORT", bounds=range(1, 65_536))
    host: str = _setting("127.0.0.1", "TOLLGATE_HOST")
    home: Path = _setting(Path(".tollgate"), "TOLLGATE_HOME")  # noqa: RUF009 -- a dataclass field, as from field()
    dev: bool = _setting(default=False, variable="TOLLGATE_DEV")
    master_key: str = _setting("", "TOLLGATE_MASTER_KEY", secret=True)
    other_master_keys: tuple[str, ...] = _setting((), "TOLLGATE_OTHER_MASTER_KEYS", secret=True)
    key_pepper: str = _setting("", "TOLLGATE_KEY_PEPPER", secret=True)
    key_peppers_before: tuple[str, ...] = _setting((), "TOLLGATE_KEY_PEPPERS_BEFORE", secret=True)
    hs256_secret: str = _setting("", "TOLLGATE_HS256_SECRET", secret=True)
    jwks_url: str = _setting("", "TOLLGATE_JWKS_URL")
    token_issuer: str = _setting("tollgate", "TOLLGATE_TOKEN_ISSUER")
    allowed_hosts: tuple[str, ...] = _setting((), "TOLLGATE_ALLOWED_HOSTS")
    alert_thresholds: tuple[str, ...] = _setting(("llm:80/90/100", "edge:80/100"), "TOLLGATE_ALERT_THRESHOLDS")
    revenue_targets: tuple[str, ...] = _setting((), "TOLLGATE_REVENUE_TARGETS")
    gateway_keys: tuple[str, ...] = _setting((), "TOLLGATE_GATEWAY_KEYS", secret=True)
    openai_key: str = _setting("", "TOLLGATE_OPENAI_KEY", secret=True)
    anthropic_key: str = _setting("", "TOLLGATE_ANTHROPIC_KEY", secret=True)
    gemini_key: str = _setting("", "TOLLGATE_GEMINI_KEY", secret=True)
    mistral_key: str = _setting("", "TOLLGATE_MISTRAL_KEY", secret=True)
    metrics_token: str = _setting("", "TOLLGATE_METRICS_TOKEN", secret=True)
    pool_size: int = _setting(10, "TOLLGATE_POOL_SIZE", bounds=range(2, 101))
    inbox_days: int = _setting(90, "TOLLGATE_INBOX_DAYS", bounds=range(32, 3_651))
    mail_days: int = _setting(400, "TOLLGATE_MAIL_DAYS", bounds=range(90, 3_651))
    quarantine_days: int = _setting(180, "TOLLGATE_QUARANTINE_DAYS", bounds=range(35, 3_651))
    retention_years: int = _setting(10, "TOLLGATE_RETENTION_YEARS", bounds=range(31))
    pooled: bool = _setting(default=False, variable="TOLLGATE_POOLED")

    @property
    def real_servers(self) -> tuple[str, ...]:
        """The names of the settings that point at servers of the merchant's own."""
        given = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "STRIPE_SECRET_KEY": self.stripe_secret_key,
            "SMTP_URL": self.smtp_url,
        }
        return tuple(name for name, value in given.items() if value)

    @property
    def stripe_is_live(self) -> bool:
        """Whether the Stripe key moves real money."""
        return self.stripe_secret_key.startswith(("sk_live_", "rk_live_"))

    def master_keys(self) -> tuple[bytes, ...]:
        """Return the key that wraps all data keys, then those that may have. Raises SettingMissing, SettingRefused."""
        if not self.master_key:
            raise SettingMissing("TOLLGATE_MASTER_KEY", "Give 32 random bytes in base64, and keep a copy safe")
        present = _read_key("TOLLGATE_MASTER_KEY", self.master_key, "It must be 32 bytes in base64")
        advice = "Each is 32 bytes in base64, and was or will be TOLLGATE_MASTER_KEY"
        return present, *(_read_key("TOLLGATE_OTHER_MASTER_KEYS", each, advice) for each in self.other_master_keys)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the environment, the process's own unless another is given. An empty variable counts as one not set.

    White space around a value is no part of it: files of secrets end with a line break. Raises SettingRefused for a
    value that cannot be read, and does not repeat it.
    """
    if environment is None:
        environment = os.environ  # noqa: TID251 -- this is the one place that reads it
    given = {name.upper(): value.strip() for name, value in environment.items() if value.strip()}
    found: dict[str, Any] = {}
    for each in fields(Settings):
        variable = _variable(each)
        if variable in given:
            if _CONTROL.search(given[variable]):
                raise SettingRefused(variable, "It holds a line break or another control character")
            found[each.name] = _READERS[type(each.default)](variable, given[variable], each.metadata["bounds"])
    if "database_url" in found:
        found["database_url"] = _with_driver(found["database_url"], has_root="PGSSLROOTCERT" in given)
    return Settings(**found)


def _variable(setting: "Field[Any]") -> str:
    return str(setting.metadata["variable"] or setting.name.upper())


def _read_key(variable: str, text: str, advice: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise SettingRefused(variable, advice)
    return key


def _read_integer(variable: str, text: str, bounds: range) -> int:
    try:
        value = int(text)
    except ValueError:
        value = None
    if value is None or value not in bounds:
        raise SettingRefused(variable, f"It must be a whole number from {bounds[0]} to {bounds[-1]}")
    return value


def _read_switch(variable: str, text: str, _: range | None) -> bool:
    word = text.strip().casefold()
    if word not in {*_ON, *_OFF}:
        raise SettingRefused(variable, "It must be 1 or 0")
    return word in _ON


def _read_list(_: str, text: str, __: range | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


# How a variable's text becomes a value, by the type of the setting's default.
_READERS: dict[type, Callable[[str, str, Any], object]] = {
    int: _read_integer,
    bool: _read_switch,
    tuple: _read_list,
    type(Path()): lambda _, text, __: Path(text),
    str: lambda _, text, __: text,
}


def _with_driver(url: str, *, has_root: bool) -> str:
    """Take the address as every other tool writes it. Raises SettingRefused."""
    try:
        postgres_address.check_files(url, has_root=has_root)
        return postgres_address.for_driver(url)
    except postgres_address.AddressRefused as error:
        raise SettingRefused("DATABASE_URL", str(error)) from None


def environment_of(settings: Settings) -> dict[str, str]:
    """Write settings as the environment variables that a child reads them from; what is at its default is left out."""
    return dict(_variables(settings))


def _variables(settings: Settings) -> Iterator[tuple[str, str]]:
    for each in fields(settings):
        value = getattr(settings, each.name)
        if value != each.default:
            text = ",".join(value) if isinstance(value, tuple) else "1" if value is True else str(value)
            yield _variable(each), text


def thresholds_of(settings: Settings) -> dict[str, tuple[int, ...]]:
    """Return the percentages of a limit at which customers of each product are told. Raises SettingRefused."""
    found: dict[str, tuple[int, ...]] = {}
    for part in settings.alert_thresholds:
        product, _, listed = part.partition(":")
        percents = tuple(int(each) if each.isdecimal() else 0 for each in listed.split("/"))
        try:
            check_thresholds(percents)
        except ThresholdsMalformed as error:
            raise SettingRefused("TOLLGATE_ALERT_THRESHOLDS", "It looks like llm:80/90/100,edge:80/100") from error
        found[product] = percents
    return found


def targets_of(settings: Settings) -> dict[str, Decimal]:
    """Return what figures of the business are shown against; one that is not named stays. Raises SettingRefused."""
    found = dict(_TARGETS)
    for part in settings.revenue_targets:
        name, _, number = part.partition(":")
        if name not in _TARGETS or not _TARGET.fullmatch(number):
            looks = ",".join(f"{each}:{target}" for each, target in _TARGETS.items())
            raise SettingRefused("TOLLGATE_REVENUE_TARGETS", f"It looks like {looks}")
        found[name] = Decimal(number)
    return found


def check_serving(settings: Settings) -> None:
    """Refuse to serve or work with settings that are missing or must not be combined.

    Raises SettingMissing, SettingRefused; each names the setting and says what to do.
    """
    check_development(settings)
    for name, value in (
        ("DATABASE_URL", settings.database_url),
        ("REDIS_URL", settings.redis_url),
        ("STRIPE_SECRET_KEY", settings.stripe_secret_key),
        ("SMTP_URL", settings.smtp_url),
    ):
        if not value:
            raise SettingMissing(name, "Set it, or start everything on embedded defaults with: tollgate up")
    _check_peppers(settings)
    settings.master_keys()
    if settings.hs256_secret and len(settings.hs256_secret) < _SECRET_BYTES_MIN:
        raise SettingRefused("TOLLGATE_HS256_SECRET", "It must have at least 32 characters")
    if not settings.hs256_secret and not settings.jwks_url:
        raise SettingMissing("TOLLGATE_JWKS_URL", "Give the address of your identity provider's key set")
    if settings.metrics_token and len(settings.metrics_token) < _SECRET_BYTES_MIN:
        raise SettingRefused("TOLLGATE_METRICS_TOKEN", "It must have at least 32 characters")
    _check_gateway(settings.gateway_keys)
    _check_mail_hook(settings.mail_hook_secret)
    _check_addresses(settings)
    _check_names(settings)
    thresholds_of(settings)
    targets_of(settings)


def _check_peppers(settings: Settings) -> None:
    if len(settings.key_pepper) < _SECRET_BYTES_MIN:
        raise SettingMissing("TOLLGATE_KEY_PEPPER", "Give at least 32 random characters; API keys are hashed with it")
    if "," in settings.key_pepper:
        raise SettingRefused("TOLLGATE_KEY_PEPPER", "It holds a comma: later it could not be named as one of before")
    if any(len(pepper) < _SECRET_BYTES_MIN for pepper in settings.key_peppers_before):
        raise SettingRefused("TOLLGATE_KEY_PEPPERS_BEFORE", "Each has at least 32 characters, as it had before")


def _check_mail_hook(secrets: tuple[str, ...]) -> None:
    """Refuse secrets that nobody could sign with."""
    for secret in secrets:
        if not _HOOK_SECRET.fullmatch(secret):
            raise SettingRefused("TOLLGATE_MAIL_HOOK_SECRET", "Each is whsec_ and at least 24 random bytes in base64")


def _check_gateway(keys: tuple[str, ...]) -> None:
    """Refuse what cannot be a product's key, and two for one environment: nobody could say which is meant."""
    for environment in ("live", "test"):
        if sum(key.startswith(f"tg_{environment}_") for key in keys) > 1:
            raise SettingRefused("TOLLGATE_GATEWAY_KEYS", f"It has two keys of the environment {environment}; keep one")
    if not all(key.startswith(("tg_live_", "tg_test_")) for key in keys):
        raise SettingRefused("TOLLGATE_GATEWAY_KEYS", "Each is an API key of a product, tg_live_… or tg_test_…")


def _check_addresses(settings: Settings) -> None:
    """Refuse what no client can be made of: clients are made at their first use, and a fault should show at the start.

    Keys that tokens are verified with come over https, or from this machine.
    """
    for name, url in (("REDIS_URL", settings.redis_url), ("LIVE_REDIS_URL", settings.live_redis_url)):
        try:
            redis_address.check(url or settings.redis_url)
        except redis_address.RedisAddressRefused as error:
            raise SettingRefused(name, str(error)) from None
    scheme, host = _parts(settings.jwks_url)
    if settings.jwks_url and not ((scheme == "https" and host) or (scheme == "http" and host in _LOOPBACK)):
        raise SettingRefused("TOLLGATE_JWKS_URL", "It must begin with https:// and a host, or name this machine")
    scheme, host = _parts(settings.public_url)
    if settings.public_url and not (scheme in {"https", "http"} and host):
        raise SettingRefused("TOLLGATE_PUBLIC_URL", "It looks like https://billing.example.com")


def _check_names(settings: Settings) -> None:
    """Refuse names that nobody could be meant by."""
    for name, given, form, advice in (
        ("STRIPE_WEBHOOK_SECRET", settings.stripe_webhook_secret, _WEBHOOK_SECRET, "Each begins with whsec_"),
        ("TOLLGATE_ALLOWED_HOSTS", settings.allowed_hosts, _HOST, "Each is as in Host: billing.example.com, name:8443"),
        ("TOLLGATE_MAIL_FROM", (settings.mail_from,), _MAIL, "It is an address alone, such as billing@example.com"),
        ("TOLLGATE_MAIL_TEST_ALLOW", settings.mail_test_allow, _MAIL, "Each is an address, such as ada@example.com"),
        ("TOLLGATE_STAFF_MAIL", settings.staff_mail, _MAIL, "Each is an address, such as finance@example.com"),
    ):
        if not all(form.fullmatch(each) for each in given):
            raise SettingRefused(name, advice)


def _parts(url: str) -> tuple[str, str | None]:
    """Return the scheme and the host of an address, both empty where it is malformed."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 -- reading it is what checks it
    except ValueError:
        return "", None
    return parts.scheme, parts.hostname


def check_development(settings: Settings) -> None:
    """Refuse means of development that were not asked for, and all of them beside a live Stripe key.

    Raises SettingRefused.
    """
    if settings.dev and settings.stripe_is_live:
        raise SettingRefused("TOLLGATE_DEV", "Development means are refused beside a live Stripe key")
    for name, value in (
        ("TOLLGATE_HS256_SECRET", settings.hs256_secret),
        ("STRIPE_API_BASE", settings.stripe_api_base),
    ):
        if value and not settings.dev:
            raise SettingRefused(name, "It is a means of development: unset it, or set TOLLGATE_DEV=1")
