"""Run a command that ends when its parent ends, however the parent ends.

Used as a script by `children`: `python tether.py PARENT COMMAND…`. It asks the kernel for SIGKILL at the parent's
death and then becomes the command, so no process stands between the two. Only Linux can do this; elsewhere the
command simply runs.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Tie this process to the parent with the given id and become the command; ends at once if the parent is gone."""
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        # The parent may have died before the request was made.
        if os.getppid() != parent:
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 becoming the command is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
