"""One number for monitoring, and how numbers are written for it."""

from collections.abc import Iterable

from domain.kernel.values import dataclass

# What each gauge tells. One that is not here is not written.
MEANINGS = {
    "tollgate_jobs_waiting": "Jobs that are due and not done, by whom they wait for; at most 10000.",
    "tollgate_jobs_late_seconds": "How long ago the oldest job that is not done was due, by whom it waits for.",
    "tollgate_tasks_late_seconds": "How long ago the recurring task was due that waits longest: no worker runs.",
    "tollgate_closing_late_seconds": "How long ago the oldest subscription was due to be renewed, closed or ended.",
    "tollgate_dunning_late_seconds": "How long ago the oldest step of dunning was due.",
    "tollgate_inbox_late_seconds": "How long ago the oldest event of the payment provider came that is not processed.",
    "tollgate_inbox_quarantined": "Events of the payment provider that wait for staff.",
    "tollgate_webhooks_late_seconds": "How long ago the oldest event was to be sent to an endpoint of the merchant.",
    "tollgate_staff_alerts_unread": "Alerts that staff have not read, those about failed jobs among them.",
    "tollgate_clock_skew_seconds": "How far the clock of PostgreSQL is ahead of this process's; less than 0 behind.",
    "tollgate_sockets": "Websockets that are open at this process.",
}


@dataclass(frozen=True, slots=True)
class Gauge:
    """A whole number under a name of MEANINGS, and the labels that tell it from others of that name."""

    name: str
    value: int
    labels: tuple[tuple[str, str], ...] = ()


def written(gauges: Iterable[Gauge]) -> str:
    """Write gauges in the text format of Prometheus (0.0.4), those of one name together, in the order of MEANINGS."""
    lines = []
    given = list(gauges)
    for name, meaning in MEANINGS.items():
        same = [each for each in given if each.name == name]
        if same:
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
        for each in same:
            labels = ",".join(f'{label}="{value}"' for label, value in each.labels)
            lines.append(f"{name}{'{' + labels + '}' if labels else ''} {each.value}")
    return "\n".join(lines) + "\n"
