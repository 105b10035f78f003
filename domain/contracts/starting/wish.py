"""What may be asked of the start of a subscription, and what of it is refused. Pure rules."""

from datetime import datetime, timedelta

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass
from domain.plans.start import TRIAL_DAYS_MAX, Start
from domain.subscriptions.change import check_quantity
from domain.subscriptions.opening import Opening
from domain.subscriptions.schedule import BILL_DAY_MAX
from domain.subscriptions.subscription import TrialEnd
from domain.subscriptions.upcoming.scheduled_start import AHEAD_MAX

# How far back a start can lie: fees are owed from there, usage is accepted for its own 35 days.
BACK_MAX = timedelta(days=366)


@dataclass(eq=False)
class StartRefused(DomainError):
    """The subscription cannot start like that: {why}."""

    code = "start_refused"
    kind = Kind.INVALID
    why: str


@dataclass(eq=False)
class TrialNeedsMethod(DomainError):
    """The trial of this plan needs a payment method. Add one, or subscribe without the trial."""

    code = "trial_needs_method"
    kind = Kind.CONFLICT


@dataclass(frozen=True, slots=True)
class Wish:
    """How a subscription is to start, beyond what its plan version says.

    `trial_days` None is the plan's own trial, 0 none; any other number is staff's. `starts_at` lies back. `bill_day` is
    1 to 31; `calendar` bills from the first of the calendar month or year. `promotion_code` is taken up for it before
    its first invoice. `quantity` is how many units of the fee are sold.
    """

    trial_days: int | None = None
    starts_at: datetime | None = None
    bill_day: int | None = None
    calendar: bool = False
    promotion_code: str | None = None
    quantity: int = 1

    @property
    def is_of_staff(self) -> bool:
        """Whether only staff may wish for it: a trial of their own, also a second one, or a start that lies back."""
        return bool(self.trial_days) or self.starts_at is not None


def opening_of(start: Start, wish: Wish, now: datetime, *, has_method: bool, has_tried: bool) -> Opening:
    """Return how a subscription starts at business time `now`. The caller has checked who may wish for it.

    A customer who has tried the product starts without a trial, unless staff say otherwise. Raises StartRefused,
    QuantityOutOfBounds, TrialNeedsMethod.
    """
    check_quantity(wish.quantity)
    if wish.bill_day is not None and (wish.calendar or not 1 <= wish.bill_day <= BILL_DAY_MAX):
        raise StartRefused(f"a bill day is 1 to {BILL_DAY_MAX}, and not beside the calendar's own")
    at = now if wish.starts_at is None else _back(wish.starts_at, now)
    days = _trial_days(start, wish, has_tried=has_tried)
    trial = start.trial
    if trial is not None and trial.needs_method and days and wish.trial_days is None and not has_method:
        raise TrialNeedsMethod
    return Opening(
        at=at,
        trial_days=days,
        trial_end=TrialEnd(trial.without_method) if trial else TrialEnd.CANCEL,
        bill_day=wish.bill_day,
        calendar=wish.calendar,
        when_paid=start.when_paid,
        quantity=wish.quantity,
    )


def _trial_days(start: Start, wish: Wish, *, has_tried: bool) -> int:
    if wish.trial_days is None:
        return start.trial.days if start.trial and not has_tried else 0
    if not 0 <= wish.trial_days <= TRIAL_DAYS_MAX:
        raise StartRefused(f"a trial has at most {TRIAL_DAYS_MAX} days")
    return wish.trial_days


def _back(starts_at: datetime, now: datetime) -> datetime:
    if not now - BACK_MAX <= starts_at <= now:
        raise StartRefused(f"its start lies ahead, and is to be scheduled, or lies more than {BACK_MAX.days} days back")
    return starts_at


def check_ahead(starts_at: datetime, now: datetime) -> None:
    """Refuse a start that does not lie ahead, or too far. Raises StartRefused."""
    if starts_at <= now:
        raise StartRefused("it does not lie ahead: subscribe, which starts it now")
    if starts_at > now + AHEAD_MAX:
        raise StartRefused(f"its start lies more than {AHEAD_MAX.days} days ahead")
