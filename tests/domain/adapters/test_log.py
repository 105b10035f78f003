"""What is logged: one JSON object a line, whoever says it."""

import json
import subprocess
import sys

# A process of its own: what is set up holds for the whole of it.
_PROGRAM = """
import logging, structlog
from domain.adapters.log import set_up_logging

set_up_logging()
structlog.get_logger().info("invoice_opened", invoice="inv_1", email="ada@example.com")
structlog.get_logger().debug("not_shown")
logging.getLogger("library").info("not shown")
try:
    raise ValueError("of the library")
except ValueError:
    logging.getLogger("library").warning('it said "no"\\nand left %s', "us", exc_info=True)
"""


def test_every_line_is_a_json_object_also_what_libraries_warn_of() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)  # noqa: S603 -- our own program
    assert done.stderr == ""
    ours, theirs = (json.loads(line) for line in done.stdout.splitlines())
    assert (ours["event"], ours["level"], ours["invoice"]) == ("invoice_opened", "info", "inv_1")
    assert ours["email"] == "[redacted]"
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ('it said "no"\nand left us', "warning", "library")
    assert theirs["exception"].endswith("ValueError: of the library")
    assert ours.keys() & theirs.keys() >= {"timestamp", "event", "level"}
