"""Percentiles and the judgement by a target."""

from decimal import Decimal

import pytest

from domain.analytics.consumption.performance import (
    FAILED,
    SUCCEEDED,
    Measured,
    Target,
    TargetRefused,
    WindowRefused,
    check_target,
    check_window,
    percentiles,
    report_of,
)
from domain.kernel.ids import MeterId, ProductId
from domain.kernel.period import Period
from domain.plans.meter import Meter
from tests import make

_DURING = Period(make.at("2026-01-15"), make.at("2026-01-16"))


def _meter(key: str) -> Meter:
    return Meter(
        id=MeterId(make.new_id()),
        product_id=ProductId(make.new_id()),
        key=key,
        name=key,
        event_type="llm.call",
        aggregation="count",
        value_properties=(),
        when_missing="refuse",
        dimensions=("provider",),
        event_filter=None,
        unit="call",
    )


_METERS = {key: _meter(key) for key in ("calls", SUCCEEDED, FAILED)}


def _counted(**providers: tuple[int, int, int]) -> dict[tuple[MeterId, str], Decimal]:
    return {
        (_METERS[key].id, provider): Decimal(count)
        for provider, counts in providers.items()
        for key, count in zip(_METERS, counts, strict=True)
    }


def _took(provider: str, milliseconds: str, calls: int = 1, at: str = "2026-01-15T12:00") -> Measured:
    return Measured(provider, Decimal(milliseconds), calls, make.at(at))


def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed() -> None:
    # Of 100 values the 50th, the 95th and the 99th.
    assert percentiles({Decimal(n): 1 for n in range(1, 101)}, (50, 95, 99)) == [50, 95, 99]
    # Of 3 values 95 % are 2.85, so all of them; half is 1.5, so two.
    assert percentiles({Decimal(10): 1, Decimal(20): 1, Decimal(30): 1}, (50, 95, 99)) == [20, 30, 30]
    # 19 of 20 are exactly 95 %.
    assert percentiles({Decimal("0.5"): 19, Decimal(9): 1}, (50, 95, 99)) == [Decimal("0.5"), Decimal("0.5"), 9]
    assert percentiles({}, (50, 95, 99)) == [None, None, None]


def test_calls_and_failures_are_counted_and_times_are_those_that_were_measured() -> None:
    measured = [_took("gemini", "100", 3), _took("gemini", "700", 1, "2026-01-15T09:00")]
    report = report_of(_DURING, Target(Decimal(500), Decimal(1)), _METERS, _counted(gemini=(300, 198, 2)), measured)
    [found] = report.providers
    # 2 of the 200 that said how they went; 100 of 300 did not say. 3 of 4 measured ones within 500 ms.
    assert found.calls == 300
    assert (found.error_percent, found.within_percent) == (Decimal("1.00"), Decimal("75.00"))
    assert (found.measured, found.measured_from) == (4, make.at("2026-01-15T09:00"))
    assert (found.p50_ms, found.p95_ms, found.is_met) == (Decimal(100), Decimal(700), False)


@pytest.mark.parametrize(
    ("counts", "took", "is_met"),
    [
        # 1 % is allowed; one in a hundred is 1 %, one in 99 is more, also where it is shown as 1.01.
        ((100, 99, 1), "500", True),
        ((99, 98, 1), "500", False),
        ((100, 100, 0), "500.001", False),
        ((100, 100, 0), None, True),
        ((100, 0, 0), "500", True),
        ((100, 0, 0), None, None),
    ],
)
def test_a_target_is_met_when_neither_what_is_known_of_times_nor_of_errors_misses_it(
    counts: tuple[int, int, int], took: str | None, is_met: bool | None
) -> None:
    target = Target(Decimal(500), Decimal(1))
    measured = [_took("gemini", took)] if took else []
    [found] = report_of(_DURING, target, _METERS, _counted(gemini=counts), measured).providers
    assert found.is_met is is_met


def test_providers_with_the_most_calls_come_first_and_one_that_was_only_measured_is_there_too() -> None:
    counted = _counted(openai=(1, 0, 0), gemini=(5, 0, 0), anthropic=(5, 0, 0))
    found = report_of(_DURING, Target(), _METERS, counted, [_took("mistral", "5")])
    assert [each.provider for each in found.providers] == ["anthropic", "gemini", "openai", "mistral"]
    assert found.providers[-1].calls == 0


@pytest.mark.parametrize("hours", [0, -1, 745])
def test_a_window_has_1_to_744_hours(hours: int) -> None:
    with pytest.raises(WindowRefused, match="1 to 744 hours"):
        check_window(hours)
    check_window(744)


@pytest.mark.parametrize(
    ("latency", "errors"), [("0", "1"), ("3600001", "1"), ("NaN", "1"), ("1", "100.1"), ("1", "-1"), ("1", "Infinity")]
)
def test_a_target_that_nothing_can_be_judged_by_is_refused(latency: str, errors: str) -> None:
    with pytest.raises(TargetRefused):
        check_target(Target(Decimal(latency), Decimal(errors)))
