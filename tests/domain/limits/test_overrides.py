"""The bound of a customer's overrides holds however many are granted at once."""

import asyncio
from decimal import Decimal

import pytest
import sqlalchemy as sa

from domain.access.roles import Permission
from domain.customers.customer import CustomerErased
from domain.customers.erasing import service as erasing
from domain.db import Database, Tx
from domain.kernel.ids import CustomerId
from domain.limits import service, store
from domain.limits.override import OVERRIDES_MAX, Override, TooManyOverrides, Wish
from tests import make
from tests.domain.limits.office import Office
from tests.waiting import until

_FILL = sa.text("""
    INSERT INTO limit_override (customer_id, id, product_id, key, amount, from_at, until_at, reason, set_by, created_at)
    SELECT customer_id, gen_random_uuid(), product_id, key, amount, from_at, until_at, reason, set_by, created_at
    FROM limit_override, generate_series(1, :more) WHERE customer_id = :customer
""")
_WAITING = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def grant(office: Office, tx: Tx, customer_id: CustomerId) -> Override:
    """Grant an override."""
    wish = Wish("llm", "tokens", Decimal(1_000), "agreed")
    call = office.call(make.principal(Permission.LIMIT_WRITE))
    return await service.set_override(tx, call, office.world.catalogue, customer_id, wish)


async def granted(office: Office, customer_id: CustomerId) -> Override:
    """Grant an override, in a unit of work of its own."""
    async with office.world.db.transaction() as tx:
        return await grant(office, tx, customer_id)


async def count(db: Database, customer_id: CustomerId) -> int:
    """Count a customer's overrides."""
    async with db.transaction() as tx:
        return await store.count_overrides(tx, customer_id)


async def waiting(db: Database) -> int:
    """Count the connections that wait for a lock; within one transaction the answer would stay the same."""
    async with db.transaction() as tx:
        return int(await tx.value(_WAITING))


async def test_of_two_grants_at_once_only_one_takes_the_last_place(office: Office) -> None:
    db = office.world.db
    ada, _ = await office.world.subscriber("llm", "pro")
    await granted(office, ada.id)
    async with db.transaction() as tx:
        await tx.execute(_FILL.bindparams(more=OVERRIDES_MAX - 2, customer=ada.id))
    assert await count(db, ada.id) == OVERRIDES_MAX - 1

    async with db.transaction() as holder:
        # Both come to the customer's row and wait there: neither has counted before it has the row alone.
        await holder.execute(sa.text("SELECT 1 FROM customer WHERE customer_id = :c FOR UPDATE").bindparams(c=ada.id))
        both = [asyncio.create_task(granted(office, ada.id)) for _ in range(2)]

        async def both_wait() -> bool:
            return await waiting(db) == len(both)

        await until(both_wait, "two grants that wait for the row")
        assert not any(each.done() for each in both)
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(each).__name__ for each in outcomes) == ["Override", "TooManyOverrides"]
    assert await count(db, ada.id) == OVERRIDES_MAX
    with pytest.raises(TooManyOverrides):
        await granted(office, ada.id)
    assert await count(db, ada.id) == OVERRIDES_MAX


async def test_an_erasure_waits_for_a_grant_and_none_follows_it(office: Office) -> None:
    db = office.world.db
    ada, _ = await office.world.subscriber("llm", "pro")
    await granted(office, ada.id)

    async def erase() -> None:
        async with db.transaction() as tx:
            assert await erasing.hold(tx, ada.id)
            await erasing.erase(tx, make.call(), ada, is_retained=False)

    async with db.transaction() as granting:
        await grant(office, granting, ada.id)
        erased = asyncio.create_task(erase())

        async def it_waits() -> bool:
            return await waiting(db) == 1

        await until(it_waits, "an erasure that waits for the grant")
        assert not erased.done()
    await erased
    with pytest.raises(CustomerErased):
        await granted(office, ada.id)
    assert await count(db, ada.id) == 2
