"""How limits, decisions and reservations look in the schema."""

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import strawberry

from api.graphql import ids
from api.graphql.permissions import guarded_type, public_type
from api.graphql.problems import LimitReached
from api.graphql.scalars import exact
from domain.access.roles import Permission
from domain.limits import explanation, override
from domain.limits.judging import Answer
from domain.limits.request import Reserved, Settled
from domain.plans.plan import Catalogue
from domain.usage.verdict import Status

# Numbers and instants whose reading is remembered: limits and ends of periods come again and again.
TEXTS_MAX = 4_096


@public_type("A limit as it stands beside a request. It is reached only through what may be seen.")
class LimitStanding:
    """One limit in an answer."""

    key: str = strawberry.field(description="Key of the limit, such as tokens.")
    name: str = strawberry.field(description="What it limits, for people.")
    unit: str = strawberry.field(description="What is counted, or a currency.")
    limit: Decimal | None = strawberry.field(description="In the unit; null is unlimited.")
    bound: Decimal | None = strawberry.field(description="Where usage must end; null where nothing is refused.")
    used: Decimal = strawberry.field(description="In the unit.")
    held: Decimal = strawberry.field(description="What reservations hold, in the unit.")
    asked: Decimal = strawberry.field(description="What was asked for, in the unit.")
    state: str = strawberry.field(
        description="After what is allowed: active, warning from 80 %, at_limit, over_soft_limit; or blocked."
    )
    resets_at: datetime | None = strawberry.field(description="When it starts anew; null where it carries over.")


@guarded_type(Permission.LIMIT_CHECK, "Whether something may be used now.")
class LimitCheck:
    """The answer to a check."""

    allowed: bool = strawberry.field(description="Whether all of it may be used.")
    decision_id: strawberry.ID | None = strawberry.field(
        description="`dec_…` where the decision is kept: every refusal, and a sample of what is held."
    )
    code: str | None = strawberry.field(description="Why not, for programs, such as limit_reached.")
    message: str | None = strawberry.field(description="Why not and what helps, for people.")
    refused: LimitStanding | None = strawberry.field(description="The limit that does not allow it.")
    plan: str | None = strawberry.field(description="Key of the cheapest plan that would have allowed it.")
    limits: list[LimitStanding] = strawberry.field(description="All limits that it feeds.")


