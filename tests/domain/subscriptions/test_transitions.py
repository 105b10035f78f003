"""What may happen to a subscription in each status: every pair of a status and an event."""

import pytest

from domain.subscriptions.subscription import Status
from domain.subscriptions.transitions import TABLE, Event, TransitionRefused, after

_COLUMNS = "incomplete trialing active past_due paused unpaid canceled"
# One row for an event, one column for a status: what it becomes, or a dash where it is refused.
_EXPECTED = """
first_payment      active     trialing active   past_due paused   unpaid   canceled
lapse              canceled   -        -        -        -        -        canceled
trial_over         -          active   -        -        -        -        -
trial_unpaid       -          paused   -        -        -        -        -
payment_failed     incomplete trialing past_due past_due paused   unpaid   canceled
debts_cleared      incomplete trialing active   active   paused   active   canceled
retries_exhausted  incomplete trialing unpaid   unpaid   paused   unpaid   canceled
renew              -          trialing active   past_due -        unpaid   -
change             -          trialing active   past_due -        -        -
ask_cancel         -          trialing active   past_due -        unpaid   canceled
undo_cancel        -          trialing active   past_due paused   unpaid   -
end                canceled   canceled canceled canceled canceled canceled canceled
ask_pause          -          -        active   -        paused   -        -
undo_pause         -          trialing active   past_due -        unpaid   -
pause              -          -        paused   -        paused   -        -
resume             -          -        -        -        active   -        -
"""
_PAIRS = [
    (Status(status), Event(event), becomes)
    for event, *row in (line.split() for line in _EXPECTED.strip().splitlines())
    for status, becomes in zip(_COLUMNS.split(), row, strict=True)
]


@pytest.mark.parametrize(("status", "event", "becomes"), _PAIRS, ids=[f"{each[0]}-{each[1]}" for each in _PAIRS])
def test_each_event_makes_of_each_status_what_it_should_or_says_why_not(
    status: Status, event: Event, becomes: str
) -> None:
    if becomes != "-":
        assert after(status, event) is Status(becomes)
        return
    with pytest.raises(TransitionRefused) as refused:
        after(status, event)
    assert len(refused.value.why) > 10
    assert refused.value.message.endswith(f": {refused.value.why}.")


def test_every_pair_of_a_status_and_an_event_is_looked_at() -> None:
    assert {(status, event) for status, event, _ in _PAIRS} == {(status, event) for status in Status for event in Event}
    assert all(set(row) == set(Status) for row in TABLE.values())


@pytest.mark.parametrize(
    ("status", "event", "why"),
    [
        (Status.PAST_DUE, Event.ASK_PAUSE, "an invoice is overdue; pay it first"),
        (Status.ACTIVE, Event.RESUME, "it is not paused"),
        (Status.PAUSED, Event.CHANGE, "it is paused; resume it first"),
        (Status.CANCELED, Event.UNDO_CANCEL, "it has ended; subscribe again"),
        (Status.INCOMPLETE, Event.CHANGE, "its first payment is not done"),
    ],
)
def test_a_refusal_says_what_to_do(status: Status, event: Event, why: str) -> None:
    with pytest.raises(TransitionRefused) as refused:
        after(status, event)
    assert refused.value.why == why
