"""Real pages: the same bytes every time, every row, and the letters of every script."""

import dataclasses
import io
import re
import subprocess
import sys
from decimal import Decimal

import pytest
from pypdf import PdfReader

from domain.adapters.typst_pdf import TypstRenderer
from domain.invoices.documents.content import Sold, invoice_content
from domain.invoices.documents.port import Renderer
from domain.invoices.tax import Rate
from domain.invoices.taxing.statement import TaxStatement
from tests import make
from tests.domain.invoices.documents.examples import VAT, customer, line, sold

_ISSUED = make.at("2026-02-01")


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    """Load the fonts once."""
    return TypstRenderer()


async def _pages(renderer: Renderer, of: Sold) -> list[str]:
    file = await renderer.render(invoice_content(of), created_at=_ISSUED)
    return [page.extract_text() for page in PdfReader(io.BytesIO(file)).pages]


async def test_the_same_invoice_is_the_same_bytes(renderer: Renderer) -> None:
    of = sold(line())
    first = await renderer.render(invoice_content(of), created_at=_ISSUED)
    await renderer.render(invoice_content(sold(line("Other"))), created_at=_ISSUED)
    # Also by a renderer that has rendered nothing before.
    assert await renderer.render(invoice_content(of), created_at=_ISSUED) == first
    assert await TypstRenderer().render(invoice_content(of), created_at=_ISSUED) == first
    facts = PdfReader(io.BytesIO(first)).metadata
    assert facts is not None
    assert (facts.title, facts.author, facts.creation_date) == ("Invoice 2026-000001", "Example Ltd", _ISSUED)


@pytest.mark.parametrize(("count", "pages"), [(1, 1), (41, 2), (250, 6)])
async def test_every_line_is_printed_under_a_head_and_the_totals_stand_on_the_last_page(
    renderer: Renderer, count: int, pages: int
) -> None:
    texts = await _pages(renderer, sold(*(line(f"Row no. {number:03}.", 100) for number in range(count))))
    assert len(texts) == pages
    everything = "\n".join(texts)
    assert [f"Row no. {number:03}." in everything for number in range(count)] == [True] * count
    assert ["Description" in text for text in texts] == [True] * pages
    assert ["Total" in text for text in texts] == [False] * (pages - 1) + [True]
    assert [f"{number} / {pages}" in text for number, text in enumerate(texts, 1)] == [True] * pages


async def test_where_to_transfer_to_is_printed_as_it_is_and_the_same_each_time(renderer: Renderer) -> None:
    to_bank = (("bank_name", "#strong[Bank] & Sons"), ("account_number", "000123454321"))
    of = dataclasses.replace(sold(line()), pay_to=to_bank)
    [text] = await _pages(renderer, of)
    for said in ("Pay by bank transfer", "#strong[Bank] & Sons", "000123454321", "Reference"):
        assert said in text
    first = await renderer.render(invoice_content(of), created_at=_ISSUED)
    assert await TypstRenderer().render(invoice_content(of), created_at=_ISSUED) == first


async def test_several_rates_stand_one_below_the_other(renderer: Renderer) -> None:
    fee, book = line("Fee", 10_000), line("Book", 2_000)
    local = Rate("Sales tax", Decimal("8.875"), country="US", region="NY")
    taxes = (
        TaxStatement(VAT, 10_000, 1_900, lines={fee.id: 1_900}),
        TaxStatement(local, 2_000, 178, lines={book.id: 178}),
    )
    [text] = await _pages(renderer, sold(fee, book, taxes=taxes))
    assert "VAT DE 19% on $100.00" in text
    assert "Sales tax US-NY 8.875% on $20.00" in text
    # 120.00 + 19.00 + 1.78.
    assert "$140.78" in text


@pytest.mark.parametrize("name", ["株式会社 東京", "北京有限公司", "주식회사 서울", "Ωμέγα", "Ромашка", "Łódź & Søn"])
async def test_names_of_many_scripts_are_printed(renderer: Renderer, name: str) -> None:
    [text] = await _pages(renderer, sold(line(), to=customer(name, "en")))
    assert name in text


@pytest.mark.parametrize(
    ("name", "font"),
    [("شركة النور", "NotoSansArabic"), ("חברת אור", "NotoSansHebrew"), ("株式会社", "NotoSansCJKjp")],
)
async def test_letters_of_a_script_are_taken_from_its_font(renderer: Renderer, name: str, font: str) -> None:
    file = await renderer.render(invoice_content(sold(line(), to=customer(name, "ar"))), created_at=_ISSUED)
    assert _fonts(file) == {"NotoSans", font}
    latin = await renderer.render(invoice_content(sold(line(), to=customer("Ada", "ar"))), created_at=_ISSUED)
    assert _fonts(latin) == {"NotoSans"}


def _fonts(file: bytes) -> set[str]:
    """Return the families that a file holds letters of: /BaseFont /ABCDEF+NotoSans-Bold."""
    reader = PdfReader(io.BytesIO(file))
    found = re.findall(r"/[A-Z]{6}\+(\w+)", repr([reader.get_object(each) for each in range(1, _objects(reader))]))
    return set(found)


def _objects(reader: PdfReader) -> int:
    return int(str(reader.trailer["/Size"]))


async def test_what_people_write_is_never_read_as_markup(renderer: Renderer) -> None:
    written = '#strong[x] $1$ *b* _i_ `c` <l> @r \\ "q" // c #read("/etc/passwd") {{'
    [text] = await _pages(renderer, sold(line(written), to=customer(written)))
    joined = "".join(text.split())
    assert joined.count("".join(written.split())) == 2


@pytest.mark.parametrize("process", ["api.app", "workers.registry"])
def test_no_process_loads_pages_or_languages_before_its_first_document(process: str) -> None:
    code = f"import sys, {process}; sys.exit(bool({{'typst', 'babel'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 -- our own interpreter
