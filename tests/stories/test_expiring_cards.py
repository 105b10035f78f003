"""A card that expires: its owner is told once, a month ahead, and again only of a later expiry."""

import dataclasses

from domain.payments import service as payments
from tests.stories.owing import mail
from tests.world import World


async def test_the_owner_of_a_card_is_warned_once_in_the_month_of_its_expiry(world: World) -> None:
    # The cards of the gateway in memory expire in December 2030.
    ada = await world.customer(on="2030-10-31")
    await world.advance(to="2030-11-30T23:59")
    assert mail(world) == []
    await world.advance(to="2031-03-01")
    warned = ["Your payment method expires: Visa ending in 4242"]
    assert mail(world) == warned
    # Its bank renews it, to December 2031: that is another expiry.
    [known] = world.gateway.methods.values()
    world.gateway.methods[known.id] = dataclasses.replace(known, exp_year=2031)
    owner = await payments.record_from_gateway(world.runtime.db, world.gateway, world.call, known.id)
    assert owner == ada.id
    await world.advance(to="2032-03-01")
    assert mail(world) == warned * 2


async def test_a_card_that_was_removed_is_not_warned_of(world: World) -> None:
    await world.customer(on="2030-11-15")
    [known] = world.gateway.methods.values()
    world.gateway.detach(known.id)
    await payments.record_from_gateway(world.runtime.db, world.gateway, world.call, known.id)
    await world.advance(to="2031-02-01")
    assert mail(world) == []
