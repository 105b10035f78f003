"""Which settings may be combined."""

import base64
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from domain.adapters.postgres_address import for_driver
from domain.config import (
    SettingMissing,
    SettingRefused,
    Settings,
    check_serving,
    environment_of,
    read_settings,
    targets_of,
    thresholds_of,
)

_REAL = {
    "DATABASE_URL": "postgresql+asyncpg://db/tollgate",
    "REDIS_URL": "redis://cache",
    "STRIPE_SECRET_KEY": "sk_test_1",
    "SMTP_URL": "smtp://mail",
    "TOLLGATE_MASTER_KEY": base64.b64encode(b"\x01" * 32).decode(),
    "TOLLGATE_KEY_PEPPER": "p" * 32,
    "TOLLGATE_JWKS_URL": "https://id.example.com/keys",
}


def _settings(**changed: str) -> Settings:
    return read_settings({**_REAL, **changed})


def test_real_servers_are_served_without_means_of_development() -> None:
    check_serving(_settings())
    assert _settings().real_servers == ("DATABASE_URL", "REDIS_URL", "STRIPE_SECRET_KEY", "SMTP_URL")


@pytest.mark.parametrize("means", [{"TOLLGATE_HS256_SECRET": "s" * 32}, {"STRIPE_API_BASE": "http://127.0.0.1:12111"}])
def test_means_of_development_are_refused_beside_real_servers_unless_asked_for(means: dict[str, str]) -> None:
    with pytest.raises(SettingRefused, match="TOLLGATE_DEV=1"):
        check_serving(_settings(**means))
    check_serving(_settings(**means, TOLLGATE_DEV="1"))


def test_development_is_refused_beside_a_live_stripe_key() -> None:
    for key in ("sk_live_1", "rk_live_1"):
        with pytest.raises(SettingRefused, match="live Stripe key"):
            check_serving(_settings(STRIPE_SECRET_KEY=key, TOLLGATE_DEV="1"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", ""),
        ("REDIS_URL", ""),
        ("STRIPE_SECRET_KEY", ""),
        ("SMTP_URL", ""),
        ("TOLLGATE_KEY_PEPPER", "short"),
        ("TOLLGATE_METRICS_TOKEN", "short"),
        ("TOLLGATE_KEY_PEPPERS_BEFORE", "short"),
        ("TOLLGATE_MASTER_KEY", ""),
        ("TOLLGATE_MASTER_KEY", "not base64"),
        ("TOLLGATE_MASTER_KEY", base64.b64encode(b"short").decode()),
        ("TOLLGATE_JWKS_URL", ""),
        ("TOLLGATE_JWKS_URL", "http://id.example.com/keys"),
        ("TOLLGATE_JWKS_URL", "ftp://127.0.0.1/keys"),
        ("TOLLGATE_GATEWAY_KEYS", "tg_test_1,tg_test_2"),
        ("TOLLGATE_GATEWAY_KEYS", "sk-1"),
        ("TOLLGATE_MAIL_HOOK_SECRET", "secret"),
        # 16 bytes.
        ("TOLLGATE_MAIL_HOOK_SECRET", "whsec_AAAAAAAAAAAAAAAAAAAAAA=="),
        ("REDIS_URL", "cache:6379"),
        ("REDIS_URL", "http://cache"),
        ("REDIS_URL", "redis://cache:port"),
        ("REDIS_URL", "redis://[cache"),
        ("LIVE_REDIS_URL", "memcached://cache"),
        ("REDIS_URL", "redis:///0"),
        ("REDIS_URL", "unix://"),
        ("REDIS_URL", "redis://cache/first"),
        ("REDIS_URL", "redis://cache/0?db=first"),
        ("REDIS_URL", "redis://cache/0?socket_timeout=1"),
        ("REDIS_URL", "rediss://cache/0?ssl_ca_certs=/none/ca.crt"),
        ("REDIS_URL", f"rediss://cache/0?ssl_certfile={__file__}"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_new,secret"),
        ("TOLLGATE_ALLOWED_HOSTS", "https://billing.example.com"),
        ("TOLLGATE_ALLOWED_HOSTS", "*"),
        ("TOLLGATE_PUBLIC_URL", "billing.example.com"),
        ("TOLLGATE_JWKS_URL", "https://"),
        ("TOLLGATE_MAIL_FROM", "Billing <billing@example.com>"),
        ("TOLLGATE_MAIL_TEST_ALLOW", "nobody"),
        ("TOLLGATE_STAFF_MAIL", "finance@example.com, nobody"),
        ("TOLLGATE_KEY_PEPPER", "p" * 32 + ","),
        ("TOLLGATE_OTHER_MASTER_KEYS", "not base64"),
    ],
)
def test_what_is_missing_or_malformed_is_named(name: str, value: str) -> None:
    with pytest.raises((SettingMissing, SettingRefused)) as refusal:
        check_serving(_settings(**{name: value}))
    assert name in refusal.value.message


def test_several_webhook_secrets_are_separated_by_commas() -> None:
    assert _settings(STRIPE_WEBHOOK_SECRET="whsec_new, whsec_old").stripe_webhook_secret == ("whsec_new", "whsec_old")


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("postgres://user@db/tollgate", "postgresql+asyncpg://user@db/tollgate"),
        ("postgresql://db/tollgate?sslmode=require", "postgresql+asyncpg://db/tollgate?ssl=require"),
        ("postgresql+asyncpg://db/tollgate", "postgresql+asyncpg://db/tollgate"),
        ("postgresql://user@/tollgate?host=/run/a%20b", "postgresql+asyncpg://user@/tollgate?host=/run/a%20b"),
        # The driver reads the file of certificates only from an address of its own.
        (
            "postgresql://u:p%40@db:1/t?sslmode=verify-full&sslrootcert=/etc/ca.crt&options=-a",
            "postgresql+asyncpg://u:p%40@db:1/t?ssl=verify-full&dsn=postgresql://%3Fsslrootcert%3D/etc/ca.crt%26options%3D-a",
        ),
    ],
)
def test_an_address_of_postgres_is_taken_as_other_tools_write_it(given: str, understood: str) -> None:
    assert for_driver(given) == understood
    assert for_driver(understood) == understood


