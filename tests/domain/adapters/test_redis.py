"""How connections to Redis are prepared."""

from typing import Any, cast

from domain.adapters.redis import pool_of


def _made(url: str) -> Any:
    return cast("Any", pool_of(url, 5.0)).make_connection()


def test_over_tls_the_certificate_must_be_of_the_host() -> None:
    connection = _made("rediss://:p%40ss@cache:6380/2?ssl_ca_certs=/etc/ca.crt")
    assert (connection.check_hostname, connection.ca_certs, connection.password) == (True, "/etc/ca.crt", "p@ss")


def test_without_tls_there_is_nothing_to_compare() -> None:
    connection = _made("redis://cache")
    assert (connection.host, connection.port, connection.socket_timeout) == ("cache", 6379, 5.0)
