"""Half-open periods."""

from fractions import Fraction

from domain.kernel.period import Period
from tests import make


def test_the_start_belongs_to_a_period_and_the_end_to_the_next() -> None:
    january = Period(make.at("2026-01-01"), make.at("2026-02-01"))
    assert make.at("2026-01-01") in january
    assert make.at("2026-02-01") not in january


def test_a_share_is_exact() -> None:
    january = Period(make.at("2026-01-01"), make.at("2026-02-01"))
    assert Period(make.at("2026-01-01"), make.at("2026-01-15")).share_of(january) == Fraction(14, 31)


def test_periods_that_touch_have_nothing_in_common() -> None:
    first = Period(make.at("2026-01-01"), make.at("2026-01-10"))
    second = Period(make.at("2026-01-10"), make.at("2026-01-20"))
    assert first.overlap(second) is None
    across = Period(make.at("2026-01-05"), make.at("2026-01-15"))
    assert first.overlap(across) == Period(make.at("2026-01-05"), make.at("2026-01-10"))
