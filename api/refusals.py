"""How a command ends that was refused something: in one line, and without a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from api.local.errors import LocalStackError
from api.replay.errors import ReplayError
from domain.kernel.errors import DomainError

INTERRUPTED = 130


@contextmanager
def refused_in_one_line() -> Iterator[None]:
    """End the process: with a line on standard error and status 1 when refused, with status 130 on Ctrl-C."""
    try:
        yield
    except DomainError as error:
        _fail(error.message)
    except (LocalStackError, ReplayError) as error:
        _fail(str(error))
    except Exception as error:
        from domain.db import unreachable_reason  # noqa: PLC0415 -- it loads much, for what goes well as a rule

        reason = unreachable_reason(error)
        if reason is None:
            raise
        _fail(f"PostgreSQL does not answer, or not to us ({reason}); see DATABASE_URL")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _fail(what: str) -> None:
    sys.stderr.write(f"tollgate: {what}\n")
    sys.exit(1)
