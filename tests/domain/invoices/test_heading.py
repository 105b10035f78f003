"""What invoices carry besides their lines."""

import pytest

from domain.customers.customer import CollectionMethod
from domain.invoices.heading import (
    AT_ONCE,
    NOTHING,
    ORDERS_LENGTH_MAX,
    Headed,
    Heading,
    HeadingMalformed,
    NetDaysOutOfBounds,
    check,
    heading_of,
)
from tests import make


def test_nothing_set_is_due_at_once_and_says_nothing() -> None:
    assert heading_of(NOTHING, NOTHING, []) == AT_ONCE
    assert AT_ONCE.due_at(make.at("2026-03-01")) == make.at("2026-03-01")


def test_net_terms_are_elapsed_days_from_the_issue() -> None:
    headed = heading_of(NOTHING, Heading(net_days=30), [NOTHING])
    assert headed.due_at(make.at("2026-03-15T10:00")) == make.at("2026-04-14T10:00")


def test_the_shortest_terms_of_the_subscriptions_on_an_invoice_count_for_all_of_it() -> None:
    customer = Heading(net_days=30)
    assert heading_of(NOTHING, customer, [Heading(net_days=60), NOTHING]).net_days == 30
    assert heading_of(NOTHING, customer, [Heading(net_days=60)]).net_days == 60
    assert heading_of(NOTHING, customer, [Heading(net_days=0), NOTHING]).net_days == 0


def test_terms_of_plans_count_where_no_others_are_set() -> None:
    assert heading_of(NOTHING, NOTHING, [NOTHING], [30]).net_days == 30
    assert heading_of(NOTHING, Heading(net_days=0), [NOTHING], [30]).net_days == 0
    assert heading_of(NOTHING, NOTHING, [Heading(net_days=60)], [30]).net_days == 60
    # The shortest of all on it: one plan without terms is due at once.
    assert heading_of(NOTHING, NOTHING, [NOTHING, NOTHING], [30, 14]).net_days == 14
    assert heading_of(NOTHING, NOTHING, [NOTHING, NOTHING], [30, None]).net_days == 0


def test_what_is_set_for_the_draft_itself_comes_first() -> None:
    own = Heading(7, "own", "PO own")
    found = heading_of(own, Heading(30, "customer", "PO 1"), [Heading(60, "subscription", "PO 2")])
    assert found == Headed(7, "own", "PO own")


def test_each_purchase_order_is_named_once_in_order() -> None:
    subscriptions = [Heading(purchase_order="B"), NOTHING, Heading(purchase_order="B")]
    assert heading_of(NOTHING, Heading(purchase_order="A"), subscriptions).purchase_order == "B, A"


def test_purchase_orders_that_do_not_fit_are_left_out() -> None:
    many = [Heading(purchase_order=f"{number:060d}") for number in range(9)]
    written = heading_of(NOTHING, NOTHING, many).purchase_order
    # Eight of 60 characters with seven times ", " between them: 494.
    assert written is not None
    assert (len(written), written.count(", ")) == (494, 7)
    assert len(written) <= ORDERS_LENGTH_MAX


def test_a_memo_of_a_subscription_is_shown_where_all_have_the_same() -> None:
    customer = Heading(memo="customer")
    assert heading_of(NOTHING, customer, [Heading(memo="both"), Heading(memo="both")]).memo == "both"
    assert heading_of(NOTHING, customer, [Heading(memo="one"), NOTHING]).memo == "customer"


def test_texts_are_trimmed() -> None:
    assert check(Heading(0, " thanks ", " PO 1 ")) == Heading(0, "thanks", "PO 1")


@pytest.mark.parametrize("days", [-1, 366])
def test_terms_out_of_bounds_are_refused(days: int) -> None:
    with pytest.raises(NetDaysOutOfBounds):
        check(Heading(net_days=days))


@pytest.mark.parametrize(
    "heading", [Heading(memo=" "), Heading(memo="x" * 501), Heading(purchase_order="a\nb"), Heading(memo="\0")]
)
def test_texts_that_cannot_be_printed_are_refused(heading: Heading) -> None:
    with pytest.raises(HeadingMalformed):
        check(heading)


def test_what_is_sent_is_due_after_thirty_days_unless_terms_are_set() -> None:
    send = CollectionMethod.SEND
    assert heading_of(NOTHING, NOTHING, [], collection=send) == Headed(30, None, None, send)
    assert heading_of(NOTHING, Heading(net_days=0), [NOTHING], collection=send).net_days == 0
    assert heading_of(NOTHING, NOTHING, [Heading(net_days=60), NOTHING], collection=send).net_days == 30
    assert heading_of(Heading(net_days=7), NOTHING, [], collection=send).net_days == 7
