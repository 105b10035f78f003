"""How the gateway's words become ours."""

from pathlib import Path

import pytest
import stripe

from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Status
from domain.webhooks.inbox import API_VERSION, KEPT, KINDS, TOPICS, PlanReference, plan_of, status_of, why_kept
from tests.domain.webhooks.examples import subscription


def test_the_version_that_is_read_is_that_of_the_library() -> None:
    assert stripe.api_version == API_VERSION


def test_the_documentation_names_every_type_that_the_endpoint_is_to_send() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reconciling.md").read_text(encoding="utf-8")
    named = page.partition("```text\n")[2].partition("```")[0].split()
    assert named == sorted(KINDS)


def test_every_type_is_followed_or_kept_for_a_reason_and_none_is_both() -> None:
    assert not TOPICS.keys() & KEPT.keys()
    assert len(set(KINDS)) == len(KINDS)
    # The five that are required, and what a deployment needs beside them.
    assert {
        "invoice.payment_succeeded",
        "invoice.payment_failed",
        "customer.subscription.created",
        "customer.subscription.deleted",
        "payment_method.attached",
        "invoice.paid",
        "invoice.payment_action_required",
        "invoice.finalization_failed",
        "invoice.voided",
        "invoice.marked_uncollectible",
        "invoice.overpaid",
        "customer.subscription.updated",
        "payment_method.detached",
        "payment_method.updated",
        "payment_method.automatically_updated",
        "setup_intent.succeeded",
        "setup_intent.setup_failed",
        "refund.updated",
        "refund.failed",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "mandate.updated",
        "customer_cash_balance_transaction.created",
    } <= set(KINDS)
    assert all(KEPT.values())
    assert why_kept("a.type.of.next.year") == "a type of no interest"


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
