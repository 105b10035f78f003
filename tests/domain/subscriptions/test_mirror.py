"""How a subscription that Stripe bills is followed."""

from dataclasses import replace

from domain.kernel.ids import PlanVersionId
from domain.kernel.period import Period
from domain.subscriptions.mirror import Mirrored, follow
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Source, Status
from tests import make
from tests.domain.subscriptions import examples

_NOW = make.at("2026-02-10")
_FEBRUARY = Period(make.at("2026-02-01"), make.at("2026-03-01"))
_NEWS = Mirrored(
    gateway_id="sub_1",
    plan_version_id=PlanVersionId(make.new_id()),
    status=Status.ACTIVE,
    interval=Interval.MONTH,
    currency="USD",
    anchor_at=_FEBRUARY.start,
    fee_period=_FEBRUARY,
    cancel_at=None,
    ended_at=None,
)
_BEFORE = follow(examples.value(on="2026-02-01", source=Source.STRIPE), _NEWS, _NOW)


def test_news_move_status_and_periods_and_repeated_news_change_nothing() -> None:
    march = Period(make.at("2026-03-01"), make.at("2026-04-01"))
    news = replace(_NEWS, status=Status.PAST_DUE, fee_period=march, cancel_at=march.end)
    after = follow(_BEFORE, news, make.at("2026-03-01T00:05"))
    assert (after.status, after.period, after.fee_period, after.cancel_at) == (Status.PAST_DUE, march, march, march.end)
    assert follow(after, news, make.at("2026-03-02")) == after
    # Old news that arrive late do not take the usage period back.
    assert follow(after, _NEWS, make.at("2026-03-02")).period == march


def test_the_usage_period_within_a_year_that_stripe_bills_is_a_month() -> None:
    year = Period(make.at("2026-01-31"), make.at("2027-01-31"))
    news = replace(_NEWS, interval=Interval.YEAR, anchor_at=year.start, fee_period=year)
    assert news.period_at(make.at("2026-04-10")) == Period(make.at("2026-03-31"), make.at("2026-04-30"))


def test_what_was_canceled_never_revives() -> None:
    ended = follow(_BEFORE, replace(_NEWS, status=Status.CANCELED, ended_at=_NOW), _NOW)
    assert (ended.status, ended.ended_at, ended.cancel_at) == (Status.CANCELED, _NOW, _NOW)
    assert follow(ended, _NEWS, _NOW) == ended
