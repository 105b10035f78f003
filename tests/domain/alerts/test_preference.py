"""What a customer may want to be told."""

from zoneinfo import ZoneInfo

import pytest

from domain.alerts.alert import AlertKind
from domain.alerts.notice import Notice
from domain.alerts.preference import NoticeIsLegal, Preference, ThresholdsMalformed, next_digest_at, preference_of
from domain.kernel.ids import CustomerId
from tests import make

_ADA = CustomerId(make.new_id())


def test_thresholds_are_the_customers_own_or_the_products_or_the_default() -> None:
    by_product = {"edge": (80, 100)}
    assert Preference(_ADA).percents("edge", by_product) == (80, 100)
    assert Preference(_ADA).percents("other", by_product) == (80, 90, 100)
    own = preference_of(_ADA, thresholds=[95, 50], unsubscribed=(), weekly_digest=False)
    assert own.percents("edge", by_product) == (50, 95)


@pytest.mark.parametrize("thresholds", [[], [0], [-1], [1_001], [80, 80], list(range(1, 12))], ids=str)
def test_thresholds_out_of_bounds_are_refused(thresholds: list[int]) -> None:
    with pytest.raises(ThresholdsMalformed):
        preference_of(_ADA, thresholds=thresholds, unsubscribed=(), weekly_digest=False)


def test_the_bounds_themselves_are_allowed() -> None:
    own = preference_of(_ADA, thresholds=[1_000, *range(1, 10)], unsubscribed=(), weekly_digest=False)
    assert own.thresholds == (1, 2, 3, 4, 5, 6, 7, 8, 9, 1_000)


@pytest.mark.parametrize("notice", [Notice.INVOICE_ISSUED, Notice.PAYMENT_FAILED, Notice.PAYMENT_RECEIVED])
def test_nobody_unsubscribes_from_what_is_owed_or_paid(notice: Notice) -> None:
    with pytest.raises(NoticeIsLegal) as refused:
        preference_of(_ADA, thresholds=None, unsubscribed=[Notice.LIMIT_FORECAST, notice], weekly_digest=False)
    assert refused.value.notice == notice


def test_an_unwanted_kind_of_mail_is_an_unwanted_kind_of_alert() -> None:
    wanted = preference_of(
        _ADA, thresholds=None, unsubscribed=[Notice.GRACE_COUNTDOWN, Notice.WEEKLY_DIGEST], weekly_digest=False
    )
    assert wanted.unwanted == {AlertKind.GRACE}


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        # 2 February 2026 is a Monday.
        ("2026-02-01T12:00", "UTC", "2026-02-02T09:00"),
        ("2026-02-02T08:59", "UTC", "2026-02-02T09:00"),
        ("2026-02-02T09:00", "UTC", "2026-02-09T09:00"),
        ("2026-02-08T23:59", "UTC", "2026-02-09T09:00"),
        # Nine in Berlin is eight in winter and seven in summer; the clocks change on 29 March.
        ("2026-03-28T12:00", "Europe/Berlin", "2026-03-30T07:00"),
        ("2026-03-20T12:00", "Europe/Berlin", "2026-03-23T08:00"),
        # Still Sunday in New York.
        ("2026-02-02T02:00", "America/New_York", "2026-02-02T14:00"),
    ],
)
def test_the_digest_goes_out_on_monday_at_nine_where_the_customer_is(now: str, zone: str, expected: str) -> None:
    assert next_digest_at(make.at(now), ZoneInfo(zone)) == make.at(expected)
