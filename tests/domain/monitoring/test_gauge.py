"""How numbers are written for monitoring."""

import re
from pathlib import Path

from domain.monitoring.gauge import MEANINGS, Gauge, written

ROOT = Path(__file__).resolve().parents[3]


def test_gauges_of_one_name_stand_together_below_their_meaning() -> None:
    given = [
        Gauge("tollgate_jobs_waiting", 3, (("waits_for", "mail"),)),
        Gauge("tollgate_sockets", 2),
        Gauge("tollgate_jobs_waiting", 0, (("waits_for", "gateway"),)),
    ]
    assert written(given) == (
        "# HELP tollgate_jobs_waiting Jobs that are due and not done, by whom they wait for; at most 10000.\n"
        "# TYPE tollgate_jobs_waiting gauge\n"
        'tollgate_jobs_waiting{waits_for="mail"} 3\n'
        'tollgate_jobs_waiting{waits_for="gateway"} 0\n'
        "# HELP tollgate_sockets Websockets that are open at this process.\n"
        "# TYPE tollgate_sockets gauge\n"
        "tollgate_sockets 2\n"
    )


def test_what_the_manual_says_of_gauges_is_what_there_is() -> None:
    manual = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(tollgate_[a-z_]+)", manual)) == set(MEANINGS)
