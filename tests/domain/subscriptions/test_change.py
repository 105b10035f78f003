"""Which way a change goes, when it takes effect, and what a subscription becomes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.kernel.ids import PlanVersionId
from domain.subscriptions import change
from domain.subscriptions.change import ChangeAt, Direction, Target
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Source, Status, Subscription
from domain.subscriptions.term import term_of
from domain.subscriptions.transitions import TransitionRefused
from tests import make
from tests.domain.invoices import examples

_MONTHLY = replace(examples.subscription("2026-04-01"), quantity=3)
_YEARLY = replace(examples.subscription("2026-04-01", interval=Interval.YEAR), quantity=3)
_OTHER = PlanVersionId(make.new_id())


def _target(of: Subscription, **what: object) -> Target:
    return replace(Target(of.plan_version_id, of.interval, of.quantity), **what)  # type: ignore[arg-type]  # fields


@pytest.mark.parametrize(
    ("before", "what", "ranks", "direction"),
    [
        (_MONTHLY, {"plan_version_id": _OTHER}, (1, 2), Direction.UPGRADE),
        (_MONTHLY, {"plan_version_id": _OTHER}, (2, 1), Direction.DOWNGRADE),
        # The rank decides first.
        (_MONTHLY, {"plan_version_id": _OTHER, "quantity": 9}, (2, 1), Direction.DOWNGRADE),
        (_YEARLY, {"plan_version_id": _OTHER, "interval": Interval.MONTH}, (1, 2), Direction.UPGRADE),
        (_MONTHLY, {"interval": Interval.YEAR}, (1, 1), Direction.UPGRADE),
        (_YEARLY, {"interval": Interval.MONTH}, (1, 1), Direction.DOWNGRADE),
        (_MONTHLY, {"quantity": 4}, (1, 1), Direction.UPGRADE),
        (_MONTHLY, {"quantity": 2}, (1, 1), Direction.DOWNGRADE),
        (_MONTHLY, {"interval": Interval.YEAR, "quantity": 2}, (1, 1), Direction.UPGRADE),
        # Another version at the same rank is all else.
        (_MONTHLY, {"plan_version_id": _OTHER}, (1, 1), Direction.DOWNGRADE),
    ],
)
def test_rank_then_interval_or_quantity_decide_the_direction(
    before: Subscription, what: dict[str, object], ranks: tuple[int, int], direction: Direction
) -> None:
    found = change.direction_of(before, _target(before, **what), rank_before=ranks[0], rank=ranks[1])
    assert found is direction


def test_an_upgrade_is_made_now_and_a_downgrade_at_the_periods_end_unless_wished_otherwise() -> None:
    assert change.when(_MONTHLY, Direction.UPGRADE, None) is ChangeAt.NOW
    assert change.when(_MONTHLY, Direction.DOWNGRADE, None) is ChangeAt.PERIOD_END
    assert change.when(_MONTHLY, Direction.UPGRADE, ChangeAt.PERIOD_END) is ChangeAt.PERIOD_END
    assert change.when(_MONTHLY, Direction.DOWNGRADE, ChangeAt.NOW) is ChangeAt.NOW


def test_in_a_trial_every_change_is_made_now() -> None:
    trial = replace(_MONTHLY, status=Status.TRIALING)
    assert change.when(trial, Direction.DOWNGRADE, None) is ChangeAt.NOW
    with pytest.raises(TransitionRefused):
        change.when(trial, Direction.DOWNGRADE, ChangeAt.PERIOD_END)
    became = change.changed(trial, _target(trial, interval=Interval.YEAR), make.at("2026-04-10"), make.at("2026-04-10"))
    assert (became.interval, became.anchor_at, became.period) == (Interval.YEAR, trial.anchor_at, trial.period)


@pytest.mark.parametrize(
    "faulty",
    [
        replace(_MONTHLY, source=Source.STRIPE),
        replace(_MONTHLY, cancel_at=make.at("2026-05-01")),
        replace(_MONTHLY, pause_at=make.at("2026-05-01")),
        replace(_MONTHLY, status=Status.UNPAID),
        replace(_MONTHLY, status=Status.PAUSED),
        replace(_MONTHLY, status=Status.CANCELED),
    ],
)
def test_what_ends_pauses_owes_or_is_billed_elsewhere_cannot_be_changed(faulty: Subscription) -> None:
    with pytest.raises(TransitionRefused):
        change.check_changeable(faulty)
    change.check_changeable(_MONTHLY)


def test_another_interval_starts_new_periods_where_it_is_charged_from_and_other_changes_keep_the_anchor() -> None:
    at, now = make.at("2026-04-10T10:00"), make.at("2026-04-10T10:05")
    became = change.changed(_MONTHLY, _target(_MONTHLY, interval=Interval.YEAR), at, now)
    assert (became.anchor_at, became.running_since) == (at, now)
    assert (became.period.start, became.period.end) == (at, make.at("2026-05-10T10:00"))
    assert (became.fee_period.start, became.fee_period.end) == (at, make.at("2027-04-10T10:00"))
    same = change.changed(_MONTHLY, _target(_MONTHLY, plan_version_id=_OTHER, quantity=5), at, now)
    assert same == replace(_MONTHLY, plan_version_id=_OTHER, quantity=5)


def test_a_proration_date_lies_in_the_present_period_at_most_a_quarter_of_an_hour_back() -> None:
    now = make.at("2026-04-16")
    terms = [term_of(_MONTHLY, _MONTHLY.started_at)]
    assert change.prorate_at(_MONTHLY, terms, now, None) == now
    edge = now - change.PRORATE_BACK_MAX
    assert change.prorate_at(_MONTHLY, terms, now, edge) == edge
    for wrong in (edge - timedelta(microseconds=1), now + timedelta(microseconds=1)):
        with pytest.raises(change.ProrationDateRefused):
            change.prorate_at(_MONTHLY, terms, now, wrong)
    # Not before an earlier change, and not in the period before.
    later = [*terms, term_of(_MONTHLY, now - timedelta(minutes=1))]
    with pytest.raises(change.ProrationDateRefused):
        change.prorate_at(_MONTHLY, later, now, now - timedelta(minutes=2))
    just_renewed = replace(_MONTHLY, fee_period=replace(_MONTHLY.fee_period, start=now - timedelta(minutes=5)))
    with pytest.raises(change.ProrationDateRefused):
        change.prorate_at(just_renewed, terms, now, now - timedelta(minutes=6))


def test_the_changes_of_one_fee_period_are_bounded() -> None:
    now = make.at("2026-04-16")
    hours = [term_of(_MONTHLY, make.at("2026-04-02") + timedelta(hours=n)) for n in range(change.CHANGES_MAX)]
    terms = [term_of(_MONTHLY, _MONTHLY.started_at), *hours]
    assert change.prorate_at(_MONTHLY, terms[:-1], now, None) == now
    with pytest.raises(change.TooManyChanges):
        change.prorate_at(_MONTHLY, terms, now, None)


def test_an_unpaid_upgrade_lapses_after_23_hours_or_just_before_the_period_ends() -> None:
    assert change.lapses_at(_MONTHLY, make.at("2026-04-16")) == make.at("2026-04-16T23:00")
    assert change.lapses_at(_MONTHLY, make.at("2026-04-30T12:00")) == make.at("2026-04-30T23:59:59")
    last = make.at("2026-04-30T23:59:59") + timedelta(milliseconds=500)
    assert change.lapses_at(_MONTHLY, last) == last


def test_a_target_changes_something_within_bounds() -> None:
    with pytest.raises(change.NothingToChange):
        change.check_target(_MONTHLY, _target(_MONTHLY))
    for quantity in (0, change.QUANTITY_MAX + 1):
        with pytest.raises(change.QuantityOutOfBounds):
            change.check_target(_MONTHLY, _target(_MONTHLY, quantity=quantity))
    change.check_target(_MONTHLY, _target(_MONTHLY, quantity=change.QUANTITY_MAX))
