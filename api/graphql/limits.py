"""Limits while calls run, decisions explained, and overrides by staff."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing, reading
from api.graphql.limit_views import (
    Decision,
    LimitCheck,
    LimitOverride,
    LimitOverrideSet,
    ReservationExtended,
    ReservationReleased,
    ReservationSettled,
    UsageReserved,
    check_of,
    decision_of,
    override_of,
    refused,
    reserved_of,
    settled_of,
)
from api.graphql.problems import AnyProblem
from api.graphql.scalars import Json
from domain.access.roles import Permission
from domain.customers.service import CustomerNotFound
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import decode
from domain.limits import service
from domain.limits.override import Wish
from domain.limits.request import Wanted
from domain.limits.reservation import EXPIRES_IN_S_DEFAULT, Measure

name_enum(
    Measure,
    "Measure",
    "How the quantities of a settled reservation came about.",
    MEASURED="Told by whoever did the work.",
    ESTIMATED="Estimated, because nobody told.",
    UNKNOWN="Nobody knows; what is stated is the best there is.",
)
_EXPIRES = "Seconds from now on, 1 to 3,600."
_PROPERTIES = "Those of the usage event that the call becomes, with upper bounds for what is not known yet."


class PropertiesMalformed(DomainError):
    """`properties` is an object of texts, numbers and truth values."""

    code = "properties_malformed"
    kind = Kind.INVALID


class AmountAmbiguous(DomainError):
    """Give an amount, or say that there is no limit; not both and not neither."""

    code = "amount_ambiguous"
    kind = Kind.INVALID


@strawberry.input(description="A call that is about to be made, and what it may use at most.")
class ReserveUsageInput:
    """Input of reserveUsage."""

    id: str = strawberry.field(
        description="Chosen by the caller, 1 to 255 characters: the same id reserves once, with the same properties."
    )
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    type: str = strawberry.field(description="The event type of a meter, such as llm.call.")
    properties: Json | None = strawberry.field(description=_PROPERTIES, default=None)
    expires_in_s: int = strawberry.field(description=_EXPIRES, default=EXPIRES_IN_S_DEFAULT)


@strawberry.input(description="What was used in the place of what was held.")
class SettleReservationInput:
    """Input of settleReservation."""

    id: strawberry.ID = strawberry.field(description="`rsv_…`")
    status: Measure = strawberry.field(description="How the quantities came about.")
    properties: Json | None = strawberry.field(description="Those of the usage event.", default=None)
    occurred_at: datetime | None = strawberry.field(
        description="35 days back to 5 minutes ahead in business time; now, unless told.", default=None
    )
    reference: str | None = strawberry.field(
        description="The product's own id of the call, 1 to 255 characters.", default=None
    )


@strawberry.input(description="What to give back.")
class ReleaseReservationInput:
    """Input of releaseReservation."""

    id: strawberry.ID = strawberry.field(description="`rsv_…`")


@strawberry.input(description="For how long to hold a reservation, and how much where that is more.")
class ExtendReservationInput:
    """Input of extendReservation."""

    id: strawberry.ID = strawberry.field(description="`rsv_…`")
    expires_in_s: int = strawberry.field(description=_EXPIRES, default=EXPIRES_IN_S_DEFAULT)
    properties: Json | None = strawberry.field(description="A larger estimate; the same, unless told.", default=None)


@strawberry.input(description="What a customer is granted instead of the amount of the plan.")
class SetLimitOverrideInput:
    """Input of setLimitOverride."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    product: str = strawberry.field(description="Key of the product, such as llm.")
    key: str = strawberry.field(description="Key of the limit, such as tokens.")
    amount: Decimal | None = strawberry.field(
        description="In the unit of the limit; 0 allows nothing. Null where it is unlimited.", default=None
    )
    unlimited: bool = strawberry.field(description="Whether nothing is refused at all.", default=False)
    from_at: datetime | None = strawberry.field(description="In business time; from now on, unless told.", default=None)
    until_at: datetime | None = strawberry.field(
        description="The first instant without it, in business time; for good, unless told.", default=None
    )
    reason: str = strawberry.field(description="Why, 1 to 500 characters; no personal data.")


ReserveUsageResult = Annotated[
    UsageReserved | AnyProblem, strawberry.union("ReserveUsageResult", description="What became of reserveUsage.")
]
SettleReservationResult = Annotated[
    ReservationSettled | AnyProblem,
    strawberry.union("SettleReservationResult", description="What became of settleReservation."),
]
ReleaseReservationResult = Annotated[
    ReservationReleased | AnyProblem,
    strawberry.union("ReleaseReservationResult", description="What became of releaseReservation."),
]
ExtendReservationResult = Annotated[
    ReservationExtended | AnyProblem,
    strawberry.union("ExtendReservationResult", description="What became of extendReservation."),
]
SetLimitOverrideResult = Annotated[
    LimitOverrideSet | AnyProblem,
    strawberry.union("SetLimitOverrideResult", description="What became of setLimitOverride."),
]


def _properties(sent: Json | None) -> Mapping[str, Any]:
    found: object = {} if sent is None else sent
    if not isinstance(found, dict):
        raise PropertiesMalformed
    return found


