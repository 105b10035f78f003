"""How fast and how reliably each provider answered, against a target (REQUIREMENTS A9).

Calls and failures are exact, from the totals of full hours. Response times come from the newest stored events, so they
have a number of measured calls and an instant from which on they were measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from domain.analytics.consumption.dashboard import two_digits
from domain.analytics.consumption.figures import CALLS
from domain.kernel.errors import DomainError, Kind
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.plans.meter import Meter
from domain.usage.trends.buckets import Counted

SUCCEEDED, FAILED = "succeeded_calls", "failed_calls"
HOURS_DEFAULT, HOURS_MAX = 24, 744
LATENCY_MS_MAX = 3_600_000
_PERCENT_MAX = 100
_NONE = Decimal(0)


@dataclass(eq=False)
class WindowRefused(DomainError):
    """Response times are shown for 1 to {hours_max} hours. Ask for a shorter stretch."""

    code = "window_refused"
    kind = Kind.INVALID
    hours_max: int


class TargetRefused(DomainError):
    """A target is a response time above 0 ms, of an hour at most, and an error rate of 0 to 100 percent."""

    code = "target_refused"
    kind = Kind.INVALID


@dataclass(frozen=True, slots=True)
class Target:
    """What is promised: 95 % of the calls within `latency_ms`, and at most `error_percent` of them failed."""

    latency_ms: Decimal = Decimal(5000)
    error_percent: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Measured:
    """How many calls to a provider, under the name in the price list, took just so long."""

    provider: str
    latency_ms: Decimal
    calls: int
    first_at: datetime


@dataclass(frozen=True, slots=True)
class Performance:
    """One provider. Whatever cannot be said is None.

    `error_percent` is of the calls that said how they went, `within_percent` of the measured ones within the target's
    response time. `is_met` is None where nothing was measured and no call said how it went.
    """

    provider: str
    calls: Decimal
    succeeded: Decimal
    failed: Decimal
    error_percent: Decimal | None
    measured: int
    measured_from: datetime | None
    p50_ms: Decimal | None
    p95_ms: Decimal | None
    p99_ms: Decimal | None
    within_percent: Decimal | None
    is_met: bool | None


@dataclass(frozen=True, slots=True)
class Report:
    """All providers of a customer in a stretch of time, those with the most calls first."""

    during: Period
    target: Target
    providers: tuple[Performance, ...]


@dataclass(slots=True)
class _Histogram:
    calls: dict[Decimal, int] = field(default_factory=dict)
    first_at: datetime | None = None

    def add(self, each: Measured) -> None:
        self.calls[each.latency_ms] = self.calls.get(each.latency_ms, 0) + each.calls
        self.first_at = each.first_at if self.first_at is None else min(self.first_at, each.first_at)


def check_window(hours: int) -> None:
    """Refuse a stretch that is not bounded. Raises WindowRefused."""
    if not 1 <= hours <= HOURS_MAX:
        raise WindowRefused(HOURS_MAX)


def check_target(target: Target) -> None:
    """Refuse a target that nothing can be judged by. Raises TargetRefused."""
    numbers = (target.latency_ms, target.error_percent)
    if not all(each.is_finite() for each in numbers):
        raise TargetRefused
    if not (0 < target.latency_ms <= LATENCY_MS_MAX and 0 <= target.error_percent <= _PERCENT_MAX):
        raise TargetRefused


def report_of(
    during: Period, target: Target, meters: Mapping[str, Meter], counted: Counted, measured: Iterable[Measured]
) -> Report:
    """Judge every provider that was called or measured in a stretch of time."""
    times: dict[str, _Histogram] = {}
    for each in measured:
        times.setdefault(each.provider, _Histogram()).add(each)

    def performance(provider: str) -> Performance:
        calls, succeeded, failed = (
            counted.get((meters[key].id, provider), _NONE) if key in meters else _NONE
            for key in (CALLS, SUCCEEDED, FAILED)
        )
        return _performance(provider, (calls, succeeded, failed), times.get(provider, _Histogram()), target)

    providers = {provider for _, provider in counted} | times.keys()
    found = sorted((performance(each) for each in providers), key=lambda one: (-one.calls, one.provider))
    return Report(during, target, tuple(found))


def _performance(
    provider: str, counts: tuple[Decimal, Decimal, Decimal], times: _Histogram, target: Target
) -> Performance:
    calls, succeeded, failed = counts
    said = succeeded + failed
    errors = Fraction(failed) * 100 / Fraction(said) if said else None
    total = sum(times.calls.values())
    within = sum(number for value, number in times.calls.items() if value <= target.latency_ms)
    p50, p95, p99 = percentiles(times.calls, (50, 95, 99))
    return Performance(
        provider,
        calls,
        succeeded,
        failed,
        None if errors is None else two_digits(errors),
        total,
        times.first_at,
        p50,
        p95,
        p99,
        two_digits(Fraction(within * 100, total)) if total else None,
        _is_met(errors, p95, target),
    )


def _is_met(errors: Fraction | None, p95: Decimal | None, target: Target) -> bool | None:
    """Judge by what is known; a rate is compared before it is rounded."""
    if errors is None and p95 is None:
        return None
    return (errors is None or errors <= Fraction(target.error_percent)) and (p95 is None or p95 <= target.latency_ms)


def percentiles(histogram: Mapping[Decimal, int], percents: Sequence[int]) -> list[Decimal | None]:
    """Return the smallest value that at least so many percent of the readings do not exceed (nearest rank).

    `percents` rise; without any reading each is None.
    """
    total, passed, found = sum(histogram.values()), 0, list[Decimal | None]()
    for value in sorted(histogram):
        passed += histogram[value]
        while len(found) < len(percents) and passed * 100 >= percents[len(found)] * total:
            found.append(value)
    return found or [None] * len(percents)
