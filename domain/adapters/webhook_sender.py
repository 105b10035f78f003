"""Posts events to the merchant's endpoints: to public addresses only, within a time, with a bounded answer.

A name is resolved once for each message. Every address it stands for must be public, and the connection goes to one of
these very addresses, with the name for TLS and for `Host`: whoever owns the name cannot point it inside between the
look and the call.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from domain.webhooks.port import Outcome, Reply
from domain.webhooks.target import Target, TargetRefused, check_address, target_of

if TYPE_CHECKING:
    import httpx2

TIMEOUT_S = 15
RESOLVE_WITHIN_S = 5
EXCERPT_BYTES_MAX = 1_000
ADDRESSES_MAX = 16
USER_AGENT = "Tollgate-Webhooks/1"
_MS = 1_000

# Returns the addresses that a name stands for. Raises OSError.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class HttpWebhookSender:
    """Sends over HTTP, one connection a message: none that was opened for one name is used for another."""

    def __init__(self, *, dev: bool, resolve: Resolve | None = None) -> None:
        """Open nothing yet. `dev` allows this machine, and plain HTTP."""
        self._dev = dev
        self._resolve = resolve or _resolve
        self._client: httpx2.AsyncClient | None = None

    async def check(self, url: str) -> None:
        """Refuse an address that is not public, given as such or by a name that stands for it. Raises TargetRefused."""
        target = target_of(url, dev=self._dev)
        try:
            await self._address_of(target)
        except (OSError, TimeoutError) as error:
            raise TargetRefused("its name cannot be found") from error

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Send a message. Redirects are answers like any other; an answer outside of 2xx is a refusal."""
        started = time.perf_counter()
        outcome, status, excerpt = await self._try(url, headers, body)
        return Reply(outcome, round((time.perf_counter() - started) * _MS), status, excerpt)

    async def close(self) -> None:
        """Close what was opened."""
        if self._client is not None:
            await self._client.aclose()

    async def _try(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[Outcome, int | None, bytes]:
        import httpx2  # noqa: PLC0415 -- loaded with the first message

        try:
            async with asyncio.timeout(TIMEOUT_S):
                target = target_of(url, dev=self._dev)
                address = await self._address_of(target)
                status, excerpt = await self._call(target, address, headers, body)
        except TargetRefused as refused:
            return Outcome.TARGET_REFUSED, None, refused.reason.encode()
        except (TimeoutError, httpx2.TimeoutException):
            return Outcome.TIMED_OUT, None, b""
        except (OSError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            return Outcome.UNREACHABLE, None, type(error).__name__.encode()
        succeeded = 200 <= status < 300
        return Outcome.DELIVERED if succeeded else Outcome.REFUSED, status, excerpt

    async def _address_of(self, target: Target) -> str:
        """Return an address of a target, after all of them were found to be public. Raises TargetRefused, OSError."""
        async with asyncio.timeout(RESOLVE_WITHIN_S):
            found = list(await self._resolve(target.host, target.port))
        if not found or len(found) > ADDRESSES_MAX:
            raise TargetRefused("its name stands for no address, or for too many")
        for address in found:
            check_address(address, dev=self._dev)
        return found[0]

    async def _call(self, target: Target, address: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        import httpx2  # noqa: PLC0415 -- as above

        client = self._opened()
        # The name goes to TLS, which checks the certificate against it, and to `Host`; the socket goes to the address.
        url = httpx2.URL(target.url)
        request = client.build_request(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers={
                "host": url.netloc.decode(),
                "content-type": "application/json",
                "user-agent": USER_AGENT,
                **headers,
            },
            extensions={"sni_hostname": target.host} if target.is_tls else {},
        )
        response = await client.send(request, stream=True)
        try:
            return response.status_code, await _excerpt(response)
        finally:
            await response.aclose()

    def _opened(self) -> "httpx2.AsyncClient":
        if self._client is None:
            import httpx2  # noqa: PLC0415 -- as above

            self._client = httpx2.AsyncClient(
                timeout=TIMEOUT_S,
                follow_redirects=False,
                # A proxy of the environment would resolve the name a second time.
                trust_env=False,
                limits=httpx2.Limits(max_keepalive_connections=0, max_connections=None),
                headers={"accept-encoding": "identity", "accept": "*/*"},
            )
        return self._client


async def _excerpt(response: "httpx2.Response") -> bytes:
    """Return the beginning of an answer as it came: nothing is unpacked, and the rest is never read."""
    excerpt = b""
    async for chunk in response.aiter_raw(EXCERPT_BYTES_MAX):
        excerpt += chunk
        if len(excerpt) >= EXCERPT_BYTES_MAX:
            break
    return excerpt[:EXCERPT_BYTES_MAX]


async def _resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
