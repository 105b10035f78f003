"""The shape of what is asked for over HTTP and over sockets, before anything of it is read."""

from typing import Any


def is_request(data: Any) -> bool:
    """Whether a decoded JSON value asks for an operation. Whether its text can be stored is for `is_safe` to say."""
    return (
        isinstance(data, dict)
        and isinstance(data.get("query"), str)
        and isinstance(data.get("variables"), dict | None)
        and isinstance(data.get("operationName"), str | None)
    )


def is_safe(value: Any) -> bool:
    """Whether all text inside a decoded JSON value can be stored: no NUL. The decoder refuses lone surrogates."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, str) and "\0" in part:
            return False
    return True
