"""Where events may be sent: a public https address, by its name when it is given and by its number when it is called.

Whoever can name a URL could otherwise make this server call what only it can reach: itself, its neighbours, or the
metadata service of its cloud. Development means may call this machine, without TLS.
"""

import ipaddress
from urllib.parse import SplitResult, urlsplit

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass

URL_LENGTH_MAX = 2_048
_PORTS = {"https": 443, "http": 80}
# What `is_global` of the standard library lets through, or lets through in some of its versions, though it leads
# inside: shared and protocol addresses, documentation and tests, multicast, addresses that carry an IPv4 address
# (compatible, NAT64, 6to4, Teredo), and metadata services with a public number.
_CLOSED = tuple(
    ipaddress.ip_network(each)
    for each in (
        "100.64.0.0/10",
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "224.0.0.0/3",
        "::/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)


@dataclass(eq=False)
class TargetRefused(DomainError):
    """Events cannot be sent to this address: {reason}."""

    code = "webhook_target_refused"
    kind = Kind.INVALID
    reason: str


@dataclass(frozen=True, slots=True)
class Target:
    """A checked URL in parts. `host` is a name or an address without brackets."""

    url: str
    host: str
    port: int
    is_tls: bool


def target_of(url: str, *, dev: bool) -> Target:
    """Check a URL as far as it can be without asking for its name. Raises TargetRefused."""
    if not 1 <= len(url) <= URL_LENGTH_MAX or not url.isascii() or not url.isprintable() or " " in url:
        raise TargetRefused(f"a URL has 1 to {URL_LENGTH_MAX} visible ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TargetRefused("the URL is malformed") from error
    _check_parts(parts, dev=dev)
    host = (parts.hostname or "").rstrip(".")
    if not host:
        raise TargetRefused("the URL names no host")
    address = _address_of(host)
    if address is not None:
        check_address(str(address), dev=dev)
    elif not dev and "." not in host:
        raise TargetRefused("a name of this machine's own network is not public")
    return Target(url, host, port or _PORTS[parts.scheme], parts.scheme == "https")


def check_address(address: str, *, dev: bool) -> None:
    """Refuse an IP address that is not public. Raises TargetRefused."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if dev and found.is_loopback:
        return
    is_closed = any(found.version == network.version and found in network for network in _CLOSED)
    if is_closed or not found.is_global or found.is_multicast:
        raise TargetRefused("it leads to an address that is not public")


def _check_parts(parts: SplitResult, *, dev: bool) -> None:
    if parts.scheme not in ({"https", "http"} if dev else {"https"}):
        raise TargetRefused("it must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise TargetRefused("a URL with a user name or a password would be shown to staff; verify signatures instead")
    if parts.fragment:
        raise TargetRefused("a fragment is never sent")


def _address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
