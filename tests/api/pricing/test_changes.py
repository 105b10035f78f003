"""Changing the provider price list, on real Postgres."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

import pytest
from strawberry import Schema

from api.auth import Authenticator
from api.context import Serving
from api.graphql.catalogue import CatalogueQuery
from api.graphql.context import Context
from api.graphql.prices import PriceMutation
from api.graphql.scalars import CONFIG
from api.pricing.changes import (
    MERCHANT,
    Diff,
    NothingToMarkUp,
    PricesOrMarkup,
    import_sets,
    list_all,
    set_merchant_prices,
    try_public,
    try_sets,
)
from domain.access.roles import Permission
from domain.access.service import Hs256Verifier
from domain.adapters.memory_wakeups import MemoryWakeups
from domain.db import Database
from domain.kernel.call import Call, Forbidden
from domain.plans import service as plans
from domain.plans.price_list import PriceInForce
from domain.plans.provider_price import PriceSet, ProviderPrice
from domain.usage.recording.service import Recorder
from tests import make

# The seed holds gemini-2.5-pro from 2020 on at 1.25 and 10.00 per million; the call comes on 15 January at 12:00.
_PRO = ("gemini", "gemini-2.5-pro")
_MILLION = Decimal(1_000_000)
_NOW, _LATER = make.at("2026-01-15T12:00"), make.at("2026-02-01")


def _set(model: tuple[str, str], amount: str, start: datetime, *, source: str = "list") -> PriceSet:
    return PriceSet(*model, start, None, source, (("input", Decimal(amount), _MILLION),))


class _Undo(Exception):
    """Rolls back."""


async def _seed(db: Database) -> None:
    async with db.transaction() as tx:
        await plans.seed_catalogue(tx, make.call("2026-01-01"))


async def _rows(db: Database, at: datetime | None = None) -> list[ProviderPrice]:
    async with db.transaction() as tx:
        return await list_all(tx, make.call(), provider="gemini", model="gemini-2.5-pro", at=at)


async def _try(db: Database, sets: Sequence[PriceSet]) -> Diff:
    with suppress(_Undo):
        async with db.transaction() as tx:
            found = await try_sets(tx, make.call(), sets)
            raise _Undo
    return found


def _amounts(rows: Sequence[ProviderPrice]) -> dict[str, Decimal]:
    return {row.pool: row.amount for row in rows}


async def test_a_trial_tells_what_an_import_does_and_changes_nothing(db: Database) -> None:
    await _seed(db)
    before = await _rows(db)
    sets = [
        _set(_PRO, "1.5", _LATER),
        _set(("gemini", "gemini-9"), "2", make.at("2025-06-01")),
        _set(_PRO, "1", make.at("2025-01-01")),
        _set(("nobody", "x"), "1", _LATER),
    ]
    found = await _try(db, sets)
    assert [(row.model, row.pool, row.amount) for row in found.added] == [
        ("gemini-2.5-pro", "input", Decimal("1.5")),
        ("gemini-9", "input", Decimal(2)),
    ]
    # Both open rows of the model end where its new set begins: a set is all there is of a model.
    assert sorted((row.pool, row.valid_to) for row in found.ended) == [("input", _LATER), ("output", _LATER)]
    assert [each.model for each, _ in found.refused] == ["gemini-2.5-pro", "x"]
    assert [why.code for _, why in found.refused] == ["price_in_force", "definition_refused"]
    assert await _rows(db) == before
    async with db.transaction() as tx:
        assert await import_sets(tx, make.call(), sets[:2]) == 2
    assert (await _try(db, sets[:2])).unchanged == 2
    assert (await _try(db, sets[:2])).added == ()


async def test_an_import_is_all_or_nothing(db: Database) -> None:
    await _seed(db)
    before = await _rows(db)
    sets = [_set(("gemini", "gemini-9"), "2", _LATER), _set(_PRO, "1.5", _LATER), _set(_PRO, "1", _NOW)]

    async def load() -> None:
        async with db.transaction() as tx:
            await import_sets(tx, make.call(), sets)

    with pytest.raises(PriceInForce):
        await load()
    assert await _rows(db) == before


async def test_a_merchants_prices_take_over_and_a_repetition_writes_nothing(db: Database) -> None:
    await _seed(db)
    for _ in range(2):
        async with db.transaction() as tx:
            found = await set_merchant_prices(
                tx,
                make.call(),
                provider="gemini",
                model="gemini-2.5-pro",
                valid_from=_LATER,
                prices=[("input", Decimal(2), _MILLION), ("output", Decimal(0), _MILLION)],
            )
        assert _amounts(found) == {"input": 2, "output": 0}
        assert {row.source for row in found} == {MERCHANT}
    assert _amounts(await _rows(db, make.at("2026-01-31T23:59"))) == {"input": Decimal("1.25"), "output": 10}


async def test_a_markup_is_taken_once_however_often_it_is_asked_for(db: Database) -> None:
    await _seed(db)
    for _ in range(2):
        async with db.transaction() as tx:
            found = await set_merchant_prices(
                tx,
                make.call(),
                provider="gemini",
                model="gemini-2.5-pro",
                valid_from=_LATER,
                markup=Decimal("1.15"),
            )
        # 1.25 x 1.15 = 1.4375 and 10 x 1.15 = 11.5
        assert _amounts(found) == {"input": Decimal("1.4375"), "output": Decimal("11.5")}
    assert len(await _rows(db)) == 4


async def test_a_markup_holds_for_long_calls_too(db: Database) -> None:
    await _seed(db)
    tiers = [("input", 200_000, Decimal("2.5"), _MILLION)]

    async def change(start: datetime, **given: Any) -> list[ProviderPrice]:
        async with db.transaction() as tx:
            return await set_merchant_prices(
                tx, make.call(), provider="gemini", model="gemini-2.5-pro", valid_from=start, **given
            )

    await change(_LATER, prices=[("input", Decimal("1.25"), _MILLION)], tiers=tiers)
    found = await change(make.at("2026-03-01"), markup=Decimal("1.2"))
    # 1.25 x 1.2 = 1.5 and 2.5 x 1.2 = 3
    assert [(row.above, row.amount) for row in found] == [(0, Decimal("1.5")), (200_000, Decimal(3))]


async def test_public_prices_of_long_calls_are_taken_where_the_merchant_has_no_own(db: Database) -> None:
    await _seed(db)
    pro = "gemini-2.5-pro"
    base = PriceSet("openai", "gpt-5.5", _LATER, None, "genai-prices 0, base rates", (("input", Decimal(5), _MILLION),))
    reader = make.call(by=make.principal(Permission.PRICE_READ))
    async with db.transaction() as tx:
        await import_sets(tx, make.call(), [base])
        since = make.at("2026-03-01")
        found = await try_public(tx, make.call(), since=since, provider="openai")
        assert {(row.model, row.source.split()[0]) for row in found.added} == {("gpt-5.5", "genai-prices")}
        rows = await list_all(tx, make.call(), provider="openai", model="gpt-5.5", at=since)
        again = await try_public(tx, make.call(), since=since, provider="openai")
        assert (again.added, again.ended, again.refused) == ((), (), ())
        # The merchant's own list of Pro stays, unless it is asked for.
        assert (await try_public(tx, make.call(), since=since, model=pro)).added == ()
        own = await try_public(tx, make.call(), provider="gemini", model=pro, with_own=True)
        with pytest.raises(Forbidden):
            await try_public(tx, reader, since=since, provider="openai")
    assert ("input", 272_000, Decimal(10)) in {(row.pool, row.above, row.amount) for row in rows}
    # The next full hour after the call.
    assert {row.valid_from for row in own.added} == {make.at("2026-01-15T13:00")}
    assert {(row.pool, row.above): row.amount for row in own.added} == {
        ("input", 0): Decimal("1.25"),
        ("input", 200_000): Decimal("2.5"),
        ("output", 0): Decimal(10),
        ("output", 200_000): Decimal(15),
        ("cache_read", 0): Decimal("0.125"),
        ("cache_read", 200_000): Decimal("0.25"),
    }


async def test_prices_are_refused_where_rows_were_in_force_and_where_there_is_nothing_to_mark_up(db: Database) -> None:
    await _seed(db)
    before = await _rows(db)

    async def change(call: Call, **given: Any) -> None:
        model = {"provider": "gemini", "model": "gemini-2.5-pro", "valid_from": _LATER}
        async with db.transaction() as tx:
            await set_merchant_prices(tx, call, **{**model, **given})

    row = ("input", Decimal(2), _MILLION)
    with pytest.raises(PriceInForce):
        await change(make.call(), valid_from=make.at("2026-01-15T11:00"), prices=[row])
    with pytest.raises(PricesOrMarkup):
        await change(make.call(), prices=[row], markup=Decimal(2))
    with pytest.raises(PricesOrMarkup):
        await change(make.call())
    with pytest.raises(PricesOrMarkup):
        await change(make.call(), markup=Decimal(0))
    with pytest.raises(NothingToMarkUp):
        await change(make.call(), model="gemini-9", markup=Decimal(2))
    with pytest.raises(Forbidden):
        await change(make.call(by=make.principal(Permission.PRICE_READ)), prices=[row])
    assert await _rows(db) == before


_DOCUMENT = """mutation($input: AddProviderPricesInput!) { addProviderPrices(input: $input) { __typename
    ... on ProviderPricesAdded { prices { model pool amount per source validFrom validTo above } }
    ... on Problem { code } } }"""


class _Runtime:
    """What a context needs of a runtime here."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def call(self, principal: Any) -> Call:
        """Start a call at the test's instant."""
        return make.call(by=principal)


