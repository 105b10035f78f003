"""A combination of the values of dimensions: what totals are kept apart by."""

from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import msgspec

# The combination that stands for the sum over all: also that of a meter without dimensions.
ALL = bytes(16)
_COMBINATIONS_MAX = 65_536


class Combination(NamedTuple):
    """One combination of dimensions. `key` is the id of the meter, or of the set of meters, and the combination's."""

    id: bytes
    key: bytes
    names: tuple[str, ...]
    values: tuple[str, ...]


@lru_cache(maxsize=_COMBINATIONS_MAX)
def combination_of(owner: bytes, names: tuple[str, ...], values: tuple[str, ...]) -> Combination:
    """Name a combination by a digest of its dimensions' names and values; ALL where there are none.

    `owner` is the id of the meter, or of the set of meters, that has these dimensions.
    """
    written = msgspec.json.encode(dict(zip(names, values, strict=True)), order="sorted")
    found = blake2b(written, digest_size=16).digest() if names else ALL
    return Combination(found, owner + found, names, values)
