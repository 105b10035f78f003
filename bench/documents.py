"""PDF files of invoices: from content to bytes, each with texts of its own, so that nothing is remembered."""

import asyncio
import time
from typing import Any

from bench.report import Result, at_most, middle
from domain.adapters.clock import now
from domain.adapters.typst_pdf import TypstRenderer

PDF_MS_MAX = 60.0
LINES = (1, 41, 250)
ASKED_LINES = 41


def measure(runs: int) -> list[Result]:
    """Return the time of a file by its number of lines; the first file, which loads the fonts, is told apart."""
    return asyncio.run(_measure(runs))


async def _measure(runs: int) -> list[Result]:
    renderer, number = TypstRenderer(), 0
    first = await _render(renderer, 1, "first")
    results = [Result("PDF: the first file of a process, fonts included", f"{first:.0f} ms")]
    for lines in LINES:
        took = []
        for _ in range(runs):
            number += 1
            took.append(await _render(renderer, lines, f"no. {number}"))
        name = f"PDF: invoice of {lines} lines, p50"
        if lines == ASKED_LINES:
            results.append(at_most(name, middle(took), PDF_MS_MAX, digits=1, unit=" ms"))
        else:
            results.append(Result(name, f"{middle(took):.1f} ms"))
    return results


async def _render(renderer: TypstRenderer, lines: int, mark: str) -> float:
    content = _content(lines, mark)
    started = time.perf_counter()
    file = await renderer.render(content, created_at=now())
    took = (time.perf_counter() - started) * 1_000
    assert file.startswith(b"%PDF"), "a file was written"
    return took


def _content(lines: int, mark: str) -> dict[str, Any]:
    rows = [
        {
            "text": f"LLM usage: gemini / model-{line}, 1 Jan 2026 to 1 Feb 2026, {mark}",
            "quantity": f"{line}.{line:03} USD",
            "tax": "19%",
            "amount": f"${line}.00",
            "discounts": [],
        }
        for line in range(lines)
    ]
    return {
        "lang": "en",
        "title": "Invoice",
        "number": mark,
        "facts": [["Invoice number", mark], ["Date of issue", "Feb 1, 2026"], ["Due", "Feb 1, 2026"]],
        "seller": {"name": "Example Ltd", "lines": ["Main Street 1"]},
        "buyer": {"name": f"Ada Lovelace {mark}", "lines": ["Allee 1", "10115 Berlin"], "lang": "en"},
        "head": ["Description", "Quantity", "Tax", "Amount"],
        "lines": rows,
        "totals": [{"label": "Total", "amount": f"${lines}.00", "strong": True}],
        "notes": [],
    }
