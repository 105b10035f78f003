"""Statements that are built once and run by the driver, for what is run again and again."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, Protocol, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.period import Range
from domain.kernel.values import dataclass

# Postgres' number of its exact numerics: they alone ask what it sends, and there is no other kind of number to turn.
_NUMERIC = 1700


class Row(Protocol):
    """A row: what was selected, as attributes."""

    def __getattr__(self, name: str, /) -> Any:
        """Return a selected value."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement's text, its parameters in order, each with what turns a value into the driver's, and its rows."""

    sql: str
    taken: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    asked: frozenset[str]
    fixed: Mapping[str, Any]
    read: Callable[[Sequence[Any]], Any]


class Statement:
    """A statement that is built once and sent by the driver: for what is run again and again.

    To build one anew and to have SQLAlchemy run it costs five times what the driver takes. Each `sa.bindparam` without
    a value is given by its name with every run. Several values are one array (`among`), since the text of an `IN`
    differs with their number. What fails raises the driver's errors.
    """

    def __init__(self, built: sa.Executable) -> None:
        """Compile nothing yet: a process runs few of all statements."""
        self._built = cast("sa.ClauseElement", built)

    async def rows(self, tx: db.Tx, **given: Any) -> list[Row]:
        """Return all rows; the statement states its own LIMIT."""
        compiled = self._compiled
        found = await (await tx.raw()).fetch(compiled.sql, *_values(compiled, given))
        return [compiled.read(tuple(each)) for each in found]

    async def row(self, tx: db.Tx, **given: Any) -> Row | None:
        """Return the only row, or None. More than one is a programmer error."""
        found = await self.rows(tx, **given)
        assert len(found) <= 1, "at most one row is looked for"
        return found[0] if found else None

    async def value(self, tx: db.Tx, **given: Any) -> Any:
        """Return the first column of the only row, or None."""
        found = cast("Sequence[Any] | None", await self.row(tx, **given))
        return found[0] if found else None

    async def run(self, tx: db.Tx, **given: Any) -> int:
        """Run what returns no rows; tells how many it wrote."""
        compiled = self._compiled
        done = await (await tx.raw()).execute(compiled.sql, *_values(compiled, given))
        return int(done.rpartition(" ")[2])

    async def run_each(self, tx: db.Tx, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each of several rows, all sent at once."""
        compiled = self._compiled
        await (await tx.raw()).executemany(compiled.sql, [_values(compiled, each) for each in rows])

    @cached_property
    def _compiled(self) -> _Compiled:
        compiled = cast("sa.sql.compiler.SQLCompiler", self._built.compile(dialect=db.DIALECT))
        order = cast("list[str]", compiled.positiontup)
        types = {name: compiled.binds[name].type.dialect_impl(db.DIALECT) for name in order}
        columns = self._built.exported_columns if isinstance(self._built, sa.sql.expression.ReturnsRows) else ()
        assert "POSTCOMPILE" not in str(compiled), "its text does not differ with its values: see among"
        return _Compiled(
            sql=str(compiled),
            taken=tuple((name, types[name].bind_processor(db.DIALECT)) for name in order),
            asked=frozenset(name for name in order if compiled.binds[name].required),
            fixed={name: compiled.params[name] for name in order if not compiled.binds[name].required},
            read=_reader(list(columns)),
        )


def _values(compiled: _Compiled, given: Mapping[str, Any]) -> list[Any]:
    assert given.keys() == compiled.asked, f"{sorted(given.keys() ^ compiled.asked)} does not fit the statement"
    known = {**compiled.fixed, **given}
    return [known[name] if turned is None else turned(known[name]) for name, turned in compiled.taken]


def _reader(columns: Sequence[sa.ColumnElement[Any]]) -> Callable[[Sequence[Any]], Any]:
    """Return what makes a row of the driver's."""
    named = cast("Any", NamedTuple)("Row", [(_name_of(column, index), Any) for index, column in enumerate(columns)])
    turns = [column.type.dialect_impl(db.DIALECT).result_processor(db.DIALECT, _NUMERIC) for column in columns]
    turned = [(index, turn) for index, turn in enumerate(turns) if turn is not None]
    if not turned:
        return cast("Callable[[Sequence[Any]], Any]", named._make)

    def read(found: Sequence[Any]) -> Any:
        values = list(found)
        for index, turn in turned:
            values[index] = turn(values[index])
        return named._make(values)

    return read


def _name_of(column: sa.ColumnElement[Any], index: int) -> str:
    """Return what a column is called in a row; one without a name is looked at by its place."""
    key = str(column.key or "")
    return key if key.isidentifier() and not key.startswith("_") else f"column_{index}"


def given(table: sa.Table, *, but: Collection[str] = ()) -> dict[str, sa.BindParameter[Any]]:
    """Return a value for each column of a table, to be given by the column's name, for a `Statement` that writes."""
    return {each.name: sa.bindparam(each.name, type_=each.type) for each in table.columns if each.name not in but}


def present(**values: Any) -> dict[str, Any]:
    """Return the values that are not None: what a look-up is narrowed by, which each caller may leave out."""
    return {name: value for name, value in values.items() if value is not None}


def narrowed(table: sa.FromClause, names: Iterable[str]) -> list[sa.ColumnElement[bool]]:
    """Return that each of these columns has the value that is given by its name."""
    return [table.c[name] == sa.bindparam(name) for name in names]


def among(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
    """Return whether a column is one of the values that are given by a name, as a list, for a `Statement`."""
    return column == sa.any_(sa.bindparam(name, type_=pg.ARRAY(column.type)))


def within(column: sa.ColumnElement[datetime], wanted: Range) -> list[sa.ColumnElement[bool]]:
    """Return the conditions under which an instant lies in a range; none for one that is open at both ends."""
    found = []
    if wanted.start is not None:
        found.append(column >= wanted.start)
    if wanted.end is not None:
        found.append(column < wanted.end)
    return found
