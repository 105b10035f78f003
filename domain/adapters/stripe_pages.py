"""Read a list of Stripe's to its end, page by page, within a bound."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

from domain.adapters.stripe_errors import errors
from domain.payments.port import GatewayListTooLong

PAGE = 100
PAGES_MAX = 20


class Listed(Protocol):
    """A page as the package returns it."""

    @property
    def data(self) -> list[Any]:
        """Return what is on the page, the newest first."""
        ...

    @property
    def has_more(self) -> bool:
        """Say whether another page follows."""
        ...


async def entries(
    read: Callable[[Any], Awaitable[Listed]], asked: dict[str, Any], *, what: str, page: int = PAGE
) -> AsyncIterator[Any]:
    """Yield all entries of a list, the newest first, whatever number there is up to PAGES_MAX pages.

    Raises GatewayListTooLong, with the name of the list, where more follow: what was not seen may be what is looked
    for. GatewayUnavailable, GatewayRefused.
    """
    after: dict[str, Any] = {}
    for _ in range(PAGES_MAX):
        with errors():
            found = await read(asked | {"limit": page} | after)
        for each in found.data:
            yield each
        if not found.has_more or not found.data:
            return
        after = {"starting_after": found.data[-1].id}
    raise GatewayListTooLong(what, PAGES_MAX * page)
