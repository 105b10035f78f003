"""The database: engine, unit of work and column types.

A `Tx` is one transaction on one connection and belongs to one task. Services whose first parameter is `tx` run inside
the caller's unit of work and never commit. A transaction is never open over a network call.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, cast
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio.engine import AsyncConnection, create_async_engine
from sqlalchemy.util import greenlet_spawn

from domain.kernel.values import dataclass
from domain.vault import Vault

# Every slice's tables; each slice writes only its own.
metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)


class ConnectionLost(ConnectionError):
    """Postgres ended the connection in the middle of the work, gave none, or cannot write; another try may fare better.

    Nothing of its unit of work was committed, unless it was the answer to the commit that was lost.
    """


# What a statement or a connection raises while Postgres is out of reach or refuses; whoever waits catches these.
# ConnectionLost is an OSError.
DATABASE_ERRORS = (sa.exc.DBAPIError, sa.exc.TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)

# What SQLAlchemy makes of the driver's errors, before it makes its own of them.
_ADAPTED_ERROR = pg.asyncpg.AsyncAdapt_asyncpg_dbapi.Error

# Quantities, prices and costs: exact, 20 digits before the point and 18 after it.
Quantity = sa.Numeric(38, 18)
Instant = sa.TIMESTAMP(timezone=True)
Id = pg.UUID(as_uuid=True)
Json = pg.JSONB()

# A server that only reads: another one has taken its place, and connections to this one stay open.
_READ_ONLY = "25006"
# Beginnings of SQLSTATEs: a connection that failed, one that an operator or a crash ended, a server without
# connections, disk or memory to spare, and one that only reads.
_LOST = ("08", "57P", "53", _READ_ONLY)
# What a connection keeps prepared of the driver's statements: all that a process runs again and again.
_STATEMENTS_KEPT = 256
# The same, and who may not come in: a wrong password, a database that is not there.
_REFUSED = (*_LOST, "28", "3D")


class Personal(sa.types.TypeDecorator[bytes]):
    """A column whose value is sealed by the `Vault`: the only place where a personal value may be stored."""

    impl = sa.LargeBinary
    cache_ok = True


@dataclass(frozen=True, slots=True)
class Tx:
    """One unit of work.

    `kept` are snapshots that this process keeps of slowly changing tables, by name: whoever reads one proves in the
    same unit of work that it still holds. `is_tried`: what it writes is looked at and taken back, see `undone`.
    `lent` is the driver's own connection where it only reads, see `Database.reading`.
    """

    lent: AsyncConnection | asyncpg.Connection
    vault: Vault
    kept: dict[str, object]
    is_tried: bool = False

    @property
    def connection(self) -> AsyncConnection:
        """SQLAlchemy's connection."""
        assert isinstance(self.lent, AsyncConnection), "a reading has statements of the driver's alone"
        return self.lent

    async def execute(
        self, statement: sa.Executable, parameters: Sequence[Mapping[str, Any]] | Mapping[str, Any] | None = None
    ) -> sa.CursorResult[Any]:
        """Run a statement and return its result."""
        return cast("sa.CursorResult[Any]", await self.connection.execute(statement, parameters))

    async def rows(self, statement: sa.Executable) -> Sequence[sa.Row[Any]]:
        """Return all rows; the statement states its own LIMIT."""
        return (await self.execute(statement)).all()

    async def row(self, statement: sa.Executable) -> sa.Row[Any] | None:
        """Return the only row, or None. More than one is a programmer error."""
        return (await self.execute(statement)).one_or_none()

    async def value(self, statement: sa.Executable) -> Any:
        """Return the first column of the only row, or None."""
        return (await self.execute(statement)).scalar_one_or_none()

    async def ping(self) -> None:
        """Ask the server for a sign of life."""
        await self.execute(sa.select(1))

    @asynccontextmanager
    async def undone(self) -> AsyncIterator["Tx"]:
        """Take back everything that the block writes and locks, when it ends: for looking at what would be.

        What is done by the unit of work that it lends is told to nobody.
        """
        nested = await self.connection.begin_nested()
        try:
            yield replace(self, is_tried=True)
        finally:
            await nested.rollback()

    @asynccontextmanager
    async def attempted(self) -> AsyncIterator[None]:
        """Take back what the block writes where it raises, and go on with the unit of work; else keep it."""
        async with self.connection.begin_nested():
            yield

    async def raw(self) -> asyncpg.Connection:
        """Return the driver's connection inside the same transaction, for statements whose speed matters.

        Raises ConnectionLost.
        """
        lent = self.lent
        driver = _driver_of(lent) if isinstance(lent, AsyncConnection) else lent
        if driver.is_closed():
            raise ConnectionLost
        if isinstance(lent, AsyncConnection) and not driver.is_in_transaction():
            # SQLAlchemy begins with its own first statement; a raw one before it would commit by itself. A statement
            # that does nothing but begin would be one more exchange with the server.
            pooled = cast("sa.Connection", lent.sync_connection).connection
            try:
                await cast("Any", pooled.dbapi_connection)._start_transaction()  # noqa: SLF001
            except _ADAPTED_ERROR as error:
                raise ConnectionLost from error
        return driver


