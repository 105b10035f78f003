"""A renderer in memory, for tests: the file is the content itself, and each is remembered."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any


class MemoryRenderer:
    """Writes content as JSON."""

    def __init__(self) -> None:
        """Have rendered nothing yet."""
        self.rendered: list[Mapping[str, Any]] = []

    async def render(self, content: Mapping[str, Any], *, created_at: datetime) -> bytes:
        """Return the content with its instant."""
        self.rendered.append(content)
        return json.dumps({**content, "created_at": created_at.isoformat()}, ensure_ascii=False).encode()
