"""What is granted to several customers is found by one statement."""

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
    async with office.world.db.transaction() as tx:
        found = await limits.overrides_of_customers(tx, [ada.id, cy.id, ben.id])
        none = await limits.overrides_of_customers(tx, [cy.id])
    assert {each.key: each.amount for each in found[ada.id]} == {"gemini_calls": Decimal(7), "tokens": None}
    assert [(each.key, each.amount, each.reason) for each in found[ben.id]] == [("gemini_calls", Decimal(9), "agreed")]
    assert set(found) == {ada.id, ben.id}
    assert not none
