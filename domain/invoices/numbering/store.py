"""The number series, one for each environment, kind of document and year."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.kernel.call import Environment
from domain.statement import Statement, given

number_series = sa.Table(
    "number_series",
    db.metadata,
    sa.Column("environment", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True, comment="invoice or credit_note"),
    sa.Column("year", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.CheckConstraint("environment IN ('live', 'test')", name="environment"),
    sa.CheckConstraint("last > 0", name="last"),
)


_TAKE = Statement(
    pg.insert(number_series)
    .values(**given(number_series, but=("last",)), last=1)
    .on_conflict_do_update(index_elements=["environment", "kind", "year"], set_={"last": number_series.c.last + 1})
    .returning(number_series.c.last)
)


async def take_number(tx: db.Tx, *, environment: Environment, kind: str, year: int) -> int:
    """Return the next number of a series. The series stays locked until the transaction ends, so take it last.

    Where the transaction rolls back the number is given again: there are no gaps.
    """
    return int(await _TAKE.value(tx, environment=environment, kind=kind, year=year))
