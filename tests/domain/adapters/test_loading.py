"""What a server's process leaves out as it loads its modules."""

import subprocess
import sys

from api.local.processes import PYTHON_ROOT

SCRIPT = """
import gc, sys
from domain.adapters.loading import lean_loading
with lean_loading():
    print(gc.isenabled())
    import domain.db, structlog, uvicorn
unused = ("rich", "watchfiles", "dateutil.tz.win", "ctypes", "sqlalchemy.orm")
print([name for name in unused if sys.modules.get(name)])
print(gc.isenabled(), gc.get_freeze_count() > 10_000, gc.get_threshold()[0])
"""


def test_a_server_loads_no_mapper_of_objects_and_no_colours_and_what_it_loads_is_never_searched_for_garbage() -> None:
    loaded = subprocess.run(  # noqa: S603 -- a fixed script
        [sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True, cwd=PYTHON_ROOT, timeout=60
    )

    assert loaded.stdout == "False\n[]\nTrue True 20000\n"
