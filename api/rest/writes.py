"""What the changing routes share: a body that is read exactly, and effects that happen once for each key."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.auth import bearer
from api.bodies import malformed, read_body
from api.context import Serving
from api.problems import told_again
from api.rest.reads import Asked
from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.customer import CustomerErased, check_present
from domain.customers.service import CustomerNotFound
from domain.db import Tx
from domain.journal import service as journal
from domain.journal.service import IdempotencyConflict, IdempotencyKeyMalformed, InProgress
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId
from domain.kernel.unreadable import UNREADABLE
from domain.kernel.values import dataclass

BODY_BYTES_MAX = 16_384
KEY_HEADER = "Idempotency-Key"
_encoder = msgspec.json.Encoder()
# These pass by themselves: the next try is not answered from memory.
_PASSING = frozenset((Kind.BUSY, Kind.UNAVAILABLE, Kind.UNAUTHENTICATED, Kind.FORBIDDEN))
_ABOUT_THE_KEY = (InProgress, IdempotencyConflict, IdempotencyKeyMalformed, CustomerNotFound, CustomerErased)
_PROBLEM = "problem"


class RefusedBefore(Exception):
    """The same request was refused before; the outcome is what was answered then."""

    def __init__(self, kept: Mapping[str, str]) -> None:
        """Keep what was answered."""
        super().__init__()
        self.kept = kept


@dataclass(frozen=True, slots=True)
class Write:
    """One route that changes something: its path and method, the permission it needs, its body, and its answer."""

    path: str
    permission: Permission
    shape: type[msgspec.Struct]
    act: Callable[[Asked, Any], Awaitable[object]]
    method: Literal["POST", "PUT", "DELETE"] = "POST"

    @property
    def route(self) -> Route:
        """The route, for the application."""
        return Route(self.path, self.answer, methods=[self.method])

    async def answer(self, request: Request) -> Response:
        """Find out who asks, read the body, and act."""
        serving: Serving = request.app.state.serving
        credential = bearer(request.headers.get("authorization"))
        call = serving.runtime.call(await serving.authenticator.authenticate(credential, serving.runtime.now()))
        call.need(self.permission)
        try:
            # What is named by the path alone may come without a body.
            sent = await read_body(request, BODY_BYTES_MAX) or (b"" if self.shape.__struct_fields__ else b"{}")
            body = msgspec.json.decode(sent, type=self.shape)
        except UNREADABLE as fault:
            raise malformed(fault) from fault
        try:
            answer = await self.act(Asked(serving, call, request), body)
        except RefusedBefore as refused:
            return told_again(Kind(refused.kept[_PROBLEM]), refused.kept["code"], refused.kept["message"])
        return Response(_encoder.encode(answer), headers={"Cache-Control": "no-store"}, media_type="application/json")


async def once(
    asked: Asked,
    name: str,
    customer_id: CustomerId,
    given: Mapping[str, Any],
    act: Callable[[Tx], Awaitable[Mapping[str, str]]],
) -> Mapping[str, str]:
    """Act in one transaction with the memory of it; return the ids of the outcome, now or when the key was first used.

    Without a key nothing is remembered. Raises RefusedBefore, InProgress, IdempotencyConflict, IdempotencyKeyMalformed,
    CustomerNotFound, CustomerErased, and whatever `act` refuses with, which is remembered unless it passes by itself.
    """
    key, call, db = asked.request.headers.get(KEY_HEADER), asked.call, asked.serving.runtime.db
    if key is None:
        async with db.transaction() as tx:
            return await act(tx)
    digest = journal.input_digest(given)
    try:
        async with db.transaction() as tx:
            check_present(await customers.load_customer(tx, call, customer_id))
            await journal.hold_key(tx, call, name, key, customer_id=customer_id)
            kept = await journal.recall(tx, call, name, key, customer_id=customer_id, digest=digest)
            if kept is not None:
                if _PROBLEM in kept:
                    raise RefusedBefore(kept)
                return dict(kept)
            outcome = await act(tx)
            await journal.keep(tx, call, name, key, customer_id=customer_id, digest=digest, outcome=outcome)
            return outcome
    except _ABOUT_THE_KEY:
        raise
    except DomainError as error:
        if error.kind not in _PASSING:
            problem = {_PROBLEM: error.kind, "code": error.code, "message": error.message}
            async with db.transaction() as tx:
                await journal.remember(tx, call, name, key, customer_id=customer_id, digest=digest, outcome=problem)
        raise
