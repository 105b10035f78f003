"""Trials of plans, as they are sold and as they run."""

import strawberry

from api.graphql.enums import name_enum
from api.graphql.permissions import guarded_type
from domain.access.roles import Permission
from domain.plans import start
from domain.subscriptions.subscription import TrialEnd

name_enum(
    TrialEnd,
    "TrialEnd",
    "What becomes of a trial at whose end there is no payment method. With one it is billed in any case.",
    BILL="It is billed all the same, and the invoice waits for its payment.",
    CANCEL="It ends.",
    PAUSE="It is paused, and can be resumed.",
    FALL_BACK="It goes on under another plan, which costs nothing.",
)


@guarded_type(Permission.CATALOGUE_READ, "A stretch at the start of a subscription in which nothing is billed.")
class Trial:
    """A trial as a plan version has it."""

    days: int = strawberry.field(description="Local days, 1 to 730; it ends at the customer's midnight.")
    needs_method: bool = strawberry.field(description="It starts only for a customer with a payment method.")
    without_method: TrialEnd = strawberry.field(description="What becomes of it at its end without a payment method.")
    fall_back: str | None = strawberry.field(description="The key of the plan that it falls back to.")


def trial_of(value: start.Trial | None) -> Trial | None:
    """Wrap a trial."""
    if value is None:
        return None
    return Trial(
        days=value.days,
        needs_method=value.needs_method,
        without_method=TrialEnd(value.without_method),
        fall_back=value.fall_back,
    )
