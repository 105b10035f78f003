"""What writes pages."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol


class Renderer(Protocol):
    """Turns a document's content into a PDF file."""

    async def render(self, content: Mapping[str, Any], *, created_at: datetime) -> bytes:
        """Return the file: the same bytes for the same content and instant, on any machine.

        `content` is data of texts and lists only; no text in it is ever read as markup.
        """
        ...
