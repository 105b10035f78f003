"""The one error of the local stack."""


class LocalStackError(Exception):
    """A part of the local stack cannot start or go on; the text is for the person at the terminal.

    It says in one line what happened and what to do, and may be followed by the last lines of a log.
    """
