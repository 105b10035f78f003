"""What a unit grant may be, and how it is replayed: pure rules."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from zoneinfo import ZoneInfo

from domain.credits.burn import Grant
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId, GrantId, LineId, MeterId, PriceId, SegmentId, SubscriptionId
from domain.kernel.values import dataclass
from domain.subscriptions.schedule import Cadence, boundary, period_number

PRIORITY_MAX = 100
PRIORITY_DEFAULT = 50
NAME_LENGTH_MAX = 200
AMOUNT_MAX = Decimal(10) ** 18
GRANTS_MAX = 100
# Meters whose hours add up, so that usage can be taken from them piece by piece.
ADDITIVE = frozenset({"count", "sum"})
_PRINTABLE = re.compile(r"\S.*")


class Refill(StrEnum):
    """How often a grant is filled up to its amount, counted from when it became effective, in the customer's zone."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


CADENCES = {Refill.DAY: Cadence(days=1), Refill.WEEK: Cadence(days=7), Refill.MONTH: Cadence(months=1)}


@dataclass(eq=False)
class GrantMalformed(DomainError):
    """The units were not granted: {what}."""

    code = "grant_malformed"
    kind = Kind.INVALID
    what: str


@dataclass(eq=False)
class GrantNotFound(DomainError):
    """The customer has no such grant. See the grants of the customer."""

    code = "grant_not_found"
    kind = Kind.NOT_FOUND


@dataclass(eq=False)
class TooManyGrants(DomainError):
    """A subscription has at most {grants_max} grants, ended ones included."""

    code = "too_many_grants"
    kind = Kind.TOO_LARGE
    grants_max: int


@dataclass(frozen=True, slots=True)
class UnitGrant:
    """Units of a meter for one subscription. Its instants are full hours of the customer's zone.

    Usage is counted by the hour, so that an hour is taken whole or not at all. At the end of a usage period the balance
    becomes min(rollover_max, max(rollover_min, balance)); without a maximum it rolls over whole.
    """

    customer_id: CustomerId
    id: GrantId
    subscription_id: SubscriptionId
    meter_id: MeterId
    name: str
    amount: Decimal
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    voided_at: datetime | None
    rollover_max: Decimal | None
    rollover_min: Decimal
    refill: Refill | None
    zone: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TakingLine:
    """A line of usage and what it takes of each grant in all, whatever its earlier revisions took."""

    line_id: LineId
    segment_id: SegmentId
    price_id: PriceId
    taken: Mapping[str, Decimal]


def check_grant(new: UnitGrant, period_start: datetime) -> None:
    """Refuse a grant that could not work, or would change usage periods that are over. Raises GrantMalformed."""
    rollovers = (new.rollover_min, new.rollover_max if new.rollover_max is not None else AMOUNT_MAX)
    faults = (
        (not _is_name(new.name), f"a name has 1 to {NAME_LENGTH_MAX} printable characters"),
        (not 0 < new.amount <= AMOUNT_MAX, "an amount is above 0 and at most 10^18"),
        (not 0 <= new.priority <= PRIORITY_MAX, f"a priority is 0 to {PRIORITY_MAX}"),
        (new.effective_at < period_start, "it begins in the present usage period or later"),
        (new.expires_at is not None and new.expires_at <= new.effective_at, "it expires after it begins"),
        (not 0 <= rollovers[0] <= rollovers[1] <= AMOUNT_MAX, "what rolls over at least is 0 to what does at most"),
    )
    for is_wrong, what in faults:
        if is_wrong:
            raise GrantMalformed(what)


def _is_name(text: str) -> bool:
    return bool(_PRINTABLE.fullmatch(text)) and len(text) <= NAME_LENGTH_MAX and text.isprintable()


def hour_of(at: datetime, zone: str) -> datetime:
    """Return the beginning of the hour of a zone that contains an instant."""
    local = at.astimezone(ZoneInfo(zone))
    return at - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def next_hour(at: datetime, zone: str) -> datetime:
    """Return the first full hour of a zone at or after an instant."""
    begun = hour_of(at, zone)
    return begun if begun == at else begun + timedelta(hours=1)


def burning(grant: UnitGrant) -> Grant:
    """Return a grant as it is replayed."""
    return Grant(
        id=str(grant.id),
        amount=Fraction(grant.amount),
        priority=grant.priority,
        effective_at=grant.effective_at,
        created_at=grant.created_at,
        expires_at=grant.expires_at,
        voided_at=grant.voided_at,
        rollover_max=Fraction(grant.rollover_max) if grant.rollover_max is not None else None,
        rollover_min=Fraction(grant.rollover_min),
        following=_following(grant) if grant.refill else None,
    )


def _following(grant: UnitGrant) -> Callable[[datetime], datetime]:
    assert grant.refill is not None, "only a grant with refills has a next one"
    anchor, zone, every = grant.effective_at, grant.zone, CADENCES[grant.refill]
    return lambda at: boundary(anchor, zone, every, period_number(anchor, zone, every, at) + 1)
