"""`tollgate what-if`: where the comparisons go."""

import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from api.progress import bar
from api.whatif.files import CsvFile, JsonDocument
from api.whatif.run import Output, Wish, run
from api.whatif.show import print_summary
from domain.config import Settings
from domain.kernel.ids import CustomerId, decode


def wish_of(plan: str, product: str, number: int, customer: str, at: datetime | None) -> Wish:
    """Read what the command was given; 0 and an empty customer stand for "not told". Raises IdMalformed."""
    customer_id = CustomerId(decode("customer", customer)) if customer else None
    return Wish(plan, product, number=number or None, customer_id=customer_id, at=at)


async def compare(settings: Settings, wish: Wish, *, csv_file: Path | None, as_json: bool) -> None:
    """Compare, write every line to a CSV file if asked, and print a summary, or all of it as JSON."""
    outputs: list[Output] = []
    with ExitStack() as open_files:
        if csv_file is not None:
            outputs.append(CsvFile(open_files.enter_context(csv_file.open("w", newline="", encoding="utf-8"))))
        document = JsonDocument(sys.stdout) if as_json else None
        if document is not None:
            outputs.append(document)
        progress = open_files.enter_context(bar("comparing", "customers"))
        summary = await run(settings, wish, outputs, progress=progress)
    if document is not None:
        document.end(summary)
    else:
        print_summary(summary)
