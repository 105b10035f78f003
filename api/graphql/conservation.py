"""Prove what became of everything that was counted in a usage period; for staff."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import BigInt
from domain.access.roles import Permission
from domain.invoices.conservation import service
from domain.invoices.conservation.balance import Accepted, Account
from domain.invoices.conservation.service import Conservation
from domain.kernel.money import exact_text
from domain.subscriptions.service import SubscriptionNotFound

_EXACT = "Exact: a decimal, or numerator/denominator where it does not end."


@guarded_type(Permission.LEDGER_READ, "What became of the quantity of one meter in one segment of a usage period.")
class ConservationAccount:
    """An account; quantities are text, since a share of time may not end as a decimal."""

    segment_id: strawberry.ID = strawberry.field(description="`seg_…`")
    meter: str = strawberry.field(description="The meter's key.")
    counted: str = strawberry.field(description=f"What the meter measured. {_EXACT}")
    charged: str = strawberry.field(description=f"What has a price above zero. {_EXACT}")
    included: str = strawberry.field(description=f"What the plan grants, or prices at zero. {_EXACT}")
    tolerated: str = strawberry.field(description=f"What lies above a soft limit and is not charged. {_EXACT}")
    above_cap: str = strawberry.field(description=f"Cost above the monthly cap, not charged. {_EXACT}")
    trial: str = strawberry.field(description=f"What was used on trial. {_EXACT}")
    observed: str = strawberry.field(description=f"What has no price. {_EXACT}")
    elsewhere: str = strawberry.field(description=f"What Stripe bills. {_EXACT}")
    not_yet_billed: str = strawberry.field(
        description=f"What is on no opened invoice yet; below zero where the next one gives back. {_EXACT}"
    )
    missing: str = strawberry.field(description=f"What became nothing of all that: 0, or something is wrong. {_EXACT}")


@guarded_type(Permission.LEDGER_READ, "All events of the customer, as they were answered and where they are.")
class AcceptedEvents:
    """Counts of events."""

    counted: BigInt = strawberry.field(description="Answered `counted`, corrections among them.")
    quarantined: BigInt = strawberry.field(description="Answered `quarantined` and not re-driven since.")
    stored: BigInt = strawberry.field(description="Counted events that are stored.")
    put_away: BigInt = strawberry.field(description="Those of them that were voided or replaced.")
    voids: BigInt = strawberry.field(description="Those of them that only void another one.")
    held: BigInt = strawberry.field(description="Events that wait in quarantine without being counted.")
    holds: bool = strawberry.field(description="Whether every accepted event is counted, voided or in quarantine.")


@guarded_type(
    Permission.LEDGER_READ, "The proof that nothing counted was lost, and nothing charged that was not counted."
)
class ConservationProof:
    """A proof."""

    subscription_id: strawberry.ID = strawberry.field(description="`sub_…`")
    period_start: datetime = strawberry.field(description="First instant of the usage period.")
    period_end: datetime = strawberry.field(description="First instant after it.")
    holds: bool = strawberry.field(description="Whether all of it adds up.")
    accounts: list[ConservationAccount] = strawberry.field(description="One for each meter and segment with usage.")
    accepted: AcceptedEvents = strawberry.field(description="Of the customer, whatever the period.")
    events: BigInt = strawberry.field(description="How many events of the period were recounted.")
    totals_that_differ: int = strawberry.field(description="Stored totals that are not the sums of their events.")


def _account(value: Account) -> ConservationAccount:
    return ConservationAccount(
        segment_id=ids.id_of("segment", value.segment_id),
        meter=value.meter,
        counted=exact_text(value.counted),
        charged=exact_text(value.charged),
        included=exact_text(value.included),
        tolerated=exact_text(value.tolerated),
        above_cap=exact_text(value.above_cap),
        trial=exact_text(value.trial),
        observed=exact_text(value.observed),
        elsewhere=exact_text(value.elsewhere),
        not_yet_billed=exact_text(value.not_yet_billed),
        missing=exact_text(value.missing),
    )


def _accepted(value: Accepted) -> AcceptedEvents:
    return AcceptedEvents(
        counted=BigInt(value.counted),
        quarantined=BigInt(value.quarantined),
        stored=BigInt(value.stored),
        put_away=BigInt(value.put_away),
        voids=BigInt(value.voids),
        held=BigInt(value.held),
        holds=value.holds,
    )


def proof_of(found: Conservation) -> ConservationProof:
    """Wrap a proof."""
    return ConservationProof(
        subscription_id=ids.id_of("subscription", found.subscription_id),
        period_start=found.period.start,
        period_end=found.period.end,
        holds=found.holds,
        accounts=[_account(each) for each in found.accounts],
        accepted=_accepted(found.accepted),
        events=BigInt(found.events),
        totals_that_differ=len(found.totals),
    )


@strawberry.type
class ConservationQuery:
    """The query that proves a period."""

    @reading(
        Permission.LEDGER_READ,
        "Prove that what was counted in a usage period equals what became of it; null where there is no subscription.",
    )
    async def conservation(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
        subscription_id: Annotated[strawberry.ID, strawberry.argument(description="`sub_…`, one of the customer's.")],
        period_start: Annotated[datetime, strawberry.argument(description="Any instant of the usage period.")],
    ) -> ConservationProof | None:
        """Prove one period."""
        context = info.context
        async with context.runtime.db.transaction() as tx:
            try:
                found = await service.conserve(
                    tx,
                    context.call,
                    customer_id=ids.customer_id(customer_id),
                    subscription_id=ids.subscription_id(subscription_id),
                    period_start=period_start,
                )
            except SubscriptionNotFound:
                return None
        return proof_of(found)
