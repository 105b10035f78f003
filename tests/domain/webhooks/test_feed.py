"""Whoever asks for events gets all of them, in order, and only those it may see."""

import pytest

from domain.access.roles import Permission
from domain.db import Database
from domain.kernel.call import Environment, Forbidden
from domain.webhooks.feed import service
from tests import make
from tests.domain.webhooks.merchant import Merchant


async def _happened(db: Database) -> Merchant:
    """Publish five events of two test customers."""
    merchant = Merchant(db)
    ada, bob = await merchant.customer(), await merchant.customer()
    await merchant.happens(ada, "invoice_opened", "payment_failed")
    await merchant.happens(bob, "invoice_opened")
    await merchant.happens(ada, "payment_succeeded", "invoice_paid")
    await merchant.publish()
    return merchant


async def test_pages_follow_one_another_without_a_gap(db: Database) -> None:
    merchant = await _happened(db)
    async with db.transaction() as tx:
        first = await service.read_feed(tx, merchant.call, limit=2)
        second = await service.read_feed(tx, merchant.call, after=first.after, limit=2)
        third = await service.read_feed(tx, merchant.call, after=second.after, limit=2)
        end = await service.read_feed(tx, merchant.call, after=third.after, limit=2)
    pages = [[each.number for each in page.events] for page in (first, second, third, end)]
    assert pages == [[1, 2], [3, 4], [5], []]
    assert [page.has_more for page in (first, second, third, end)] == [True, True, False, False]
    assert end.after == 5


async def test_some_types_are_read_with_a_mark_behind_all_that_was_looked_at(db: Database) -> None:
    merchant = await _happened(db)
    async with db.transaction() as tx:
        page = await service.read_feed(tx, merchant.call, patterns=["invoice.*"], limit=2)
        rest = await service.read_feed(tx, merchant.call, after=page.after, patterns=["invoice.opened"])
    assert ([each.number for each in page.events], page.after, page.has_more) == ([1, 3], 3, True)
    assert (rest.events, rest.after, rest.has_more) == ([], 5, False)


async def test_what_is_not_numbered_yet_is_not_shown(db: Database) -> None:
    merchant = await _happened(db)
    await merchant.happens(await merchant.customer(), "invoice_opened")
    async with db.transaction() as tx:
        assert len((await service.read_feed(tx, merchant.call)).events) == 5


async def test_one_customer_sees_its_own_and_an_environment_its_own(db: Database) -> None:
    merchant = await _happened(db)
    liv = await merchant.customer(environment=Environment.LIVE)
    await merchant.happens(liv, "invoice_opened")
    await merchant.publish()
    own = make.call(by=make.principal(Permission.FEED_READ, customer_id=liv))
    test = make.call(by=make.principal(Permission.FEED_READ, environment=Environment.TEST))
    async with db.transaction() as tx:
        assert [each.number for each in (await service.read_feed(tx, own)).events] == [6]
        assert len((await service.read_feed(tx, test)).events) == 5
        assert (await service.read_feed(tx, test, environment=Environment.LIVE)).events == ()
        live = await service.read_feed(tx, merchant.call, environment=Environment.LIVE)
        assert [each.number for each in live.events] == [6]
        with pytest.raises(Forbidden):
            await service.read_feed(tx, make.call(by=make.principal()))
