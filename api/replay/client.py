"""A client of the public API: GraphQL and usage events over HTTP, with bounded retries."""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import msgspec

from api.replay.errors import ReplayError
from domain.kernel.unreadable import UNREADABLE

TIMEOUT_S = 30.0
TRIES_MAX = 8
PAUSE_FIRST_S = 0.25
PAUSE_MAX_S = 5.0
# Statuses that say "not done, ask again": too busy, or out of reach behind a proxy.
PASSING = frozenset({429, 502, 503, 504})
PASSING_PROBLEMS = frozenset({"Busy", "Unavailable"})

Sleep = Callable[[float], Awaitable[None]]


class Client:
    """Speaks to one server as a member of staff (GraphQL) and as a product (events).

    Every request is sent again, at most TRIES_MAX times in all, when the server says that it is too busy or cannot be
    reached; one whose answer was lost only if it may be repeated.
    """

    def __init__(
        self,
        api_url: str,
        token: str,
        api_key: str = "",
        *,
        sleep: Sleep = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Open no connection yet. `api_url` is the server's address without a path."""
        self.api_url = api_url.rstrip("/")
        self.token = token
        self._api_key = api_key
        self._sleep = sleep
        # A proxy of the environment leads away from this machine.
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=not is_loopback(api_url), transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def read(self, document: str, **variables: Any) -> Any:
        """Return what the only field of a query gives. Raises ReplayError."""
        return await self._graphql(document, variables, repeatable=True)

    async def change(self, document: str, *, repeatable: bool = True, **given: Any) -> Any:
        """Carry out a mutation with these fields of its input, and return its success. Raises ReplayError.

        The error is Refused where the server answered with a problem.
        """
        for pause_s in pauses():
            found = await self._graphql(document, {"input": given}, repeatable=repeatable)
            if "code" not in found:
                return found
            refused = Refused(str(found["code"]), str(found["message"]))
            if found.get("__typename") not in PASSING_PROBLEMS:
                raise refused
            await self._sleep(pause_s)
        raise refused

    async def send(self, events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Send a batch of usage events and return one verdict for each, in order. Raises ReplayError."""
        answer = await self._post("/v1/events", msgspec.json.encode(events), self._api_key, repeatable=True)
        verdicts: list[Mapping[str, Any]] = answer["results"]
        return verdicts

    async def _graphql(self, document: str, variables: Mapping[str, Any], *, repeatable: bool) -> Any:
        body = msgspec.json.encode({"query": document, "variables": variables})
        answer = await self._post("/graphql", body, self.token, repeatable=repeatable)
        if answer.get("errors"):
            raise ReplayError(f"the server refused a query: {answer['errors'][0]['message']}")
        return next(iter(answer["data"].values()))

    async def _post(self, path: str, body: bytes, credential: str, *, repeatable: bool) -> Any:
        headers = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}
        reason = ""
        for pause_s in pauses():
            try:
                response = await self._http.post(f"{self.api_url}{path}", content=body, headers=headers)
            except httpx.ConnectError:
                reason = "it cannot be reached; start it with: tollgate up"
            except httpx.TransportError as error:
                reason = f"the connection broke ({type(error).__name__})"
                if not repeatable:
                    break
            else:
                if response.status_code not in PASSING:
                    return _decode(self.api_url, response)
                reason = f"it answers {response.status_code}"
            await self._sleep(pause_s)
        raise ReplayError(f"{self.api_url} does not answer: {reason}")


class Refused(ReplayError):
    """The server understood a change and refused it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code


def pauses() -> list[float]:
    """Return how long to wait after each try, in seconds."""
    return [min(PAUSE_FIRST_S * 2**tries, PAUSE_MAX_S) for tries in range(TRIES_MAX)]


def is_loopback(url: str) -> bool:
    """Tell whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _decode(api_url: str, response: httpx.Response) -> Any:
    try:
        answer = msgspec.json.decode(response.content)
    except UNREADABLE:
        answer = None
    if not isinstance(answer, dict):
        raise ReplayError(f"{api_url} answers {response.status_code} and no JSON: is it Tollgate?")
    if response.is_success:
        return answer
    detail = answer.get("detail") or answer.get("errors") or "no reason given"
    raise ReplayError(f"{api_url} answers {response.status_code}: {detail}")