def test_settings_have_the_address_as_the_driver_takes_it() -> None:
    assert _settings(DATABASE_URL="postgres://db/tollgate").database_url == "postgresql+asyncpg://db/tollgate"


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("mysql://db/tollgate", "looks like postgresql://"),
        ("db:5432/tollgate", "looks like postgresql://"),
        ("postgresql://user:se/cret@db/tollgate", "write %40 for @, %2F for /"),
        ("postgresql://db/tollgate?sslmode", "looks like postgresql://"),
        ("postgresql://db/tollgate?channel_binding=require", "Take channel_binding= away"),
        ("postgresql://db/tollgate?sslmode=verify", "sslmode= is one of disable, allow, prefer, require, verify-ca"),
        ("postgresql://db/tollgate?target_session_attrs=write", "target_session_attrs= is one of any, primary"),
        ("postgresql://db/tollgate?port=pg", "port= is a number"),
        ("postgresql://db/t?sslmode=verify-full&sslrootcert=/none/ca.crt", "sslrootcert=/none/ca.crt .* No such file"),
        ("postgresql://db/t?sslmode=require&sslcert=/none/own.crt", "sslcert=/none/own.crt .* No such file"),
        (f"postgresql://db/t?sslmode=verify-ca&sslrootcert={__file__}", "sslrootcert=.* it holds none"),
    ],
)
def test_an_address_of_postgres_that_no_connection_can_be_made_with_is_refused(given: str, advice: str) -> None:
    with pytest.raises(SettingRefused, match=f"DATABASE_URL.*{advice}") as refusal:
        _settings(DATABASE_URL=given)
    assert "cret" not in refusal.value.message


def test_an_empty_variable_counts_as_one_not_set_and_capitals_do_not_matter() -> None:
    found = read_settings({"TOLLGATE_PORT": "", "tollgate_home": "elsewhere", "UNKNOWN": "1"})
    assert (found.port, found.home) == (8000, Path("elsewhere"))


def test_white_space_around_a_value_is_no_part_of_it_and_a_line_break_inside_is_refused() -> None:
    assert _settings(STRIPE_SECRET_KEY=" sk_live_1\n").stripe_secret_key == "sk_live_1"
    assert read_settings({"TOLLGATE_HOME": " \n"}).home == Path(".tollgate")
    with pytest.raises(SettingRefused, match=r"TOLLGATE_MAIL_FROM.*line break"):
        _settings(TOLLGATE_MAIL_FROM="a@example.com\r\nBcc: b@example.com")


def test_certificates_are_asked_for_where_they_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    address = "postgresql://db/tollgate?sslmode=verify-full"
    with pytest.raises(SettingRefused, match="sslrootcert="):
        _settings(DATABASE_URL=address)
    assert "ssl=verify-full" in _settings(DATABASE_URL=address, PGSSLROOTCERT="/etc/ca.crt").database_url


def test_an_address_of_redis_is_taken_as_its_client_reads_it() -> None:
    check_serving(_settings(REDIS_URL="rediss://user:p%40ss@cache:6380/1?ssl_cert_reqs=required&client_name=tollgate"))
    check_serving(_settings(REDIS_URL="unix:///run/valkey.sock?db=2", LIVE_REDIS_URL="redis://[::1]:6379"))


