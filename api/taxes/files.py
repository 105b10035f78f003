"""Files of tax rates: rows of the table as CSV, the same that `tollgate tax show` writes.

country,region,tax_code,name,percent,inclusive,valid_from,valid_to
DE,,,VAT,19,no,2021-01-01T00:00:00Z,
"""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from api.instants import read_instant
from domain.invoices.taxing.treatment import TaxRate
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass

FILE_BYTES_MAX = 10_000_000
ROWS_MAX = 10_000
COLUMNS = ("country", "region", "tax_code", "name", "percent", "inclusive", "valid_from", "valid_to")
_WORDS = {"yes": True, "no": False}


@dataclass(eq=False)
class TaxFileRefused(DomainError):
    """The file of tax rates cannot be read: {place} {fault}."""

    code = "tax_file_refused"
    kind = Kind.INVALID
    place: str
    fault: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it was read; the table checks what is in it."""

    country: str
    region: str | None
    tax_code: str | None
    name: str
    percent: Decimal
    inclusive: bool
    valid_from: datetime
    valid_to: datetime | None


def read_file(text: bytes) -> list[Row]:
    """Read a file. Raises TaxFileRefused with the row at fault, counted from 1."""
    if len(text) > FILE_BYTES_MAX:
        raise TaxFileRefused("it", f"has more than {FILE_BYTES_MAX} bytes")
    try:
        reader = csv.DictReader(io.StringIO(text.decode("utf-8-sig")), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise TaxFileRefused("it", "is not CSV in UTF-8") from error
    if set(reader.fieldnames or ()) != set(COLUMNS):
        raise TaxFileRefused("its head", f"is not {','.join(COLUMNS)}")
    if not 1 <= len(rows) <= ROWS_MAX:
        raise TaxFileRefused("it", f"has {len(rows)} rows, and 1 to {ROWS_MAX} are read at once")
    return [_read(row, f"row {number}") for number, row in enumerate(rows, 1)]


def write_file(rates: Iterable[TaxRate]) -> str:
    """Write rows so that `read_file` reads them again."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    for rate in rates:
        words = "yes" if rate.inclusive else "no"
        until = _instant_text(rate.valid_to) if rate.valid_to else ""
        place = (rate.country, rate.region or "", rate.tax_code or "", rate.name)
        writer.writerow((*place, f"{rate.percent.normalize():f}", words, _instant_text(rate.valid_from), until))
    return written.getvalue()


def _read(row: dict[str, str], place: str) -> Row:
    if None in row or None in row.values():
        raise TaxFileRefused(place, f"has not {len(COLUMNS)} values")
    try:
        percent = Decimal(row["percent"])
    except InvalidOperation as error:
        raise TaxFileRefused(place, "has no percentage") from error
    if row["inclusive"] not in _WORDS:
        raise TaxFileRefused(place, "says neither yes nor no to `inclusive`")
    return Row(
        country=row["country"],
        region=row["region"] or None,
        tax_code=row["tax_code"] or None,
        name=row["name"],
        percent=percent,
        inclusive=_WORDS[row["inclusive"]],
        valid_from=_instant(row["valid_from"], place),
        valid_to=_instant(row["valid_to"], place) if row["valid_to"] else None,
    )


def _instant(text: str, place: str) -> datetime:
    instant = read_instant(text)
    if instant is None:
        raise TaxFileRefused(place, "has an instant that is not ISO 8601 with an offset")
    return instant


def _instant_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
