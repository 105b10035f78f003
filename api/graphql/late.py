"""The classes of the schema are finished late, like all others.

Strawberry makes each type and each input a dataclass by itself, and can be given no other maker. There are 400 of them,
of which a request uses a few, and the methods of all would be a twelfth of the start. So the one module of Strawberry
that makes classes finds our `dataclass` where it looks for the standard library's, before any type is made.
"""

import dataclasses
from types import SimpleNamespace

from strawberry.types import object_type

from domain.kernel import values


def finish_late() -> None:
    """Let Strawberry make its classes by `domain.kernel.values.dataclass`. Safe to repeat."""
    found = {**vars(dataclasses), "dataclass": values.dataclass}
    object_type.dataclasses = SimpleNamespace(**found)  # type: ignore[assignment, attr-defined]