@guarded_type(Permission.LIMIT_READ, "A decision, with the numbers that decided.")
class Decision:
    """A kept decision."""

    id: strawberry.ID = strawberry.field(description="`dec_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    at: datetime = strawberry.field(description="When it was made, in real time.")
    asked_by: str = strawberry.field(description="What asked: check, reserve or extend.")
    event_type: str = strawberry.field(description="The type of usage event, such as llm.call.")
    allowed: bool = strawberry.field(description="Whether it was allowed.")
    code: str | None = strawberry.field(description="Why not, for programs.")
    rule: str | None = strawberry.field(description="Key of the limit that refused it.")
    message: str | None = strawberry.field(description="Why not and what helps, for people.")
    plan: str | None = strawberry.field(description="Key of the cheapest plan that would have allowed it.")
    limits: list[LimitStanding] = strawberry.field(description="Every limit that was looked at, as it stood.")


@guarded_type(Permission.LIMIT_CHECK, "The estimate is held.")
class UsageReserved:
    """Success of reserveUsage."""

    id: strawberry.ID = strawberry.field(description="`rsv_…`: settle or release it.")
    expires_at: datetime = strawberry.field(description="Until then it is held, in real time.")
    is_new: bool = strawberry.field(description="False where the same id was reserved before.")
    decision_id: strawberry.ID | None = strawberry.field(description="`dec_…` where the decision is kept.")
    limits: list[LimitStanding] = strawberry.field(description="All limits that it feeds.")


@guarded_type(Permission.LIMIT_CHECK, "The reservation is held longer.")
class ReservationExtended:
    """Success of extendReservation."""

    id: strawberry.ID = strawberry.field(description="`rsv_…`")
    expires_at: datetime = strawberry.field(description="Until then it is held, in real time.")
    is_new: bool = strawberry.field(description="Always false.")
    decision_id: strawberry.ID | None = strawberry.field(description="`dec_…` where the decision is kept.")
    limits: list[LimitStanding] = strawberry.field(description="All limits that a larger estimate feeds; else empty.")


@guarded_type(Permission.LIMIT_CHECK, "What was used is recorded.")
class ReservationSettled:
    """Success of settleReservation."""

    status: Status = strawberry.field(description="What became of the usage event.")
    why_not_counted: str | None = strawberry.field(description="One sentence for people; null where it counts.")
    overrun: bool = strawberry.field(description="Whether more was used than was held.")


@guarded_type(Permission.LIMIT_CHECK, "Nothing is held any more.")
class ReservationReleased:
    """Success of releaseReservation."""

    was_held: bool = strawberry.field(description="False where it had ended before.")


@guarded_type(Permission.LIMIT_READ, "What a customer is granted instead of the amount of the plan.")
class LimitOverride:
    """An override."""

    id: strawberry.ID = strawberry.field(description="`lov_…`")
    product: str = strawberry.field(description="Key of the product.")
    key: str = strawberry.field(description="Key of the limit.")
    amount: Decimal | None = strawberry.field(description="In the unit of the limit; null is unlimited.")
    from_at: datetime = strawberry.field(description="In business time.")
    until_at: datetime | None = strawberry.field(description="The first instant without it; null is for good.")
    reason: str = strawberry.field(description="Why.")
    created_at: datetime = strawberry.field(description="When it was granted, in real time.")


@guarded_type(Permission.LIMIT_READ, "The amount is granted; processes that check know of it within seconds.")
class LimitOverrideSet:
    """Success of setLimitOverride."""

    override: LimitOverride = strawberry.field(description="The override.")


def check_of(answer: Answer) -> LimitCheck:
    """Wrap an answer."""
    limits = standings_of(explanation.numbers_of(answer.standings))
    [refused_by] = standings_of(explanation.numbers_of([answer.refused])) if answer.refused else [None]
    return LimitCheck(
        allowed=answer.is_allowed,
        decision_id=_decision_id(answer),
        code=answer.code.value if answer.code else None,
        message=answer.message if answer.refused else None,
        refused=refused_by,
        plan=answer.plan.key if answer.plan else None,
        limits=limits,
    )


def standings_of(numbers: Any) -> list[LimitStanding]:
    """Wrap limits as decisions keep them."""
    return [
        LimitStanding(
            key=each["key"],
            name=each["name"],
            unit=each["unit"],
            limit=_decimal(each["limit"]),
            bound=_decimal(each["bound"]),
            used=_exact(each["used"]),
            held=_exact(each["held"]),
            asked=_exact(each["asked"]),
            state=each["state"],
            resets_at=_instant(each["resets_at"]) if each["resets_at"] else None,
        )
        for each in numbers
    ]


def decision_of(kept: explanation.Decision) -> Decision:
    """Wrap a decision."""
    return Decision(
        id=ids.id_of("decision", kept.id),
        customer_id=ids.id_of("customer", kept.customer_id),
        subscription_id=ids.id_of("subscription", kept.subscription_id),
        at=kept.at,
        asked_by=kept.asked_by,
        event_type=kept.event_type,
        allowed=kept.allowed,
        code=kept.code,
        rule=kept.rule,
        message=kept.message,
        plan=kept.plan,
        limits=standings_of(kept.numbers),
    )


def reserved_of(reserved: Reserved) -> dict[str, Any]:
    """Give the fields of what is held."""
    assert reserved.reservation is not None, "it is held"
    return {
        "id": strawberry.ID(reserved.reservation.name.text),
        "expires_at": reserved.reservation.expires_at,
        "is_new": reserved.is_new,
        "decision_id": _decision_id(reserved.answer),
        "limits": standings_of(explanation.numbers_of(reserved.answer.standings)),
    }


def refused(answer: Answer) -> LimitReached:
    """Wrap a refusal as the problem that it is."""
    assert answer.code is not None, "a refusal has a code"
    return LimitReached(code=answer.code.value, message=answer.message, decision_id=_decision_id(answer))


def settled_of(settled: Settled) -> ReservationSettled:
    """Wrap what became of a settlement."""
    verdict = settled.verdict
    return ReservationSettled(status=verdict.status, why_not_counted=verdict.message, overrun=bool(settled.overrun))


def override_of(catalogue: Catalogue, value: override.Override) -> LimitOverride:
    """Wrap an override."""
    return LimitOverride(
        id=ids.id_of("override", value.id),
        product=catalogue.product_by_id(value.product_id).key,
        key=value.key,
        amount=exact(value.amount) if value.amount is not None else None,
        from_at=value.from_at,
        until_at=value.until_at,
        reason=value.reason,
        created_at=value.created_at,
    )


def _decision_id(answer: Answer) -> strawberry.ID | None:
    return ids.id_of("decision", answer.decision) if answer.decision is not None else None


def _decimal(text: str | None) -> Decimal | None:
    return _exact(text) if text is not None else None


@lru_cache(maxsize=TEXTS_MAX)
def _exact(text: str) -> Decimal:
    return exact(Decimal(text))


@lru_cache(maxsize=TEXTS_MAX)
def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
