"""Structured logs on standard output, one JSON object a line: facts and ids, never values of customers or secrets."""

import logging
import sys

import structlog

_REDACTED = "[redacted]"
_SECRET_NAMES = frozenset(
    {"authorization", "password", "secret", "token", "api_key", "cookie", "email", "name", "prompt", "body", "payload"}
)


def _redact(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Cover values whose name says that they must not be logged: the last net, not the first."""
    for name in event.keys() & _SECRET_NAMES:
        event[name] = _REDACTED
    return event


def set_up_logging(level: int = logging.INFO) -> None:
    """Send structlog and the standard library's warnings to standard output as JSON lines."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=logging.WARNING, format='{"level":"%(levelname)s","logger":"%(name)s","event":"%(message)s"}'
    )
