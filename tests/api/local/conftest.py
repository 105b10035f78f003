"""Fixtures for tests that start servers as a person would."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.local.home import PASSABLE_DIRECTORY


@pytest.fixture
def passable() -> Iterator[Path]:
    """Make a directory that PostgreSQL's account can enter, also when the tests run as root."""
    place = Path(tempfile.mkdtemp(prefix="tollgate-"))
    place.chmod(PASSABLE_DIRECTORY)
    yield place
    shutil.rmtree(place, ignore_errors=True)
