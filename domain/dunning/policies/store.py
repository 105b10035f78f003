"""Tables and statements of dunning policies and of who follows which."""

import dataclasses
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from domain import db
from domain.dunning.definition import PolicyState, PolicyVersion, read_policy, write_policy
from domain.kernel.ids import NOBODY, CustomerId, PlanId, PolicyId

NO_PLAN = PlanId(UUID(int=0))

dunning_policy = sa.Table(
    "dunning_policy",
    db.metadata,
    sa.Column("id", db.Id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False, comment="counts the versions of a name"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("rules", db.Json, nullable=False, comment="never changed once active"),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
    sa.Column("activated_at", db.Instant, comment="real time"),
    sa.UniqueConstraint("name", "number"),
    sa.CheckConstraint("state IN ('draft', 'active', 'retired')", name="state"),
    sa.CheckConstraint("(state = 'draft') = (activated_at IS NULL)", name="activated"),
    sa.Index("dunning_policy_active_key", "name", unique=True, postgresql_where=sa.text("state = 'active'")),
)

dunning_assignment = sa.Table(
    "dunning_assignment",
    db.metadata,
    sa.Column("customer_id", db.Id, primary_key=True, comment="nobody's id where it is a plan's"),
    sa.Column("plan_id", db.Id, primary_key=True, comment="all zero where it is a customer's"),
    sa.Column("name", sa.Text, nullable=False, comment="the policy whose active version new cases follow"),
    sa.Column("created_at", db.Instant, nullable=False, comment="real time"),
)


async def insert_policy(tx: db.Tx, new: PolicyVersion) -> None:
    """Insert a version; the database refuses a number twice."""
    await tx.execute(sa.insert(dunning_policy).values(_values(new)))


async def save_policy_state(tx: db.Tx, before: PolicyVersion, after: PolicyVersion) -> None:
    """Write the state of a version; its rules stay."""
    own = dunning_policy.c
    await tx.execute(
        sa.update(dunning_policy)
        .where(own.id == before.id, own.state == before.state)
        .values(state=after.state, activated_at=after.activated_at)
    )


async def lock_versions(tx: db.Tx, name: str) -> Sequence[PolicyVersion]:
    """Return all versions of a name, the newest first, and keep other changes of them out."""
    own = dunning_policy.c
    statement = sa.select(dunning_policy).where(own.name == name).order_by(own.number.desc()).with_for_update()
    return [_version(row) for row in await tx.rows(statement)]


async def policies_by_id(tx: db.Tx, ids: Collection[PolicyId]) -> dict[PolicyId, PolicyVersion]:
    """Return versions by id: one statement, for loaders."""
    return {row.id: _version(row) for row in await tx.rows(_those(dunning_policy.c.id.in_(ids)))}


async def list_policies(tx: db.Tx, *, limit: int) -> Sequence[PolicyVersion]:
    """Return versions by name, the newest first."""
    own = dunning_policy.c
    statement = sa.select(dunning_policy).order_by(own.name, own.number.desc()).limit(limit)
    return [_version(row) for row in await tx.rows(statement)]


async def list_active(tx: db.Tx, names: Collection[str]) -> dict[str, PolicyVersion]:
    """Return the active versions of names."""
    own = dunning_policy.c
    rows = await tx.rows(_those(own.name.in_(names), own.state == PolicyState.ACTIVE))
    return {row.name: _version(row) for row in rows}


async def save_assignment(
    tx: db.Tx, *, customer_id: CustomerId | None, plan_id: PlanId | None, name: str, at: datetime
) -> None:
    """Let a plan or a customer follow a policy, in place of what it followed before."""
    key = {"customer_id": customer_id or NOBODY, "plan_id": plan_id or NO_PLAN}
    statement = pg.insert(dunning_assignment).values(**key, name=name, created_at=at)
    await tx.execute(statement.on_conflict_do_update(index_elements=list(key), set_={"name": name, "created_at": at}))


async def delete_assignment(tx: db.Tx, *, customer_id: CustomerId | None, plan_id: PlanId | None) -> None:
    """Let a plan or a customer follow what it follows without an assignment."""
    own = dunning_assignment.c
    await tx.execute(
        sa.delete(dunning_assignment).where(
            own.customer_id == (customer_id or NOBODY), own.plan_id == (plan_id or NO_PLAN)
        )
    )


async def list_assignments(
    tx: db.Tx, customer_id: CustomerId, plan_ids: Collection[PlanId]
) -> dict[PlanId | None, str]:
    """Return what a customer (None) and some plans are assigned to."""
    own = dunning_assignment.c
    statement = sa.select(own.plan_id, own.name).where(
        sa.or_(
            sa.and_(own.customer_id == customer_id, own.plan_id == NO_PLAN),
            sa.and_(own.customer_id == NOBODY, own.plan_id.in_(plan_ids)),
        )
    )
    return {(None if row.plan_id == NO_PLAN else row.plan_id): row.name for row in await tx.rows(statement)}


def _those(*conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(dunning_policy).where(*conditions)


def _values(version: PolicyVersion) -> dict[str, Any]:
    values = {field.name: getattr(version, field.name) for field in dataclasses.fields(version)}
    del values["policy"]
    return values | {"rules": write_policy(version.policy)}


def _version(row: sa.Row[Any]) -> PolicyVersion:
    return PolicyVersion(
        id=row.id,
        name=row.name,
        number=row.number,
        state=PolicyState(row.state),
        policy=read_policy(row.rules),
        created_at=row.created_at,
        activated_at=row.activated_at,
    )
