"""Trials end at local midnight."""

import pytest

from domain.subscriptions.trial import trial_end
from tests.make import at


@pytest.mark.parametrize(
    ("start", "zone", "days", "end"),
    [
        # The day of the start is a short one: 5 March 12:12 and 10 days end on 15 March 00:00.
        ("2024-03-05T12:12", "UTC", 10, "2024-03-15"),
        ("2024-03-05T00:00", "UTC", 10, "2024-03-15"),
        # 2024 has a 29 February: 20 February + 14 days = 5 March.
        ("2024-02-20T09:00", "UTC", 14, "2024-03-05"),
        # Local 31 August 23:30 in Juneau (UTC-8) is 1 September 07:30 UTC; 30 days later is 30 September 00:00 local.
        ("2015-09-01T07:30", "America/Juneau", 30, "2015-09-30T08:00"),
        # Berlin's midnight is 23:00 UTC before its clock change of 29 March 2026 and 22:00 UTC after it.
        ("2026-03-25T10:00", "Europe/Berlin", 3, "2026-03-27T23:00"),
        ("2026-03-25T10:00", "Europe/Berlin", 7, "2026-03-31T22:00"),
    ],
)
def test_a_trial_ends_at_local_midnight_after_its_days(start: str, zone: str, days: int, end: str) -> None:
    assert trial_end(at(start), zone, days) == at(end)


def test_a_trial_without_days_is_no_trial() -> None:
    with pytest.raises(AssertionError):
        trial_end(at("2026-01-01"), "UTC", 0)
