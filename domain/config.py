"""Settings: the only place that reads the environment.

Two ways to run. On embedded defaults `tollgate up` starts every server, makes the secrets and hands them to its
children. Against real servers the merchant sets the URLs and secrets; then means of development (HS256 tokens, demo
credentials, seeds for tests, the sandbox) are refused unless TOLLGATE_DEV=1, which a live Stripe key forbids.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.kernel.errors import DomainError, Kind

_KEY_BYTES = 32
_SECRET_BYTES_MIN = 32


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


class Settings(BaseSettings):
    """Every setting, by the name of its environment variable. Secrets have no default."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    database_url: str = Field(default="", repr=False)
    redis_url: str = Field(default="", repr=False)
    live_redis_url: str = Field(default="", repr=False)
    stripe_secret_key: str = Field(default="", repr=False)
    stripe_webhook_secret: Annotated[tuple[str, ...], NoDecode] = Field(default=(), repr=False)
    stripe_api_base: str = ""
    smtp_url: str = Field(default="", repr=False)
    mail_from: str = Field(default="billing@localhost", validation_alias="TOLLGATE_MAIL_FROM")
    mail_test_allow: str = Field(default="", validation_alias="TOLLGATE_MAIL_TEST_ALLOW")
    merchant_name: str = Field(default="Tollgate Demo", validation_alias="TOLLGATE_MERCHANT_NAME")
    port: int = Field(default=8000, ge=1, le=65535, validation_alias="TOLLGATE_PORT")
    host: str = Field(default="127.0.0.1", validation_alias="TOLLGATE_HOST")
    home: Path = Field(default=Path(".tollgate"), validation_alias="TOLLGATE_HOME")
    dev: bool = Field(default=False, validation_alias="TOLLGATE_DEV")
    master_key: str = Field(default="", repr=False, validation_alias="TOLLGATE_MASTER_KEY")
    key_pepper: str = Field(default="", repr=False, validation_alias="TOLLGATE_KEY_PEPPER")
    hs256_secret: str = Field(default="", repr=False, validation_alias="TOLLGATE_HS256_SECRET")
    jwks_url: str = Field(default="", validation_alias="TOLLGATE_JWKS_URL")
    token_issuer: str = Field(default="tollgate", validation_alias="TOLLGATE_TOKEN_ISSUER")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(default=(), validation_alias="TOLLGATE_ALLOWED_HOSTS")
    pool_size: int = Field(default=10, ge=2, le=100, validation_alias="TOLLGATE_POOL_SIZE")
    pooled: bool = Field(default=False, validation_alias="TOLLGATE_POOLED")

    @field_validator("stripe_webhook_secret", "allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("database_url")
    @classmethod
    def _name_driver(cls, value: str) -> str:
        """Take the address as every other tool writes it: without a driver, and with libpq's word for TLS."""
        scheme, mark, rest = value.partition("://")
        if scheme not in {"postgres", "postgresql", "postgresql+asyncpg"}:
            return value
        return f"postgresql+asyncpg{mark}{rest.replace('sslmode=', 'ssl=')}"

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

    def master_key_bytes(self) -> bytes:
        """Return the key that wraps all data keys. Raises SettingMissing, SettingRefused."""
        if not self.master_key:
            raise SettingMissing("TOLLGATE_MASTER_KEY", "Give 32 random bytes in base64, and keep a copy safe")
        try:
            key = base64.b64decode(self.master_key, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != _KEY_BYTES:
            raise SettingRefused("TOLLGATE_MASTER_KEY", "It must be 32 bytes in base64")
        return key


def read_settings() -> Settings:
    """Read the environment. Raises SettingRefused for a value that cannot be read, and does not repeat it."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise SettingRefused(str(first["loc"][0]).upper(), first["msg"]) from None


def environment_of(settings: Settings) -> dict[str, str]:
    """Write settings as the environment variables that a child reads them from; what is at its default is left out."""
    return dict(_variables(settings))


def _variables(settings: Settings) -> Iterator[tuple[str, str]]:
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if value == field.default:
            continue
        alias = field.validation_alias if isinstance(field.validation_alias, str) else name.upper()
        yield alias, ",".join(value) if isinstance(value, tuple) else "1" if value is True else str(value)


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
    if len(settings.key_pepper) < _SECRET_BYTES_MIN:
        raise SettingMissing("TOLLGATE_KEY_PEPPER", "Give at least 32 random characters; API keys are hashed with it")
    settings.master_key_bytes()
    if settings.hs256_secret and len(settings.hs256_secret) < _SECRET_BYTES_MIN:
        raise SettingRefused("TOLLGATE_HS256_SECRET", "It must have at least 32 characters")
    if not settings.hs256_secret and not settings.jwks_url:
        raise SettingMissing("TOLLGATE_JWKS_URL", "Give the address of your identity provider's key set")


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