@pytest.mark.parametrize(("word", "is_on"), [("1", True), ("true", True), ("YES", True), ("0", False), ("off", False)])
def test_a_switch_is_turned_by_any_usual_word(word: str, is_on: bool) -> None:
    assert read_settings({"TOLLGATE_POOLED": word}).pooled is is_on


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOLLGATE_PORT", "0"),
        ("TOLLGATE_PORT", "65536"),
        ("TOLLGATE_PORT", "http"),
        ("TOLLGATE_POOL_SIZE", "1"),
        ("TOLLGATE_POOL_SIZE", "101"),
        ("TOLLGATE_DEV", "maybe"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused_by_the_name_of_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingRefused) as refusal:
        read_settings({name: value})
    assert refusal.value.name == name


def test_a_child_reads_the_settings_that_its_parent_wrote() -> None:
    given = _settings(
        TOLLGATE_PORT="18090", TOLLGATE_DEV="1", TOLLGATE_ALLOWED_HOSTS="one, two", TOLLGATE_HOME="elsewhere"
    )
    written = environment_of(given)
    assert read_settings(written) == given
    # What stands at its default is left out.
    assert "TOLLGATE_HOST" not in written


def test_thresholds_are_read_by_product() -> None:
    assert thresholds_of(_settings()) == {"llm": (80, 90, 100), "edge": (80, 100)}
    own = _settings(TOLLGATE_ALERT_THRESHOLDS="llm:50, maps:75/100/120")
    assert thresholds_of(own) == {"llm": (50,), "maps": (75, 100, 120)}
    check_serving(own)


@pytest.mark.parametrize("text", ["llm", "llm:", "llm:0", "llm:80/x", "llm:80/80", "llm:-5", "llm:80,edge:2000"])
def test_thresholds_that_cannot_be_are_refused_at_the_start(text: str) -> None:
    with pytest.raises(SettingRefused) as refused:
        check_serving(_settings(TOLLGATE_ALERT_THRESHOLDS=text))
    assert refused.value.name == "TOLLGATE_ALERT_THRESHOLDS"


def test_targets_are_those_of_the_merchant_where_named() -> None:
    named = _settings(TOLLGATE_REVENUE_TARGETS="churn:2.5, value_to_cost:4")
    check_serving(named)
    assert {name: str(each) for name, each in targets_of(named).items()} == {
        "conversion": "5",
        "expansion": "20",
        "churn": "2.5",
        "value_to_cost": "4",
    }


@pytest.mark.parametrize("text", ["churn", "churn:", "churn:-1", "churn:5%", "margin:80", "churn:1e3"])
def test_targets_that_cannot_be_are_refused_at_the_start(text: str) -> None:
    with pytest.raises(SettingRefused) as refused:
        check_serving(_settings(TOLLGATE_REVENUE_TARGETS=text))
    assert refused.value.name == "TOLLGATE_REVENUE_TARGETS"


def _manual() -> dict[str, list[str]]:
    """Read the tables of docs/settings.md: of each setting its meaning, default and form."""
    manual = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in manual.splitlines() if line[:3] == "| `"
    ]
    assert all(len(row) == 4 and all(row) for row in rows)
    names = [row[0].strip("`") for row in rows]
    assert len(names) == len(set(names))
    return dict(zip(names, (row[1:] for row in rows), strict=True))


def test_the_manual_names_every_setting_once_and_no_other() -> None:
    assert set(_manual()) == {str(each.metadata["variable"] or each.name.upper()) for each in fields(Settings)}


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda each: each.name)
def test_the_manual_tells_the_default_and_the_bounds_of_a_setting(setting: "Field[Any]") -> None:
    name = setting.metadata["variable"] or setting.name.upper()
    _, default, form = _manual()[name]
    assert form.startswith("secret") is not setting.repr
    if name in _REAL:
        assert default == "required"
        with pytest.raises(SettingMissing, match=name):
            check_serving(_settings(**{name: ""}))
    elif setting.default in ("", ()):
        assert default == "none"
    else:
        shown = ",".join(setting.default) if isinstance(setting.default, tuple) else setting.default
        assert default == f"`{int(shown) if isinstance(shown, bool) else shown}`"
    if (bounds := setting.metadata["bounds"]) is not None:
        assert form == f"{bounds[0]} to {bounds[-1]}"
    assert ("with commas" in form) == isinstance(setting.default, tuple)
    assert (form == "`1` or `0`") == isinstance(setting.default, bool)
