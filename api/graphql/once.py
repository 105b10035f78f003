"""Mutations that move money take effect once per idempotency key, also when the first answer was lost.

A key belongs to a principal, a customer and a mutation. What is remembered is the outcome's ids, or the problem; a
replay resolves the caller's selection anew under the caller's present rights.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from api.graphql.context import Context
from api.graphql.problems import AnyProblem, remembered
from domain.customers import service as customers
from domain.customers.customer import CustomerErased, check_present
from domain.db import Tx
from domain.journal import service as journal
from domain.journal.service import IdempotencyConflict, IdempotencyKeyMalformed, InProgress
from domain.kernel.call import Call
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass

T = TypeVar("T")
# These pass by themselves: the next try is not answered from memory.
_PASSING = {Kind.BUSY, Kind.UNAVAILABLE, Kind.UNAUTHENTICATED, Kind.FORBIDDEN}
# Nothing is remembered of these: there is no key yet, or nobody of whom anything may be kept.
_ABOUT_THE_KEY = (
    *(InProgress, IdempotencyConflict, IdempotencyKeyMalformed),
    *(customers.CustomerNotFound, CustomerErased),
)
# A call that was cut off in the middle keeps its key for as long; longer than the gateway's slowest answer.
RUNNING_FOR = timedelta(minutes=2)
KEY_DESCRIPTION = (
    "1 to 255 characters, new for each wish: sent again with the same input it gives the same outcome, and nothing "
    "happens twice. Kept for 30 days."
)
_PROBLEM = "problem"
_RUNNING = "running_until"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to happen once: the mutation, the caller's key for it, whose it is, and the input.

    `of_erased`: it may also happen to a customer that is erased, such as money that goes back to it.
    """

    context: Context
    mutation: str
    key: str
    customer_id: CustomerId
    given: Mapping[str, Any]
    of_erased: bool = False

    @property
    def call(self) -> Call:
        """The caller."""
        return self.context.call

    async def hold(self, tx: Tx) -> Mapping[str, str] | None:
        """Keep others with the same key out until the transaction ends, and return what the key came to, if anything.

        Nothing is looked up or written for a customer that the caller may not see, or that is erased. Raises
        CustomerNotFound, CustomerErased, InProgress, IdempotencyConflict, IdempotencyKeyMalformed.
        """
        customer = await customers.load_customer(tx, self.call, self.customer_id)
        if not self.of_erased:
            check_present(customer)
        await journal.hold_key(tx, self.call, self.mutation, self.key, customer_id=self.customer_id)
        kept: Mapping[str, str] | None = await journal.recall(
            tx,
            self.call,
            self.mutation,
            self.key,
            customer_id=self.customer_id,
            digest=journal.input_digest(self.given),
        )
        return kept

    async def keep(self, tx: Tx, outcome: Mapping[str, str]) -> None:
        """Write the outcome."""
        await journal.keep(
            tx,
            self.call,
            self.mutation,
            self.key,
            customer_id=self.customer_id,
            digest=journal.input_digest(self.given),
            outcome=outcome,
        )


async def once(
    wish: Wish,
    act: Callable[[Tx], Awaitable[tuple[T, Mapping[str, str]]]],
    again: Callable[[Tx, Mapping[str, str]], Awaitable[T]],
) -> T | AnyProblem:
    """Act in one transaction with the memory of it, or resolve anew what an earlier call with this key did.

    `act` returns its value and the ids to remember; `again` gets these ids back. Raises as `Wish.hold`, and whatever
    `act` refuses with; a refusal is remembered too, unless it passes by itself.
    """
    try:
        async with wish.context.runtime.db.transaction() as tx:
            kept = await wish.hold(tx)
            if kept is not None:
                return remembered(kept) if _PROBLEM in kept else await again(tx, kept)
            value, outcome = await act(tx)
            await wish.keep(tx, outcome)
            return value
    except _ABOUT_THE_KEY:
        raise
    except DomainError as error:
        await _keep_refusal(wish, error)
        raise


async def once_outside(
    wish: Wish,
    act: Callable[[], Awaitable[tuple[T, Mapping[str, str]]]],
    again: Callable[[Tx, Mapping[str, str]], Awaitable[T]],
) -> T | AnyProblem:
    """As `once`, for what calls a foreign server and therefore runs outside of a transaction.

    The key is marked as running first. `act` must be safe to repeat: where a process dies in it, the next call with
    this key acts again once RUNNING_FOR is over.
    """
    async with wish.context.runtime.db.transaction() as tx:
        kept = await wish.hold(tx)
        if kept is not None and _RUNNING not in kept:
            return remembered(kept) if _PROBLEM in kept else await again(tx, kept)
        if kept is not None and datetime.fromisoformat(kept[_RUNNING]) > wish.call.at:
            raise InProgress
        await wish.keep(tx, {_RUNNING: (wish.call.at + RUNNING_FOR).isoformat()})
    try:
        value, outcome = await act()
    except DomainError as error:
        await _keep_refusal(wish, error)
        raise
    async with wish.context.runtime.db.transaction() as tx:
        await wish.keep(tx, outcome)
    return value


async def _keep_refusal(wish: Wish, error: DomainError) -> None:
    """Remember a refusal; of one that passes by itself, that nothing runs any more."""
    async with wish.context.runtime.db.transaction() as tx:
        try:
            kept = await wish.hold(tx)
        except _ABOUT_THE_KEY:
            return
        if error.kind not in _PASSING and (kept is None or _RUNNING in kept):
            await wish.keep(tx, {_PROBLEM: error.kind, "code": error.code, "message": error.message})
        elif kept is not None and _RUNNING in kept:
            await wish.keep(tx, {_RUNNING: wish.call.at.isoformat()})
