"""How a trial is measured: in local days, so that it ends when a day ends for the customer."""

from datetime import datetime

from domain.subscriptions.schedule import local_midnight

TRIAL_DAYS_MAX = 730


def trial_end(start: datetime, zone: str, days: int) -> datetime:
    """Return where a trial of 1 to TRIAL_DAYS_MAX days ends and billing starts.

    That is local midnight, `days` days after the local day of its start: the first day may be a short one.
    """
    assert 1 <= days <= TRIAL_DAYS_MAX, "a trial lasts some days"
    return local_midnight(start, zone, days=days)
