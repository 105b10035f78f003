"""Price files: the rows of the provider price list as CSV or JSON, the same that `tollgate prices show` writes.

    provider,model,pool,above,amount,per,valid_from,valid_to,source
    gemini,gemini-2.5-pro,input,0,1.25,1000000,2026-08-01T00:00:00Z,,Google's list of 1 August
    gemini,gemini-2.5-pro,input,200000,2.50,1000000,2026-08-01T00:00:00Z,,Google's list of 1 August

JSON is an array of objects with these names, numbers as text. Rows of one model and interval are one set. A row holds
for calls with more than `above` input tokens; without that column, or with 0, for all that no other row is for.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from api.instants import read_instant
from domain.kernel.errors import DomainError, Kind
from domain.kernel.unreadable import UNREADABLE
from domain.kernel.values import dataclass
from domain.plans.exact import DefinitionRefused, decimal_at
from domain.plans.price_list import divided
from domain.plans.provider_price import PriceSet, ProviderPrice, TierPrice

FILE_BYTES_MAX = 10_000_000
ROWS_MAX = 20_000
COLUMNS = ("provider", "model", "pool", "above", "amount", "per", "valid_from", "valid_to", "source")
_OPTIONAL = frozenset({"above", "valid_to"})
_WHOLE = re.compile("[0-9]{1,10}")


@dataclass(eq=False)
class PriceFileRefused(DomainError):
    """The price file cannot be read: {place} {fault}."""

    code = "price_file_refused"
    kind = Kind.INVALID
    place: str
    fault: str


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row as it is written; `valid_to` empty or null is open, and `above` empty is 0."""

    provider: str
    model: str
    pool: str
    amount: str
    per: str
    valid_from: str
    source: str
    valid_to: str | None = None
    above: str = ""


def read_file(text: bytes) -> list[PriceSet]:
    """Read a file; one that begins with `[` is JSON. Raises PriceFileRefused with the row at fault, counted from 1."""
    if len(text) > FILE_BYTES_MAX:
        raise PriceFileRefused("it", f"has more than {FILE_BYTES_MAX} bytes")
    rows = _read_json(text) if text.lstrip()[:1] == b"[" else _read_csv(text)
    if not 1 <= len(rows) <= ROWS_MAX:
        raise PriceFileRefused("it", f"has {len(rows)} rows, and 1 to {ROWS_MAX} are read at once")
    return _sets(rows)


def write_csv(prices: Iterable[ProviderPrice]) -> str:
    """Write rows so that `read_file` reads them again."""
    written = io.StringIO()
    writer = csv.DictWriter(written, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(msgspec.to_builtins(_row(price)) for price in prices)
    return written.getvalue()


def write_json(prices: Iterable[ProviderPrice]) -> str:
    """Write rows so that `read_file` reads them again, one on a line."""
    rows = ",\n".join(msgspec.json.encode(_row(price)).decode() for price in prices)
    return f"[\n{rows}\n]\n" if rows else "[]\n"


def instant_text(instant: datetime) -> str:
    """Write an instant in UTC with a Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def plain(number: Decimal) -> str:
    """Write a number without needless digits: 1.250000 as 1.25, and 1E+6 as 1000000."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _row(price: ProviderPrice) -> Row:
    return Row(
        provider=price.provider,
        model=price.model,
        pool=price.pool,
        amount=plain(price.amount),
        per=plain(price.per),
        valid_from=instant_text(price.valid_from),
        source=price.source,
        valid_to=instant_text(price.valid_to) if price.valid_to else None,
        above=str(price.above),
    )


def _read_json(text: bytes) -> list[Row]:
    try:
        return msgspec.json.decode(text, type=list[Row])
    except UNREADABLE as error:
        raise PriceFileRefused("it", f"is malformed: {error}") from error


def _read_csv(text: bytes) -> list[Row]:
    try:
        reader = csv.DictReader(io.StringIO(text.decode("utf-8-sig"), newline=""), strict=True)
        missing = set(COLUMNS) - _OPTIONAL - set(reader.fieldnames or ())
        if missing:
            raise PriceFileRefused("its first line", f"has no column {', '.join(sorted(missing))}")
        return [_csv_row(values, number) for number, values in enumerate(reader, 1)]
    except (csv.Error, UnicodeDecodeError) as error:
        raise PriceFileRefused("it", f"is not CSV in UTF-8: {error}") from error


def _csv_row(values: Mapping[str, Any], number: int) -> Row:
    try:
        return msgspec.convert({name: (value or "").strip() for name, value in values.items()}, Row)
    except (msgspec.ValidationError, AttributeError, TypeError) as error:
        raise PriceFileRefused(f"row {number}", "has other columns than the first line, or unknown ones") from error


def _sets(rows: Sequence[Row]) -> list[PriceSet]:
    """Put the rows of one model and interval together, in the order in which the sets begin in the file."""
    sets: dict[tuple[str, str, datetime, datetime | None], tuple[str, list[TierPrice]]] = {}
    for number, row in enumerate(rows, 1):
        start = _instant(row.valid_from, "valid_from", number)
        end = _instant(row.valid_to, "valid_to", number) if row.valid_to else None
        key = (row.provider, row.model, start, end)
        source, prices = sets.setdefault(key, (row.source, []))
        if source != row.source:
            raise PriceFileRefused(f"row {number}", f"mixes sources: the model's other rows come from {source}")
        prices.append((row.pool, _above(row, number), *_amounts(row, number)))
    return [PriceSet(*key, source, *divided(prices)) for key, (source, prices) in sets.items()]


def _above(row: Row, number: int) -> int:
    if row.above and not _WHOLE.fullmatch(row.above):
        raise PriceFileRefused(f"row {number}, column above", "is not a whole number of input tokens, such as 200000")
    return int(row.above or 0)


def _amounts(row: Row, number: int) -> tuple[Decimal, Decimal]:
    values = {"amount": row.amount, "per": row.per}
    try:
        return decimal_at(values, "amount", ""), decimal_at(values, "per", "")
    except DefinitionRefused as refused:
        raise PriceFileRefused(f"row {number}, column {refused.path.lstrip('.')}", refused.fault) from refused


def _instant(text: str, column: str, number: int) -> datetime:
    instant = read_instant(text)
    if instant is None:
        cure = "is not an instant with an offset, such as 2026-08-01T00:00:00Z"
        raise PriceFileRefused(f"row {number}, column {column}", cure)
    return instant
