"""The address of Redis, looked at before a client is made of it: clients are made late, and take much for granted."""

import ssl
from urllib.parse import parse_qsl, urlsplit

_SCHEMES = frozenset(("redis", "rediss", "unix"))
_FORM = "It looks like redis://host:6379/0, rediss://host:6379/0 or unix:///path/socket"
_CERTIFICATES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
UNDERSTOOD = ("db", "username", "password", "client_name", "protocol", "ssl_cert_reqs", *_CERTIFICATES)


class RedisAddressRefused(ValueError):
    """An address that no client can be made of; the text says what to change, and repeats no secret."""


def check(url: str) -> None:
    """Refuse what no connection could be made with. Raises RedisAddressRefused."""
    try:
        parts = urlsplit(url)
        # Reading the port is what checks it.
        is_address = parts.scheme in _SCHEMES and (parts.port is None or parts.port > 0)
        given = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        is_address, given = False, {}
    if not is_address or not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise RedisAddressRefused(_FORM)
    database = given.get("db", "0" if parts.scheme == "unix" else parts.path.strip("/") or "0")
    if not database.isdecimal():
        raise RedisAddressRefused("What stands after the host, or db=, is the number of a database")
    for name in given:
        if name not in UNDERSTOOD:
            raise RedisAddressRefused(f"Take {name}= away: after the ? there may be {', '.join(UNDERSTOOD)}")
    _check_files(given)


def _check_files(given: dict[str, str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if "ssl_ca_certs" in given:
            context.load_verify_locations(cafile=given["ssl_ca_certs"])
        if "ssl_certfile" in given:
            context.load_cert_chain(given["ssl_certfile"], given.get("ssl_keyfile"), "")
    except OSError as error:
        reason = "a file holds none" if isinstance(error, ssl.SSLError) else error.strerror or type(error).__name__
        named = ", ".join(name for name in _CERTIFICATES if name in given)
        raise RedisAddressRefused(f"The certificates of {named} cannot be read: {reason}") from None
