"""What stands in the way of an erasure, how it goes on, and until when books are kept."""

from datetime import datetime, timedelta

import pytest

from domain.kernel.ids import CustomerId, uuid7
from domain.privacy import erasure as rules
from domain.privacy.erasure import ADVICE, Blocker, CustomerNotErasable, Erasure, ErasureReason, ErasureState
from domain.privacy.inventory import inventory
from tests import make

AT = make.at("2026-03-01")
KEPT = make.at("2037-01-01")


def erasure(state: ErasureState = ErasureState.CLEARING, keep_until: datetime | None = KEPT) -> Erasure:
    """Make an erasure of the first of March."""
    return Erasure(CustomerId(make.new_id()), state, ErasureReason.REQUESTED, AT, "staff:ada", keep_until)


def test_nothing_in_the_way_is_no_refusal_and_each_thing_says_what_to_do() -> None:
    rules.check({})
    rules.check(dict.fromkeys(Blocker, 0))
    with pytest.raises(CustomerNotErasable) as refused:
        rules.check({Blocker.BALANCES: 1, Blocker.SUBSCRIPTIONS: 2, Blocker.JOBS: 0})
    assert refused.value.message == (
        "This customer cannot be erased yet. It still has live subscriptions (2): cancel them now; balances that are "
        "owed or held (1): pay back or apply credit, prepaid and unapplied money, write off what is owed."
    )
    assert set(ADVICE) == set(Blocker)


def test_books_are_kept_for_years_after_the_end_of_the_year_of_their_last_entry() -> None:
    # Booked in 2026: until the end of 2036, which is ten years after the end of 2026.
    assert rules.keep_until(make.at("2026-01-01"), 10) == make.at("2037-01-01")
    assert rules.keep_until(make.at("2026-12-31"), 10) == make.at("2037-01-01")
    assert rules.keep_until(make.at("2027-01-01"), 10) == make.at("2038-01-01")
    assert rules.keep_until(make.at("2026-05-05"), 0) == make.at("2027-01-01")
    assert rules.keep_until(None, 10) is None


def test_what_is_cleared_waits_for_the_end_of_the_retention_or_goes_on_without_one() -> None:
    waiting = rules.cleared(erasure(), AT)
    assert (waiting.state, waiting.cleared_at) == (ErasureState.RESTRICTED, AT)
    assert rules.cleared(erasure(keep_until=None), AT).state is ErasureState.ENDING
    assert rules.cleared(erasure(keep_until=AT), AT).state is ErasureState.ENDING
    assert rules.due(waiting, make.at("2036-12-31")) == waiting
    ending = rules.due(waiting, KEPT)
    assert ending.state is ErasureState.ENDING
    done = rules.ended(ending, KEPT)
    assert (done.state, done.ended_at) == (ErasureState.DONE, KEPT)
    assert rules.due(done, KEPT) == done


def test_what_arrived_in_the_last_ten_minutes_is_looked_through_once_more() -> None:
    early, late = (uuid7(AT - timedelta(minutes=minutes), bytes) for minutes in (11, 9))
    assert rules.looked(erasure(), early, AT).looked_to == early
    assert rules.looked(erasure(), late, AT).looked_to == uuid7(AT - timedelta(minutes=10), bytes)
    assert rules.looked(erasure(), None, AT).looked_to is None


def test_a_table_is_cleared_at_once_or_by_the_job_or_last() -> None:
    holdings = inventory().values()
    at_once = {each.table for each in rules.cleared_at_once(holdings)}
    later = {each.table for each in rules.cleared_later(holdings)}
    last = {each.table for each in rules.cleared_last(holdings)}
    assert {"mail", "billing_profile", "subscription", "outbox_job", "quarantined_event"} <= at_once
    assert at_once - later == {"outbox_job"}
    assert {"limit_decision", "idempotency", "alert"} <= later - at_once
    assert {"invoice", "invoice_line", "document", "usage_event"} <= last
    assert not later & last
    assert not {"ledger_entry", "audit_entry", "customer"} & (at_once | later | last)
