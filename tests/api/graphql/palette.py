"""Small types for tests of what is picked and written: an enumeration, and an object with a null among its fields."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import strawberry


@strawberry.enum
class Colour(StrEnum):
    """A colour."""

    RED = "red"
    DARK_BLUE = "dark_blue"


@strawberry.type
class Part:
    """A part."""

    amount: Decimal
    state: Colour
    at: datetime | None = None
