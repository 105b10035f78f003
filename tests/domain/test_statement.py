"""Statements that are built once: their values, their rows, and that they belong to the unit of work."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import asyncpg
import pytest
import sqlalchemy as sa

from domain import db
from domain.db import Database
from domain.kernel.ids import NOBODY
from domain.statement import Statement, among, given, narrowed, present

_AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
_A, _B, _C = (UUID(int=number) for number in (1, 2, 3))

# A table of its own, in metadata of its own: the product's tables are those of the migrations.
_note = sa.Table(
    "note",
    sa.MetaData(),
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("word", sa.Text, nullable=False),
    sa.Column("price", db.Quantity),
    sa.Column("facts", db.Json, nullable=False),
    sa.Column("at", db.Instant),
    sa.Column("number", sa.BigInteger, sa.Identity(always=True)),
)
_MAKE = sa.text(
    "CREATE TEMPORARY TABLE note (id uuid PRIMARY KEY, word text NOT NULL, price numeric(38, 18), facts jsonb NOT NULL,"
    " at timestamptz, number bigint GENERATED ALWAYS AS IDENTITY) ON COMMIT DROP"
)
_INSERT = Statement(sa.insert(_note).values(given(_note, but=("number",))))
_ALL = Statement(sa.select(_note).order_by(_note.c.id))
_SOME = Statement(sa.select(_note.c.word).where(among(_note.c.id, "ids")).order_by(_note.c.word))
_ONE = Statement(sa.select(_note).where(*narrowed(_note, ("id", "word"))))
_MOVE = Statement(sa.update(_note).where(_note.c.word == sa.bindparam("before")).values(word=sa.bindparam("word")))


def _row(note_id: UUID, word: str = "a") -> dict[str, object]:
    facts = {"left": Decimal("1.50"), "of": [1, None]}
    return {"id": note_id, "word": word, "price": Decimal("0.1"), "facts": facts, "at": _AT}


async def test_what_is_written_by_name_is_read_by_name(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(_MAKE)
        assert await _INSERT.run(tx, **_row(_A)) == 1
        [found] = await _ALL.rows(tx)
    assert (found.id, found.word, found.price, found.at, found.number) == (_A, "a", Decimal("0.1"), _AT, 1)
    # Numbers in JSON keep their digits as text, as with every other statement.
    assert found.facts == {"left": "1.50", "of": [1, None]}


async def test_it_reads_what_a_statement_of_sqlalchemy_wrote_and_the_other_way_round(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(_MAKE)
        await tx.execute(sa.insert(_note).values(_row(_A)))
        await _INSERT.run(tx, **_row(_B))
        ours, theirs = await _ALL.rows(tx), await tx.rows(sa.select(_note).order_by(_note.c.id))
    assert [tuple(row) for row in ours] == [tuple(row) for row in theirs]  # type: ignore[arg-type]
    assert len(theirs) == 2


async def test_several_rows_are_written_at_once_and_several_values_looked_for(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(_MAKE)
        await _INSERT.run_each(tx, [_row(_A, "a"), _row(_B, "b"), _row(_C, "c")])
        assert [row.word for row in await _SOME.rows(tx, ids=[_C, _A])] == ["a", "c"]
        assert await _SOME.rows(tx, ids=[]) == []


async def test_it_tells_how_many_rows_it_wrote_and_finds_one_or_none(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(_MAKE)
        await _INSERT.run_each(tx, [_row(_A), _row(_B)])
        assert await _MOVE.run(tx, before="a", word="b") == 2
        assert await _MOVE.run(tx, before="a", word="b") == 0
        found = await _ONE.row(tx, id=_A, word="b")
        assert found is not None
        assert found.id == _A
        assert await _ONE.row(tx, id=_A, word="a") is None
        assert await _ONE.value(tx, id=_B, word="b") == _B
        assert await _ONE.value(tx, id=_C, word="b") is None
        with pytest.raises(AssertionError, match="at most one"):
            await _ALL.row(tx)


async def test_it_belongs_to_the_unit_of_work_also_as_its_first_statement(db: Database) -> None:
    take = Statement(sa.select(sa.func.pg_try_advisory_xact_lock(0x7E57)))
    async with db.transaction() as first, db.transaction() as second:
        # The lock ends with the transaction: had there been none, the second one would get it.
        assert await take.value(first) is True
        assert await take.value(second) is False


async def test_what_is_undone_is_undone_with_it(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(_MAKE)
        async with tx.undone():
            await _INSERT.run(tx, **_row(_A))
            assert len(await _ALL.rows(tx)) == 1
        assert await _ALL.rows(tx) == []
        with pytest.raises(asyncpg.UniqueViolationError):
            async with tx.attempted():
                await _INSERT.run_each(tx, [_row(_B), _row(_B)])
        assert await _ALL.rows(tx) == []


async def test_values_that_do_not_fit_are_refused_before_anything_is_sent(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(_MAKE)
        with pytest.raises(AssertionError, match="word"):
            await _ONE.row(tx, id=_A)
        with pytest.raises(AssertionError, match="scope"):
            await _ONE.row(tx, id=_A, word="a", scope=NOBODY)
        assert await _ALL.rows(tx) == []


def test_what_is_not_asked_for_narrows_nothing() -> None:
    assert present(customer_id=None, environment="live", since=None) == {"environment": "live"}
    assert narrowed(_note, ()) == []