def _driver_of(connection: AsyncConnection) -> asyncpg.Connection:
    """Return the driver's connection below one that is open: this needs none of SQLAlchemy's ways to wait."""
    return _driver_in(cast("sa.Connection", connection.sync_connection).connection)


def _driver_in(pooled: sa.PoolProxiedConnection) -> asyncpg.Connection:
    return cast("asyncpg.Connection", pooled.driver_connection)


def _dump_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, default=_plain)


def _plain(value: Any) -> str:
    """Decimals and ids are stored as strings: a JSON number would lose digits on the way back."""
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


# What connections speak: for statements that are compiled apart from one.
DIALECT: sa.Dialect = cast("Any", pg.asyncpg.dialect)(json_serializer=_dump_json)


class Database:
    """A pool of connections to Postgres. Make one per process, close it at the end."""

    def __init__(self, url: str, vault: Vault, *, pool_size: int = 10, wait_s: int = 10, pooled: bool = False) -> None:
        """Open no connection yet. `pooled` says that a transaction-mode pooler stands between."""
        self.vault = vault
        self._kept: dict[str, object] = {}
        self._engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=wait_s,
            json_serializer=_dump_json,
            connect_args={"statement_cache_size": 0 if pooled else _STATEMENTS_KEPT},
            # An error's text would repeat what was to be written, and logs hold no values of customers.
            hide_parameters=True,
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Begin; commit when the block ends; roll back when it raises. Raises ConnectionLost."""
        with _telling_losses():
            async with self._connected() as connection, connection.begin():
                yield Tx(connection, self.vault, self._kept)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Tx]:
        """Read one state of the database by several statements: nothing that others commit meanwhile is seen.

        Nothing can be written. Raises ConnectionLost.
        """
        with _telling_losses():
            async with self._connected() as lent:
                connection = await lent.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                async with connection.begin():
                    yield Tx(connection, self.vault, self._kept)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Tx]:
        """Read by several statements of the driver's, each of which sees what is committed by then; nothing is written.

        No transaction is begun and ended: two exchanges with the server, for what is read again and again. Raises
        ConnectionLost.
        """
        async with self.driver() as driver:
            yield Tx(driver, self.vault, self._kept)

    @asynccontextmanager
    async def driver(self) -> AsyncIterator[asyncpg.Connection]:
        """Lend the driver's connection outside of any transaction: each statement is one by itself.

        It comes from the pool as it is: a connection of SQLAlchemy's around it costs as much as many a statement.
        Raises ConnectionLost.
        """
        with _telling_losses():
            pooled = await self._open()
            if _driver_in(pooled).is_closed():
                # The server has gone meanwhile, and the pool does not know.
                await greenlet_spawn(pooled.invalidate)
                pooled = await self._open()
            driver = _driver_in(pooled)
            try:
                async with _noticing_loss(driver, partial(greenlet_spawn, pooled.invalidate)):
                    yield driver
            finally:
                if pooled.is_valid:
                    await greenlet_spawn(pooled.close)

    async def _open(self) -> sa.PoolProxiedConnection:
        try:
            return await self._engine.raw_connection()
        except _ADAPTED_ERROR as error:
            raise ConnectionLost from error

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that is open as far as anybody knows."""
        async with self._engine.connect() as connection:
            driver = _driver_of(connection)
            if driver.is_closed():
                # The server has gone meanwhile, and the pool does not know.
                await connection.invalidate()
                await connection.get_raw_connection()
                driver = _driver_of(connection)
            async with _noticing_loss(driver, connection.invalidate):
                yield connection

    async def close(self) -> None:
        """Give all connections back to the server."""
        await self._engine.dispose()


