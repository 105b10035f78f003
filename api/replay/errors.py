"""The one error of the replay."""


class ReplayError(Exception):
    """The replay cannot start or go on; the text is one line that says what happened and what to do."""
