"""Find tables by name: export and erasure go through all of them, as the inventory says."""

import importlib
import pkgutil
from functools import cache

import sqlalchemy as sa

import domain
from domain import db


def table_of(name: str) -> sa.Table:
    """Return a table of any slice."""
    _load()
    return db.metadata.tables[name]


@cache
def _load() -> None:
    """Import every store: a process has imported those that it needs, and the inventory names all."""
    for found in pkgutil.walk_packages(domain.__path__, "domain."):
        if found.name.endswith(".store"):
            importlib.import_module(found.name)
