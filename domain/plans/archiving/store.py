"""Statement that archives plans."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import PlanId
from domain.plans.store import plan


async def save_archived(tx: db.Tx, ids: Sequence[PlanId], *, at: datetime | None) -> None:
    """Write since when plans are archived; None: they are not."""
    await tx.execute(sa.update(plan).where(plan.c.id.in_(ids)).values(archived_at=at))
