"""What a customer wants to be told: thresholds of its own, the weekly digest, and which kinds of mail it does not want.

Invoices and payments are told of by law and contract: nobody can unsubscribe from them.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from domain.alerts.alert import AlertKind
from domain.alerts.notice import LEGAL, Notice
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass

PERCENT_MAX = 1_000
THRESHOLDS_MAX = 10
# Of a product that the settings say nothing about.
DEFAULT_THRESHOLDS = (80, 90, 100)
# The digest goes out on Mondays in the customer's zone.
DIGEST_HOUR = 9
_WEEK_DAYS = 7

NOTICE_OF = {
    AlertKind.THRESHOLD: Notice.LIMIT_THRESHOLD,
    AlertKind.FORECAST: Notice.LIMIT_FORECAST,
    AlertKind.GRACE: Notice.GRACE_COUNTDOWN,
}


@dataclass(eq=False)
class ThresholdsMalformed(DomainError):
    """Thresholds are 1 to {count_max} different whole percentages from 1 to {percent_max}."""

    code = "thresholds_malformed"
    kind = Kind.INVALID
    count_max: int = THRESHOLDS_MAX
    percent_max: int = PERCENT_MAX


@dataclass(eq=False)
class NoticeIsLegal(DomainError):
    """Mail of the kind {notice} tells what you owe or paid; it cannot be unsubscribed."""

    code = "notice_is_legal"
    kind = Kind.INVALID
    notice: str


@dataclass(frozen=True, slots=True)
class Preference:
    """What one customer wants. `thresholds` None are those of each product."""

    customer_id: CustomerId
    thresholds: tuple[int, ...] | None = None
    unsubscribed: frozenset[Notice] = frozenset()
    weekly_digest: bool = False

    def percents(self, product: str, by_product: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
        """Return the thresholds that hold for a product."""
        if self.thresholds is not None:
            return self.thresholds
        return tuple(by_product.get(product, DEFAULT_THRESHOLDS))

    @property
    def unwanted(self) -> frozenset[AlertKind]:
        """The kinds of alert that are not mailed; they are raised all the same."""
        return frozenset(kind for kind, notice in NOTICE_OF.items() if notice in self.unsubscribed)


def preference_of(
    customer_id: CustomerId, *, thresholds: Sequence[int] | None, unsubscribed: Collection[Notice], weekly_digest: bool
) -> Preference:
    """Make a preference from what a customer says. Raises ThresholdsMalformed, NoticeIsLegal."""
    if thresholds is not None:
        check_thresholds(thresholds)
    for notice in sorted(unsubscribed):
        if notice in LEGAL:
            raise NoticeIsLegal(notice)
    return Preference(
        customer_id, None if thresholds is None else tuple(sorted(thresholds)), frozenset(unsubscribed), weekly_digest
    )


def check_thresholds(thresholds: Sequence[int]) -> None:
    """Raise ThresholdsMalformed unless these are percentages that can be thresholds."""
    in_bounds = all(1 <= each <= PERCENT_MAX for each in thresholds)
    if not in_bounds or not 1 <= len(thresholds) <= THRESHOLDS_MAX or len(set(thresholds)) != len(thresholds):
        raise ThresholdsMalformed


def next_digest_at(now: datetime, zone: ZoneInfo) -> datetime:
    """Return the next Monday at DIGEST_HOUR in a zone, later than now."""
    local = now.astimezone(zone)
    monday = (local - timedelta(days=local.weekday())).replace(hour=DIGEST_HOUR, minute=0, second=0, microsecond=0)
    return (monday if monday > local else monday + timedelta(days=_WEEK_DAYS)).astimezone(now.tzinfo)
