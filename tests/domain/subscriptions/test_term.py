"""Which terms of a subscription are charged."""

from dataclasses import replace

from domain.subscriptions.term import charged, term_of
from tests import make
from tests.domain.subscriptions import examples


def test_a_pending_term_stands_for_the_one_that_starts_with_it() -> None:
    first = term_of(examples.value(), make.at("2026-04-01"))
    second = replace(first, starts_at=make.at("2026-04-16"), quantity=2)
    waits = replace(second, quantity=3, pending=True)
    assert charged([first, second, waits]) == [first, waits]
    assert charged([first, second]) == [first, second]
    assert charged([]) == []
