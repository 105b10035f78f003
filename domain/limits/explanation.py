"""A decision as it is kept, so that it can be explained later (SEMANTICS 5.6)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from domain.kernel.ids import CustomerId, SubscriptionId
from domain.kernel.money import exact_text
from domain.kernel.values import dataclass
from domain.limits.judging import Answer, Standing

# Of permits, one in so many is kept; every refusal is.
SAMPLE = 100
# Ends of periods whose text is remembered.
INSTANTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision as it is kept: what asked, what refused it, and every number that decided.

    `numbers` are one mapping for each limit, exact numbers as text. `rule` is the key of the limit that refused.
    """

    customer_id: CustomerId
    id: UUID
    at: datetime
    asked_by: str
    subscription_id: SubscriptionId
    event_type: str
    reservation_id: UUID | None
    allowed: bool
    code: str | None
    rule: str | None
    message: str | None
    plan: str | None
    numbers: Sequence[Mapping[str, Any]]


def numbers_of(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """Write limits as they stood: exact numbers as text, None where there is no limit, no bound or no reset."""
    return [
        {
            "key": each.key,
            "name": each.name,
            "unit": each.unit,
            "limit": None if each.limit is None else exact_text(each.limit),
            "bound": None if each.bound is None else exact_text(each.bound),
            "used": exact_text(each.used),
            "held": exact_text(each.held),
            "asked": exact_text(each.asked),
            "state": each.state,
            "resets_at": None if each.resets_at is None else _text_of(each.resets_at),
        }
        for each in standings
    ]


@lru_cache(maxsize=INSTANTS_MAX)
def _text_of(resets_at: datetime) -> str:
    """Write the end of a usage period, in UTC: all limits of a period end with it."""
    return resets_at.isoformat()


def decision_of(
    answer: Answer,
    *,
    at: datetime,
    asked_by: str,
    customer_id: CustomerId,
    subscription_id: SubscriptionId,
    event_type: str,
    reservation_id: UUID | None,
) -> Decision:
    """Write down a decision that has an id."""
    assert answer.decision is not None, "what is kept has an id"
    return Decision(
        customer_id,
        answer.decision,
        at,
        asked_by,
        subscription_id,
        event_type,
        reservation_id,
        answer.is_allowed,
        answer.code.value if answer.code else None,
        answer.refused.key if answer.refused else None,
        None if answer.is_allowed else answer.message,
        answer.plan.key if answer.plan else None,
        numbers_of(answer.standings),
    )
