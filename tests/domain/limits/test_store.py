"""What is granted to several customers is found by one statement, and again only where that may have changed."""

import asyncio
from decimal import Decimal

from domain.limits import service as limits
from tests.domain.limits.office import Office


async def test_overrides_of_customers_are_the_same_as_those_of_each(office: Office) -> None:
    ada, _ = await office.subscriber()
    ben, _ = await office.subscriber()
    cy, _ = await office.subscriber()
    await office.override(ada, "gemini_calls", 7)
    await office.override(ada, "tokens", None)
    await office.override(ben, "gemini_calls", 9)
    granted = limits.Granted()
    async with office.world.db.transaction() as tx:
        of_ada, of_cy, of_ben = await granted.load(tx, [(each.id, object()) for each in (ada, cy, ben)])
    assert {each.key: each.amount for each in of_ada} == {"gemini_calls": Decimal(7), "tokens": None}
    assert [(each.key, each.amount, each.reason) for each in of_ben] == [("gemini_calls", Decimal(9), "agreed")]
    assert of_cy == ()


async def test_overrides_are_read_again_only_of_customers_that_have_changed(office: Office) -> None:
    ada, _ = await office.subscriber()
    ben, _ = await office.subscriber()
    granted, before, after = limits.Granted(), object(), object()
    async with office.world.db.transaction() as tx:
        assert await granted.load(tx, [(ada.id, before), (ben.id, ben)]) == [(), ()]
    await office.override(ada, "gemini_calls", 7)
    await office.override(ben, "gemini_calls", 9)
    async with office.world.db.transaction() as tx:
        # Ben is not asked for again: nobody has said that anything changed.
        assert await granted.load(tx, [(ada.id, before), (ben.id, ben)]) == [(), ()]
        [[own], none] = await granted.load(tx, [(ada.id, after), (ben.id, ben)])
    assert (own.amount, none) == (Decimal(7), ())


async def test_what_others_make_room_for_meanwhile_is_answered_all_the_same(office: Office) -> None:
    ada, _ = await office.subscriber()
    ben, _ = await office.subscriber()
    cy, _ = await office.subscriber()
    await office.override(ada, "gemini_calls", 7)
    granted, known = limits.Granted(most=1), object()
    db = office.world.db
    async with db.transaction() as one, db.transaction() as two:
        await granted.load(one, [(ada.id, known)])
        [[own], none], [other] = await asyncio.gather(
            granted.load(one, [(ada.id, known), (ben.id, object())]), granted.load(two, [(cy.id, object())])
        )
    assert (own.amount, none, other) == (Decimal(7), (), ())
