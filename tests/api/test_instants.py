"""Instants that are typed at the terminal."""

import pytest
import typer

from api.instants import instant_of
from tests import make


def test_an_instant_is_the_same_whatever_its_offset() -> None:
    assert instant_of("2027-01-31T02:00:00+02:00") == instant_of("2027-01-31T00:00:00Z") == make.at("2027-01-31")


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "2027-01-31", "2027-01-31T00:00:00", "1899-12-31T23:59:59Z", "3000-01-01T00:00:00Z"),
        *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:00:00-14:00"),
    ],
)
def test_what_is_no_instant_of_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="ISO 8601 with an offset"):
        instant_of(text)