@strawberry.type
class LimitQuery:
    """Queries about limits."""

    @reading(Permission.LIMIT_CHECK, "May this be used now? Holds nothing. Null for an unknown customer.")
    async def check_limit(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
        type: Annotated[str, strawberry.argument(description="The event type of a meter, such as llm.call.")],
        properties: Annotated[Json | None, strawberry.argument(description=_PROPERTIES)] = None,
    ) -> LimitCheck | None:
        """Check it."""
        wanted = Wanted(customer_id, type, _properties(properties))
        try:
            return check_of(await info.context.serving.limits.check(info.context.call, wanted))
        except CustomerNotFound:
            return None

    @reading(Permission.LIMIT_READ, "Why something was allowed or refused, or null. Kept for 90 days.")
    async def decision(
        self,
        info: Info[Context, None],
        id: Annotated[strawberry.ID, strawberry.argument(description="`dec_…`")],
    ) -> Decision | None:
        """Explain it."""
        async with info.context.runtime.db.transaction() as tx:
            found = await service.find_decision(tx, info.context.call, decode("decision", id))
        return decision_of(found) if found is not None else None

    @reading(Permission.LIMIT_READ, "What a customer was granted instead of amounts of plans, the newest first.")
    async def limit_overrides(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
    ) -> list[LimitOverride] | None:
        """List them; null for an unknown customer."""
        catalogue = await info.context.runtime.catalogue()
        try:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_overrides(tx, info.context.call, ids.customer_id(customer_id))
        except CustomerNotFound:
            return None
        return [override_of(catalogue, each) for each in found]


@strawberry.type
class LimitMutation:
    """Changes of what is held and granted."""

    @changing(
        Permission.LIMIT_CHECK,
        "Hold an estimate on all limits that it feeds, or on none. Needs usage:write too. Safe to repeat.",
    )
    async def reserve_usage(
        self,
        info: Info[Context, None],
        input: Annotated[ReserveUsageInput, strawberry.argument(description="What to hold.")],
    ) -> ReserveUsageResult:
        """Reserve it."""
        reserved = await info.context.serving.limits.reserve(
            info.context.call,
            Wanted(input.customer_id, input.type, _properties(input.properties)),
            input.id,
            expires_in_s=input.expires_in_s,
        )
        return UsageReserved(**reserved_of(reserved)) if reserved.reservation else refused(reserved.answer)

    @changing(
        Permission.LIMIT_CHECK,
        "Record what was used, once; also after expiry, release or loss. Needs usage:write too. Safe to repeat.",
    )
    async def settle_reservation(
        self,
        info: Info[Context, None],
        input: Annotated[SettleReservationInput, strawberry.argument(description="What was used.")],
    ) -> SettleReservationResult:
        """Settle it."""
        settled = await info.context.serving.limits.settle(
            info.context.call,
            input.id,
            measure=input.status,
            properties=_properties(input.properties),
            occurred_at=input.occurred_at.isoformat() if input.occurred_at else None,
            reference=input.reference,
        )
        return settled_of(settled)

    @changing(Permission.LIMIT_CHECK, "Give back what was held. Needs usage:write too. Safe to repeat.")
    async def release_reservation(
        self,
        info: Info[Context, None],
        input: Annotated[ReleaseReservationInput, strawberry.argument(description="Which reservation.")],
    ) -> ReleaseReservationResult:
        """Release it."""
        released = await info.context.serving.limits.release(info.context.call, input.id)
        return ReservationReleased(was_held=released)

    @changing(
        Permission.LIMIT_CHECK,
        "Hold a reservation longer, and more; on a refusal what is held stays. Needs usage:write too.",
    )
    async def extend_reservation(
        self,
        info: Info[Context, None],
        input: Annotated[ExtendReservationInput, strawberry.argument(description="For how long, and how much.")],
    ) -> ExtendReservationResult:
        """Extend it."""
        extended = await info.context.serving.limits.extend(
            info.context.call,
            input.id,
            expires_in_s=input.expires_in_s,
            properties=_properties(input.properties) if input.properties is not None else None,
        )
        return ReservationExtended(**reserved_of(extended)) if extended.reservation else refused(extended.answer)

    @changing(
        Permission.LIMIT_WRITE,
        "Grant a customer another amount of a limit; the last one made holds while it is in force. Audited.",
    )
    async def set_limit_override(
        self,
        info: Info[Context, None],
        input: Annotated[SetLimitOverrideInput, strawberry.argument(description="What is granted.")],
    ) -> SetLimitOverrideResult:
        """Grant it."""
        if input.unlimited == (input.amount is not None):
            raise AmountAmbiguous
        catalogue = await info.context.runtime.catalogue()
        wish = Wish(input.product, input.key, input.amount, input.reason, input.from_at, input.until_at)
        async with info.context.runtime.db.transaction() as tx:
            made = await service.set_override(
                tx, info.context.call, catalogue, ids.customer_id(input.customer_id), wish
            )
        return LimitOverrideSet(override=override_of(catalogue, made))
