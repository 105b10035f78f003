"""What is shown is projected anew for each instant, and is the very same where that moves nothing."""

from dataclasses import replace
from decimal import Decimal

from api.graphql.catalogue import LimitPolicy
from api.graphql.projecting import cost_at, limit_at
from api.graphql.scalars import Cost
from api.graphql.usage import Limit
from domain.kernel.period import Period
from domain.limits.projection import course_of, pace_of
from domain.limits.status import LimitState
from tests import make

JUNE = Period(make.at("2026-06-01"), make.at("2026-07-01"))
USED = Limit(
    key="calls",
    description="calls",
    policy=LimitPolicy.HARD,
    limit=Decimal(250),
    used=Decimal(100),
    percent=Decimal(40),
    state=LimitState.OK,
    unit="call",
    resets_at=JUNE.end,
    projected=None,
    reaches_at=None,
)


def test_a_limit_shows_where_it_is_heading_and_all_else_as_it_was() -> None:
    pace = pace_of(Decimal(100), Decimal(250))
    # 100 in 10 of 30 days come to 300; 250 is reached after 25 days.
    tenth = limit_at(USED, pace, course_of(JUNE, make.at("2026-06-11")))
    assert tenth == replace(USED, projected=Decimal(300), reaches_at=make.at("2026-06-26"))
    # In 20 days they come to 150, and the limit is not reached.
    assert limit_at(tenth, pace, course_of(JUNE, make.at("2026-06-21"))) == replace(USED, projected=Decimal(150))
    assert limit_at(tenth, pace, course_of(JUNE, make.at("2026-06-01T12:00"))) == USED


def test_a_limit_is_the_very_same_where_an_instant_moves_nothing() -> None:
    course, later = course_of(JUNE, make.at("2026-06-11")), course_of(JUNE, make.at("2026-06-12"))
    assert limit_at(USED, None, course) is USED
    assert limit_at(USED, pace_of(Decimal(100)), None) is USED
    unused = limit_at(USED, pace_of(Decimal(0), Decimal(250)), course)
    assert (unused.projected, unused.reaches_at) == (Decimal(0), None)
    assert limit_at(unused, pace_of(Decimal(0), Decimal(250)), later) is unused


def test_a_cost_is_projected_from_the_second_day_on_and_is_the_very_same_where_it_comes_to_the_same() -> None:
    course, later = course_of(JUNE, make.at("2026-06-11")), course_of(JUNE, make.at("2026-06-21"))
    pace = pace_of(Decimal("1.5"))
    assert cost_at(None, pace, None) is None
    assert cost_at(None, None, course) is None
    tenth = cost_at(None, pace, course)
    assert tenth == Cost(amount=Decimal("4.5"), currency="USD")
    assert cost_at(tenth, pace, course) is tenth
    assert cost_at(tenth, pace, later) == Cost(amount=Decimal("2.25"), currency="USD")
    assert cost_at(tenth, None, later) is None
