"""Write comparisons as they come: rows of CSV, or one JSON document."""

import csv
from collections.abc import Iterator
from datetime import datetime
from typing import Any, TextIO

import msgspec

from api.whatif.run import Summary
from domain.contracts.what_if.replay import Compared, WhatIf
from domain.kernel.ids import encode
from domain.kernel.money import exact_text
from domain.limits.status import LimitStatus

COLUMNS = (
    "customer",
    "subscription",
    "period_start",
    "period_end",
    "is_over",
    "currency",
    "record",
    "key",
    "dimensions",
    "quantity",
    "unit",
    "present",
    "other",
    "difference",
    "used",
    "limit",
    "policy",
)


class CsvFile:
    """One row for each line (`record` fee, usage or cap) and for each limit that would have been hit (limit)."""

    def __init__(self, file: TextIO) -> None:
        """Write the head. The file is opened with newline=""."""
        self._writer = csv.DictWriter(file, COLUMNS, restval="")
        self._writer.writeheader()

    def write(self, found: WhatIf) -> None:
        """Write the rows of one subscription."""
        self._writer.writerows(_rows(found))


class JsonDocument:
    """One object with the subscriptions in a list and the summary after it, written piece by piece."""

    def __init__(self, file: TextIO) -> None:
        """Begin the document."""
        self._file = file
        self._separator = "\n"
        file.write('{"subscriptions":[')

    def write(self, found: WhatIf) -> None:
        """Write one subscription."""
        self._file.write(self._separator + msgspec.json.encode(as_json(found)).decode())
        self._separator = ",\n"

    def end(self, summary: Summary) -> None:
        """Write the summary and end the document."""
        self._file.write('\n],"summary":' + msgspec.json.encode(summary.as_json()).decode() + "}\n")


def as_json(found: WhatIf) -> dict[str, Any]:
    """Write a comparison as JSON; amounts are texts in major units, quantities exact texts."""
    return {
        **_head(found),
        "is_over": found.is_over,
        "present": found.present.major,
        "other": found.other.major,
        "difference": found.difference.major,
        "lines": [{**_line(line), "dimensions": dict(line.dimensions)} for line in found.lines],
        "limits_hit": [_limit(limit) for limit in found.limits_hit],
    }


def _rows(found: WhatIf) -> Iterator[dict[str, str]]:
    head = {**_head(found), "is_over": str(found.is_over).lower()}
    for line in found.lines:
        dimensions = msgspec.json.encode(dict(line.dimensions), order="sorted").decode() if line.dimensions else ""
        yield {**head, **_line(line), "dimensions": dimensions}
    for limit in found.limits_hit:
        yield {**head, "record": "limit", **_limit(limit)}


def _head(found: WhatIf) -> dict[str, str]:
    return {
        "customer": encode("customer", found.customer_id),
        "subscription": encode("subscription", found.subscription_id),
        "period_start": _instant(found.period.start),
        "period_end": _instant(found.period.end),
        "currency": found.currency,
    }


def _line(line: Compared) -> dict[str, str]:
    return {
        "record": str(line.kind),
        "key": line.key,
        "quantity": exact_text(line.quantity),
        "unit": line.unit,
        "present": line.present.major,
        "other": line.other.major,
        "difference": line.difference.major,
    }


def _limit(limit: LimitStatus) -> dict[str, str]:
    return {
        "key": limit.key,
        "unit": limit.unit,
        "used": exact_text(limit.used),
        "limit": "" if limit.limit is None else exact_text(limit.limit),
        "policy": limit.policy,
    }


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
