"""What is asked for when a subscription is to end."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.subscriptions.lifecycle import CancelReason
from domain.subscriptions.transitions import TransitionRefused


class CancelCredit(StrEnum):
    """What becomes of the paid time that an end now leaves unused."""

    NONE = "none"
    PRORATE = "prorate"


@dataclass(frozen=True, slots=True)
class Ending:
    """When it ends, why, and with what credit: `at` is a date ahead and goes before the rest.

    `feedback` is the customer's own text. Credit is given where it ends now, and by staff.
    """

    at_period_end: bool = True
    at: datetime | None = None
    reason: CancelReason | None = None
    feedback: str | None = None
    credit: CancelCredit = CancelCredit.NONE

    @property
    def is_now(self) -> bool:
        """Whether it ends at once."""
        return self.at is None and not self.at_period_end

    @property
    def credits_rest(self) -> bool:
        """Whether what is left of the paid time goes back."""
        return self.credit is CancelCredit.PRORATE

    def check(self) -> None:
        """Refuse a credit for time that is used. Raises TransitionRefused."""
        if self.credits_rest and not self.is_now:
            raise TransitionRefused("it runs on, so nothing of what is paid is left unused; credit needs an end now")