async def test_staff_with_the_permission_add_prices_and_others_do_not(db: Database) -> None:
    await _seed(db)
    schema = Schema(query=CatalogueQuery, mutation=PriceMutation, config=CONFIG)
    serving = Serving(
        cast("Any", _Runtime(db)),
        Authenticator(db, b"p" * 32, Hs256Verifier("s" * 32, "tollgate")),
        Recorder(db, MemoryWakeups()),
    )

    async def add(permission: Permission, **given: Any) -> Any:
        model = {"provider": "gemini", "model": "gemini-2.5-pro", "validFrom": "2026-02-01T00:00:00Z"}
        context = Context(serving, make.principal(permission, Permission.PRICE_READ))
        answer = await schema.execute(_DOCUMENT, {"input": {**model, **given}}, context_value=context)
        assert answer.errors is None, answer.errors
        assert answer.data is not None
        return answer.data["addProviderPrices"]

    rows: list[dict[str, Any]] = [{"pool": "input", "amount": "2.50", "per": "1000000"}]
    rows.append({**rows[0], "amount": "5", "above": 200_000})
    assert (await add(Permission.JOB_WRITE, prices=rows))["__typename"] == "NotPermitted"
    assert len(await _rows(db)) == 2
    added = await add(Permission.PRICE_WRITE, prices=rows)
    expected: dict[str, Any] = {"model": "gemini-2.5-pro", "pool": "input", "amount": "2.5", "per": "1000000"}
    expected |= {"source": "merchant", "validFrom": "2026-02-01T00:00:00Z", "validTo": None}
    assert added == {
        "__typename": "ProviderPricesAdded",
        "prices": [{**expected, "above": 0}, {**expected, "amount": "5", "above": 200_000}],
    }
    taken = await add(Permission.PRICE_WRITE, prices=[{**rows[0], "amount": "3"}])
    assert taken == {"__typename": "Conflict", "code": "price_in_force"}
    odd = await add(Permission.PRICE_WRITE, prices=rows, validFrom="2026-03-01T00:30:00Z")
    assert odd == {"__typename": "InvalidInput", "code": "definition_refused"}
