"""The address of Postgres: as libpq and every other tool writes it, and as our driver takes it."""

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
    arguments = [("ssl" if name == "sslmode" else name, value) for name, value in given if name not in _OF_ITS_OWN]
    own = [(name, value) for name, value in given if name in _OF_ITS_OWN]
    for name, _ in arguments:
        if name not in _ARGUMENTS:
            raise AddressRefused(f"Take {name}= away: after the ? there may be {', '.join(UNDERSTOOD)}")
    if own:
        arguments.append(("dsn", f"postgresql://?{urlencode(own, safe='/', quote_via=quote)}"))
    query = urlencode(arguments, safe="/:", quote_via=quote)
    return f"{DRIVER}://{parts.netloc}{parts.path}{'?' if query else ''}{query}"
