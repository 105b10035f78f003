"""Which settings may be combined."""

import base64
from typing import Any

import pytest

from domain.config import SettingMissing, SettingRefused, Settings, check_serving

_REAL: dict[str, Any] = {
    "database_url": "postgresql+asyncpg://db/tollgate",
    "redis_url": "redis://cache",
    "stripe_secret_key": "sk_test_1",
    "smtp_url": "smtp://mail",
    "TOLLGATE_MASTER_KEY": base64.b64encode(b"\x01" * 32).decode(),
    "TOLLGATE_KEY_PEPPER": "p" * 32,
    "TOLLGATE_JWKS_URL": "https://id.example.com/keys",
}


def _settings(**changed: Any) -> Settings:
    return Settings(**{**_REAL, **changed})


def test_real_servers_are_served_without_means_of_development() -> None:
    check_serving(_settings())
    assert _settings().real_servers == ("DATABASE_URL", "REDIS_URL", "STRIPE_SECRET_KEY", "SMTP_URL")


@pytest.mark.parametrize("means", [{"TOLLGATE_HS256_SECRET": "s" * 32}, {"stripe_api_base": "http://127.0.0.1:12111"}])
def test_means_of_development_are_refused_beside_real_servers_unless_asked_for(means: dict[str, str]) -> None:
    with pytest.raises(SettingRefused, match="TOLLGATE_DEV=1"):
        check_serving(_settings(**means))
    check_serving(_settings(**means, TOLLGATE_DEV=True))


def test_development_is_refused_beside_a_live_stripe_key() -> None:
    for key in ("sk_live_1", "rk_live_1"):
        with pytest.raises(SettingRefused, match="live Stripe key"):
            check_serving(_settings(stripe_secret_key=key, TOLLGATE_DEV=True))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", ""),
        ("redis_url", ""),
        ("stripe_secret_key", ""),
        ("smtp_url", ""),
        ("TOLLGATE_KEY_PEPPER", "short"),
        ("TOLLGATE_MASTER_KEY", ""),
        ("TOLLGATE_MASTER_KEY", "not base64"),
        ("TOLLGATE_MASTER_KEY", base64.b64encode(b"short").decode()),
        ("TOLLGATE_JWKS_URL", ""),
    ],
)
def test_what_is_missing_or_malformed_is_named(name: str, value: str) -> None:
    with pytest.raises((SettingMissing, SettingRefused)) as refusal:
        check_serving(_settings(**{name: value}))
    assert name.upper() in refusal.value.message


def test_several_webhook_secrets_are_separated_by_commas() -> None:
    assert _settings(stripe_webhook_secret="whsec_new, whsec_old").stripe_webhook_secret == ("whsec_new", "whsec_old")
