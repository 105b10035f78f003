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


# What is done to every event, ours and the libraries'.
_SHARED: tuple[structlog.typing.Processor, ...] = (
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def set_up_logging(level: int = logging.INFO) -> None:
    """Send structlog's events, and warnings of the standard library's loggers, to standard output as JSON lines."""
    structlog.configure(
        processors=[*_SHARED, structlog.processors.format_exc_info, _redact, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _redact,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
