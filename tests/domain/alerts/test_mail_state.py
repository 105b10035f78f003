"""Reports about a mail come in any order and any number, and end in the same state."""

import itertools

import pytest

from domain.alerts.mail_state import MailState, ReportKind, after


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        ([], "sent"),
        (["delivered"], "delivered"),
        (["deferred", "soft_bounced"], "sent"),
        (["delivered", "deferred"], "delivered"),
        (["hard_bounced", "soft_bounced"], "bounced"),
        # Some servers take a mail and return it later; and who complains has got it.
        (["delivered", "hard_bounced"], "bounced"),
        (["delivered", "complained", "hard_bounced"], "complained"),
    ],
)
def test_the_gravest_report_stands_in_whatever_order(kinds: list[str], state: str) -> None:
    for order in itertools.permutations(kinds):
        reached = MailState.SENT
        for kind in [*order, *order]:
            reached = after(reached, ReportKind(kind))
        assert reached == state


@pytest.mark.parametrize("before", ["queued", "failed"])
def test_a_report_is_the_answer_that_was_lost(before: str) -> None:
    assert after(MailState(before), ReportKind.DELIVERED) == "delivered"
    assert after(MailState(before), ReportKind.HARD_BOUNCED) == "bounced"
    assert after(MailState(before), ReportKind.DEFERRED) == before


@pytest.mark.parametrize("before", ["withheld", "suppressed"])
def test_what_was_never_sent_stays_so(before: str) -> None:
    assert after(MailState(before), ReportKind.DELIVERED) == before
