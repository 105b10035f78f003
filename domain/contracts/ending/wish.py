"""What is asked for when a subscription is to end."""

from datetime import datetime
from enum import StrEnum

from domain.kernel.values import dataclass
from domain.subscriptions.lifecycle import CancelReason
from domain.subscriptions.transitions import TransitionRefused


class CancelCredit(StrEnum):
    """What becomes of the paid time that an end now leaves unused."""

    NONE = "none"
    PRORATE = "prorate"


@dataclass(frozen=True, slots=True)
class Ending:
    """When it ends, why, and with what credit: `at` is a date ahead and goes before the rest.

    `feedback` is the customer's own text. Credit is given where it ends now; None leaves it to the plan version, and
    more than that is staff's to give.
    """

    at_period_end: bool = True
    at: datetime | None = None
    reason: CancelReason | None = None
    feedback: str | None = None
    credit: CancelCredit | None = None

    @property
    def is_now(self) -> bool:
        """Whether it ends at once."""
        return self.at is None and not self.at_period_end

    def credits_rest(self, of_plan: CancelCredit) -> bool:
        """Whether what is left of the paid time goes back, under a version that says `of_plan` of it."""
        return self.is_now and (self.credit or of_plan) is CancelCredit.PRORATE

    def check(self) -> None:
        """Refuse a credit for time that is used. Raises TransitionRefused."""
        if self.credit is CancelCredit.PRORATE and not self.is_now:
            raise TransitionRefused("it runs on, so nothing of what is paid is left unused; credit needs an end now")
