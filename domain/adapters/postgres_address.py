"""The address of Postgres: as libpq and every other tool writes it, and as our driver takes it."""

import ssl
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

SCHEMES = frozenset(("postgres", "postgresql", "postgresql+asyncpg"))
DRIVER = "postgresql+asyncpg"
# What the driver takes beside the address.
_ARGUMENTS = frozenset(("host", "port", "ssl", "target_session_attrs", "passfile", "dsn"))
# What it reads only from an address of its own, and gives on to the server: the names are libpq's.
_OF_ITS_OWN = frozenset(
    (
        *("sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation"),
        *("ssl_min_protocol_version", "ssl_max_protocol_version", "application_name", "options"),
    )
)
UNDERSTOOD = ("sslmode", *sorted((_ARGUMENTS - {"ssl", "dsn"}) | _OF_ITS_OWN))
_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# The words that a parameter takes.
_WORDS = {
    "sslmode": _SSL_MODES,
    "ssl": _SSL_MODES,
    "sslnegotiation": ("postgres", "direct"),
    "target_session_attrs": ("any", "primary", "standby", "read-write", "read-only", "prefer-standby"),
    "ssl_min_protocol_version": _VERSIONS,
    "ssl_max_protocol_version": _VERSIONS,
}


class AddressRefused(ValueError):
    """An address that no connection could be made with; the text says what to change, and repeats no secret."""


def for_driver(url: str) -> str:
    """Return an address as SQLAlchemy and the driver take it. Safe to repeat. Raises AddressRefused.

    Only the query differs: what the driver reads only from an address of its own is put into one.
    """
    try:
        parts = urlsplit(url)
        # Reading the port is what checks it.
        is_address = parts.scheme in SCHEMES and (parts.port is None or parts.port > 0)
        given = parse_qsl(parts.query, strict_parsing=True) if parts.query else []
    except ValueError:
        is_address, given = False, []
    if not is_address:
        raise AddressRefused("It looks like postgresql://user:password@host:5432/database; write %40 for @, %2F for /")
    _check_words(given)
    arguments = [("ssl" if name == "sslmode" else name, value) for name, value in given if name not in _OF_ITS_OWN]
    own = [(name, value) for name, value in given if name in _OF_ITS_OWN]
    for name, _ in arguments:
        if name not in _ARGUMENTS:
            raise AddressRefused(f"Take {name}= away: after the ? there may be {', '.join(UNDERSTOOD)}")
    if own:
        arguments.append(("dsn", f"postgresql://?{urlencode(own, safe='/', quote_via=quote)}"))
    query = urlencode(arguments, safe="/:", quote_via=quote)
    return f"{DRIVER}://{parts.netloc}{parts.path}{'?' if query else ''}{query}"


def _check_words(given: Iterable[tuple[str, str]]) -> None:
    for name, value in given:
        if value not in _WORDS.get(name, (value,)):
            raise AddressRefused(f"{name}= is one of {', '.join(_WORDS[name])}")
        if name == "port" and not value.isdecimal():
            raise AddressRefused("port= is a number")


def check_files(url: str, *, has_root: bool = False) -> None:
    """Read the certificates that an address names, as a connection will. Raises AddressRefused.

    `has_root`: the environment names the certificates of authorities.
    """
    given = dict(parse_qsl(urlsplit(url).query))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in ("sslrootcert", "sslcrl"):
        if name in given:
            try:
                context.load_verify_locations(cafile=given[name])
            except OSError as error:
                raise _unreadable(name, given[name], error) from None
    if "sslcert" in given:
        try:
            context.load_cert_chain(given["sslcert"], given.get("sslkey"), lambda: given.get("sslpassword", ""))
        except OSError as error:
            raise _unreadable("sslcert", given["sslcert"], error) from None
    is_root_needed = given.get("sslmode", "").startswith("verify-") and "sslrootcert" not in given
    if is_root_needed and not has_root and not Path("~/.postgresql/root.crt").expanduser().exists():
        raise AddressRefused("Name the certificates of the authority with sslrootcert=, or leave sslmode=verify-… away")


def _unreadable(name: str, path: str, error: OSError) -> AddressRefused:
    reason = "it holds none" if isinstance(error, ssl.SSLError) else error.strerror or type(error).__name__
    return AddressRefused(f"The certificates of {name}={path} cannot be read: {reason}")
