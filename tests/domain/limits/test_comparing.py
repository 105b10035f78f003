"""What a limit asks of usage is worked out once, and holds for whatever was used."""

from decimal import Decimal

from msgspec.structs import replace

from domain.db import Database
from domain.limits.comparing import terms_of
from tests.domain.usage.world import event, open_world


async def test_the_terms_of_limits_hold_for_whatever_is_used_later(db: Database) -> None:
    async with open_world(db) as world:
        ada, subscription = await world.subscriber("llm", "pro")
        await world.record(event(ada))
        usage = await world.usage(subscription)
    terms = {each.entitlement.key: each for each in terms_of(world.catalogue, subscription, {})}
    tokens = world.meter("llm", "tokens")
    more = replace(usage.meters[tokens], quantity=Decimal(9_000), combinations=())
    later = replace(usage, meters={**usage.meters, tokens: more})
    # 1,000 in and 100 out, and then what was said instead.
    assert [terms["tokens"].status(each).used for each in (usage, later)] == [Decimal(1_100), Decimal(9_000)]
    assert [key for key in terms if terms[key].status(later) != terms[key].status(usage)] == ["tokens"]
