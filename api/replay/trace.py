"""A trace of LLM requests: a CSV file with the columns TIMESTAMP, ContextTokens, GeneratedTokens. Pure.

Timestamps have no zone and up to seven fractional digits (100 ns). Only their distance from the first row matters; it
is computed exactly and cut off at the microsecond, which is what an instant of Tollgate holds.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from api.replay.errors import ReplayError
from domain.kernel.values import dataclass

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"
FILE_BYTES_MAX = 200_000_000
ROWS_MAX = 2_000_000
CUSTOMERS_MAX = 100
# The rows must lie in the subscription's first month and inside the window of late events.
SPAN_MAX = timedelta(days=27)

_ROW = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,7}))?,(\d{1,12}),(\d{1,12})", re.ASCII)
_TICKS_PER_MICROSECOND = 10
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Row:
    """One request. `number` counts data rows from 1; `offset` is its distance from the first row."""

    number: int
    offset: timedelta
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole file; `digest` is the SHA-256 of its bytes in hex."""

    digest: str
    rows: tuple[Row, ...]

    @property
    def span(self) -> timedelta:
        """The distance from the first row to the last in time."""
        return max(row.offset for row in self.rows)


@dataclass(frozen=True, slots=True)
class Run:
    """What is replayed on what: the trace, the number of customers, their plan, and the model that is called."""

    trace: Trace
    customers: int
    product: str
    plan: str
    provider: str
    model: str

    @property
    def name(self) -> str:
        """The run's name on a server: the same for the same file, number of customers, plan and model."""
        facts = (self.trace.digest, str(self.customers), self.product, self.plan, self.provider, self.model)
        return f"replay-{hashlib.sha256(chr(0).join(facts).encode()).hexdigest()[:20]}"

    def external_ids(self) -> list[str]:
        """Return the external ids of the run's customers."""
        return [f"{self.name}-{number}" for number in range(1, self.customers + 1)]

    @property
    def days_ahead(self) -> int:
        """How many whole days the clock goes ahead, so that no row lies in its future: 1 for a trace of one hour."""
        return self.trace.span // timedelta(days=1) + 1


def parse(content: bytes) -> Trace:
    """Read a trace. Raises ReplayError naming the line where it is not exactly of the described form."""
    if len(content) > FILE_BYTES_MAX:
        raise ReplayError(f"the trace is larger than {FILE_BYTES_MAX:,} bytes; split it")
    try:
        lines = content.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ReplayError(f"line {line}: the trace holds a byte that is not ASCII") from None
    if lines[0].rstrip("\r") != HEADER:
        raise ReplayError(f"line 1: the header must be exactly {HEADER}")
    rows = tuple(_read(lines))
    if not rows:
        raise ReplayError("line 2: the trace has no rows")
    if len(rows) > ROWS_MAX:
        raise ReplayError(f"the trace has more than {ROWS_MAX:,} rows; split it")
    trace = Trace(hashlib.sha256(content).hexdigest(), rows)
    if trace.span > SPAN_MAX:
        raise ReplayError(f"the trace covers more than {SPAN_MAX.days} days; split it")
    return trace


def events_of(run: Run, customers: list[str], started_at: datetime) -> Iterator[Mapping[str, Any]]:
    """Give each row as a usage event, spread over the customers in turn.

    Ids and times depend on the file and the subscription's start alone, so sending them again counts nothing twice.
    """
    for row in run.trace.rows:
        yield {
            "id": f"{run.trace.digest}-{row.number}",
            "type": "llm.call",
            "customer": customers[(row.number - 1) % len(customers)],
            "occurred_at": (started_at + row.offset).isoformat(),
            "properties": {
                "provider": run.provider,
                "model": run.model,
                "input_tokens": row.input_tokens,
                "output_tokens": row.output_tokens,
            },
        }


def _read(lines: list[str]) -> Iterator[Row]:
    first_ticks: int | None = None
    # What follows the last line end is no line, if it is empty.
    last = len(lines) - 1 if lines[-1] == "" else len(lines)
    for number, line in enumerate(lines[1:last], 2):
        ticks, context_tokens, generated_tokens = _read_row(number, line.removesuffix("\r"))
        first_ticks = ticks if first_ticks is None else first_ticks
        if ticks < first_ticks:
            raise ReplayError(f"line {number}: its time lies before that of the first row")
        offset = (ticks - first_ticks) // _TICKS_PER_MICROSECOND * _MICROSECOND
        yield Row(number - 1, offset, context_tokens, generated_tokens)


def _read_row(number: int, line: str) -> tuple[int, int, int]:
    """Return time in units of 100 ns, context tokens and generated tokens."""
    found = _ROW.fullmatch(line)
    if found is None:
        raise ReplayError(
            f"line {number}: a row is a time such as 2023-11-16 18:17:03.9799600, and two whole numbers of tokens"
        )
    wall, fraction, context_tokens, generated_tokens = found.groups()
    try:
        second = datetime.fromisoformat(wall)
    except ValueError:
        raise ReplayError(f"line {number}: there is no such time as {wall}") from None
    micros = (second - datetime.min) // _MICROSECOND  # noqa: DTZ901 -- walls without a zone, compared with each other only
    return (
        micros * _TICKS_PER_MICROSECOND + int((fraction or "").ljust(7, "0")),
        int(context_tokens),
        int(generated_tokens),
    )
