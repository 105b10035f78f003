"""How the gateway's words become ours."""

import pytest

from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status
from domain.webhooks.inbox import PlanReference, plan_of, status_of
from tests.domain.webhooks.examples import subscription


def test_a_plan_is_named_by_product_plan_and_interval() -> None:
    assert plan_of("edge:starter:month") == PlanReference("edge", "starter", Interval.MONTH)
    assert plan_of("llm:pro:year") == PlanReference("llm", "pro", Interval.YEAR)


@pytest.mark.parametrize("text", [None, "", "edge", "edge:starter", "edge:starter:week", "edge::month", "a:b:month:c"])
def test_anything_else_names_none(text: str | None) -> None:
    assert plan_of(text) is None


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("active", Status.ACTIVE),
        ("trialing", Status.TRIALING),
        ("incomplete_expired", Status.CANCELED),
        ("canceled", Status.CANCELED),
        ("paused", Status.PAUSED),
        ("a_status_of_next_year", None),
    ],
)
def test_statuses_are_translated(theirs: str, ours: Status | None) -> None:
    assert status_of(subscription(status=theirs)) is ours