@asynccontextmanager
async def _noticing_loss(driver: asyncpg.Connection, invalidate: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Let go of a connection that is lost in the block: the pool would lend it again.

    Also of one whose unit of work was cancelled: whether it has begun, or has committed, is known to the server alone,
    and what is lent next would become a part of it that nobody commits. And of one to a server that only reads: the
    next is opened to whichever server the address means by then.
    """
    is_lost = False
    try:
        yield
    except (asyncpg.InternalClientError, asyncio.CancelledError):
        is_lost = True
        raise
    except (sa.exc.DBAPIError, asyncpg.PostgresError) as error:
        is_lost = _state_of(error) == _READ_ONLY
        raise
    finally:
        if is_lost or driver.is_closed():
            await invalidate()


@contextmanager
def _telling_losses() -> Iterator[None]:
    """Raise ConnectionLost where the driver or SQLAlchemy raise a loss as one of the errors of wrong statements."""
    try:
        yield
    except asyncpg.InternalClientError as error:
        # The server has ended the connection, and the driver, which has not read all of its farewell, does not know.
        raise ConnectionLost from error
    except (sa.exc.DBAPIError, asyncpg.PostgresError) as error:
        if _is_loss(error):
            raise ConnectionLost from error
        raise


def unreachable_reason(error: BaseException) -> str | None:
    """Say in a few words why no connection was given, as Postgres or the system says it; None for any other fault.

    Nothing that was to be written is repeated. The chain of causes is looked through: each layer wraps what it caught.
    """
    unsaid: str | None = None
    # What other clients raise has a refused connection among its causes, too.
    found: BaseException | None = error if isinstance(error, DATABASE_ERRORS) else None
    while found is not None:
        state = getattr(found, "sqlstate", None) or ""
        if isinstance(found, asyncpg.PostgresError) and state.startswith(_REFUSED):
            return str(found).splitlines()[0]
        if isinstance(found, (ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError)):
            if str(found):
                return str(found).splitlines()[0]
            unsaid = unsaid or type(found).__name__
        found = found.__cause__ or found.__context__
    return unsaid


def _is_loss(error: sa.exc.DBAPIError | asyncpg.PostgresError) -> bool:
    """Whether an error is about the connection and not about what was to be run."""
    is_known = isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
    return is_known or _state_of(error).startswith(_LOST)


def _state_of(error: sa.exc.DBAPIError | asyncpg.PostgresError) -> str:
    """Return the SQLSTATE, or nothing where the server said none."""
    said = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return getattr(said, "sqlstate", None) or ""


def newest_of_each(
    table: sa.Table, customer_ids: Collection[UUID], *, before: UUID | None, limit: int, where: Sequence[Any] = ()
) -> sa.Select[Any]:
    """Select the newest rows of each of several customers, at most `limit` of each: one statement, for loaders.

    One short scan of the primary key for each customer, however many rows it has. `before` is the id of the last row
    seen, `where` narrows further.
    """
    given = sa.literal(list(customer_ids), pg.ARRAY(Id))
    wanted = sa.func.unnest(given).table_valued(sa.column("customer_id", Id)).render_derived("wanted")
    own = sa.select(table).where(table.c.customer_id == wanted.c.customer_id, *where)
    if before is not None:
        own = own.where(table.c.id < before)
    newest = own.order_by(table.c.id.desc()).limit(limit).lateral("newest")
    return sa.select(newest).select_from(wanted.join(newest, sa.true())).order_by(newest.c.id.desc())
