"""Pages by typst, with the fonts of this installation only, so that a document is the same on every machine.

The `typst` package is imported at the first document: a process that renders none never pays for it. Latin, Greek and
Cyrillic letters, Arabic, Hebrew, and Chinese, Japanese and Korean come from the Noto fonts, which are packages too.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typst

# In this order: a letter is taken from the first that has it.
FONTS = {
    "Noto Sans": "fontpkg_noto_sans",
    "Noto Sans Arabic": "fontpkg_noto_sans_arabic",
    "Noto Sans Hebrew": "pylopdf_fonts_he",
    "Noto Sans CJK JP": "noto_cjk_sans_jp_regular",
}


class TypstRenderer:
    """Renders one document at a time, in a thread of its own."""

    def __init__(self) -> None:
        """Load nothing yet."""
        self._made: typst.Compiler | None = None
        self._alone = asyncio.Lock()

    async def render(self, content: Mapping[str, Any], *, created_at: datetime) -> bytes:
        """Return the PDF file. Its only instant is `created_at`, and its identifier follows from its content."""
        async with self._alone:
            return await asyncio.to_thread(self._render, dict(content), int(created_at.timestamp()))

    def _render(self, content: dict[str, Any], timestamp: int) -> bytes:
        data = json.dumps({**content, "fonts": list(FONTS)}, ensure_ascii=False)
        file = self._compiler().compile(format="pdf", sys_inputs={"content": data}, timestamp=timestamp)
        assert isinstance(file, bytes), "a PDF is one file"
        return file

    def _compiler(self) -> "typst.Compiler":
        if self._made is None:
            import typst  # noqa: PLC0415 -- see the module's docstring

            fonts = typst.Fonts(
                include_system_fonts=False,
                include_embedded_fonts=True,
                font_paths=[_folder(package) for package in FONTS.values()],
            )
            template = _folder("domain.invoices.documents") / "document.typ"
            self._made = typst.Compiler(template, root=template.parent, font_paths=fonts, ignore_system_fonts=True)
        return self._made


def _folder(package: str) -> Path:
    """Return where a package is installed, without running it."""
    spec = find_spec(package)
    assert spec is not None, f"{package} is among the requirements"
    assert spec.origin is not None, f"{package} has files"
    return Path(spec.origin).parent
