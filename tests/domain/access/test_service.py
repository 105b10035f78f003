"""API keys on real Postgres."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from domain.access import service, store
from domain.access.credentials import ApiKey, CredentialsRejected, KeyRefused
from domain.access.roles import permissions_of, system_principal
from domain.access.service import KeyNotFound
from domain.db import Database, Tx
from domain.journal import store as journal
from domain.kernel.call import Call, Environment, Forbidden, PrincipalKind
from domain.kernel.ids import KeyId, encode
from tests import make

_PEPPER = b"p" * 32
_SECRET = "tg_test_" + "d" * 43


def _call(when: str = "2026-01-15T12:00") -> Call:
    return make.call(when, by=system_principal("test"))


async def _create(tx: Tx, call: Call, *, name: str = "importer") -> tuple[ApiKey, str]:
    return await service.create_key(
        tx,
        call,
        name=name,
        environment=Environment.TEST,
        scopes=["usage:write", "customer:read"],
        product_key="llm",
        expires_at=make.at("2026-02-15"),
        pepper=_PEPPER,
    )


async def _count(db: Database, table: str) -> int:
    async with db.transaction() as tx:
        return int(await tx.value(sa.select(sa.func.count()).select_from(sa.table(table))))


async def test_a_key_is_shown_once_and_speaks_for_its_product(db: Database) -> None:
    call = _call()
    async with db.transaction() as tx:
        key, secret = await _create(tx, call)
        principal = await service.authenticate_key(tx, call.at, secret, _PEPPER)
        entries = await journal.list_audit_entries(tx, scope=None, before=None, limit=10)
    assert principal.permissions == {"usage:write", "customer:read"}
    assert (principal.id, principal.product, principal.source) == (encode("key", key.id), "llm", "importer")
    assert principal.environment is Environment.TEST
    assert [(entry.action, entry.about) for entry in entries] == [("create_key", encode("key", key.id))]
    assert secret[16:] not in str(entries)


async def test_a_key_made_under_an_earlier_pepper_stays_good_while_that_is_named(db: Database) -> None:
    call, new = _call(), b"n" * 32
    async with db.transaction() as tx:
        key, secret = await _create(tx, call)
        principal = await service.authenticate_key(tx, call.at, secret, new, [_PEPPER])
        assert principal.id == encode("key", key.id)
        assert await service.authenticate_keys(tx, call.at, [secret], new, [_PEPPER]) == {secret: principal}
        for before in ([], [b"o" * 32]):
            with pytest.raises(CredentialsRejected):
                await service.authenticate_key(tx, call.at, secret, new, before)
            assert await service.authenticate_keys(tx, call.at, [secret], new, before) == {}
        with pytest.raises(CredentialsRejected):
            await service.authenticate_key(tx, make.at("2026-02-15"), secret, new, [_PEPPER])


async def test_the_secret_is_nowhere_in_the_row(db: Database) -> None:
    async with db.transaction() as tx:
        key, secret = await _create(tx, _call())
        row = (await tx.rows(sa.text("SELECT api_key::text AS row, hash FROM api_key")))[0]
    assert secret.startswith(key.prefix)
    assert secret not in row.row
    assert secret[16:] not in row.row
    assert secret.encode() not in row.hash


async def test_a_foreign_an_unknown_and_a_malformed_key_get_the_same_answer(db: Database) -> None:
    call = _call()
    async with db.transaction() as tx:
        _, secret = await _create(tx, call)
        for wrong, pepper in (
            (secret, b"q" * 32),  # made by another deployment
            (secret[:-1] + ("A" if secret[-1] != "A" else "B"), _PEPPER),
            (secret.replace("tg_test_", "tg_live_"), _PEPPER),
            ("tg_test_", _PEPPER),
            ("\x00", _PEPPER),
        ):
            with pytest.raises(CredentialsRejected) as refused:
                await service.authenticate_key(tx, call.at, wrong, pepper)
            assert refused.value.facts == {}


async def test_an_expired_key_is_refused(db: Database) -> None:
    async with db.transaction() as tx:
        _, secret = await _create(tx, _call())
        end = make.at("2026-02-15")
        assert (await service.authenticate_key(tx, end - timedelta(microseconds=1), secret, _PEPPER)).role == "key"
        with pytest.raises(CredentialsRejected):
            await service.authenticate_key(tx, end, secret, _PEPPER)


async def test_a_revoked_key_is_refused_and_the_first_revocation_stands(db: Database) -> None:
    first, later = _call("2026-01-16"), _call("2026-01-17")
    async with db.transaction() as tx:
        key, secret = await _create(tx, _call())
        assert (await service.revoke_key(tx, first, key.id)).revoked_at == first.at
        assert (await service.revoke_key(tx, later, key.id)).revoked_at == first.at
        with pytest.raises(CredentialsRejected):
            await service.authenticate_key(tx, first.at, secret, _PEPPER)
        entries = await journal.list_audit_entries(tx, scope=None, before=None, limit=10)
        assert [entry.action for entry in entries] == ["revoke_key", "create_key"]


async def test_many_keys_are_authenticated_by_one_statement_and_those_that_ended_are_left_out(db: Database) -> None:
    call = _call()
    async with db.transaction() as tx:
        (kept, good), (gone, bad) = await _create(tx, call), await _create(tx, call)
        await service.revoke_key(tx, call, gone.id)
        unknown = "tg_test_" + "A" * 43
        found = await service.authenticate_keys(tx, call.at, [good, bad, unknown, "no key", good], _PEPPER)
    assert {secret: principal.id for secret, principal in found.items()} == {good: encode("key", kept.id)}


async def test_an_unknown_key_cannot_be_revoked(db: Database) -> None:
    async with db.transaction() as tx:
        with pytest.raises(KeyNotFound):
            await service.revoke_key(tx, _call(), KeyId(make.new_id()))


@pytest.mark.parametrize("role", ["finance", "support", "viewer"])
async def test_only_admins_make_and_revoke_keys(db: Database, role: str) -> None:
    async with db.transaction() as tx:
        key, _ = await _create(tx, _call())
    clerk = make.call(by=make.principal(*permissions_of(PrincipalKind.STAFF, role)))
    with pytest.raises(Forbidden):
        async with db.transaction() as tx:
            await _create(tx, clerk)
    with pytest.raises(Forbidden):
        async with db.transaction() as tx:
            await service.revoke_key(tx, clerk, key.id)
    async with db.transaction() as tx:
        assert [each.revoked_at for each in await store.list_keys(tx, environment=None, after=None, limit=9)] == [None]
    assert await _count(db, "audit_entry") == 1


async def test_a_refused_key_leaves_nothing_behind(db: Database) -> None:
    call = _call()
    with pytest.raises(KeyRefused, match="names its product"):
        async with db.transaction() as tx:
            await service.create_key(
                tx, call, name="k", environment=Environment.LIVE, scopes=["usage:write"], pepper=_PEPPER
            )
    other = make.call(by=make.principal("key:write", environment=Environment.LIVE))
    with pytest.raises(KeyRefused, match="other environment"):
        async with db.transaction() as tx:
            await _create(tx, other)
    assert (await _count(db, "api_key"), await _count(db, "audit_entry")) == (0, 0)


async def test_a_seeded_key_is_stored_once(db: Database) -> None:
    for when in ("2026-01-15", "2026-01-16"):
        async with db.transaction() as tx:
            key = await service.ensure_key(
                tx, _call(when), secret=_SECRET, name="demo", scopes=["usage:write"], product_key="llm", pepper=_PEPPER
            )
            assert (key.environment, key.created_at) == (Environment.TEST, make.at("2026-01-15"))
            assert (await service.authenticate_key(tx, make.at(when), _SECRET, _PEPPER)).product == "llm"
    assert (await _count(db, "api_key"), await _count(db, "audit_entry")) == (1, 1)


async def test_a_seeded_secret_of_another_form_is_refused(db: Database) -> None:
    with pytest.raises(KeyRefused):
        async with db.transaction() as tx:
            await service.ensure_key(tx, _call(), secret="demo", name="demo", scopes=["price:read"], pepper=_PEPPER)
    assert await _count(db, "api_key") == 0


async def test_keys_are_listed_newest_first_in_pages_of_one_environment(db: Database) -> None:
    live = make.call(by=make.principal("key:read", environment=Environment.LIVE))
    async with db.transaction() as tx:
        made = [(await _create(tx, _call(), name=name))[0] for name in ("first", "second", "third")]
        page = await service.list_keys(tx, _call(), limit=2)
        assert [key.name for key in page] == ["third", "second"]
        assert page[0] == made[2]
        assert [key.name for key in await service.list_keys(tx, _call(), after=page[-1].id)] == ["first"]
        assert await service.list_keys(tx, live) == []
        with pytest.raises(Forbidden):
            await service.list_keys(tx, make.call(by=make.principal()))


async def test_the_database_itself_refuses_a_usage_key_without_a_product(db: Database) -> None:
    async with db.transaction() as tx:
        await _create(tx, _call())
    with pytest.raises(DBAPIError, match="api_key_product_check"):
        async with db.transaction() as tx:
            await tx.execute(sa.text("UPDATE api_key SET product_key = NULL"))
