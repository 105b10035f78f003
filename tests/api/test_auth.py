"""Who asks: API keys and tokens, as the edges hand them over."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

import api.auth
from api.app import serving_of
from api.auth import CACHE_FOR, TOKENS_AT_ONCE, Authenticator, bearer
from domain.access import credentials, service, tokens
from domain.access.credentials import ApiKey, CredentialsMissing, CredentialsRejected, TokensUnverifiable
from domain.access.roles import system_principal
from domain.access.service import Hs256Verifier
from domain.customers import service as customers
from domain.customers.service import CustomerNotFound
from domain.db import Database
from domain.kernel.call import Call, Environment, Forbidden, Principal
from domain.kernel.ids import encode
from tests import make
from tests.world import runtime_of

_PEPPER = b"p" * 32
_SECRET = "development-secret-of-32-or-more"
_CALL = make.call(by=system_principal("test"))
_AT = _CALL.at


@pytest.fixture
def authenticator(db: Database) -> Authenticator:
    """Check keys of the test's database and tokens of development."""
    return Authenticator(db, _PEPPER, Hs256Verifier(_SECRET, "tollgate"))


async def _key(db: Database, environment: Environment = Environment.TEST) -> tuple[ApiKey, str]:
    async with db.transaction() as tx:
        return await service.create_key(
            tx,
            _CALL,
            name="importer",
            environment=environment,
            scopes=["usage:write", "customer:read"],
            product_key="llm",
            expires_at=_AT + timedelta(days=30),
            pepper=_PEPPER,
        )


def _token(**claims: str | int) -> str:
    now = int(_AT.timestamp())
    base = {"iss": "tollgate", "aud": "tollgate", "sub": "ada", "iat": now, "exp": now + 60}
    return tokens.sign_hs256(_SECRET, {**base, **claims})


@pytest.mark.parametrize(
    ("header", "credential"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("Bearer", None),
        ("Bearer  ", None),
        ("abc", None),
        ("", None),
        (None, None),
    ],
)
def test_a_credential_is_taken_from_a_bearer_header_only(header: str | None, credential: str | None) -> None:
    assert bearer(header) == credential


@pytest.mark.parametrize("credential", [None, ""])
async def test_without_a_credential_the_answer_says_how_to_send_one(
    authenticator: Authenticator, credential: str | None
) -> None:
    with pytest.raises(CredentialsMissing, match="Authorization: Bearer"):
        await authenticator.authenticate(credential, _AT)


async def test_a_key_and_a_token_both_say_who_asks(db: Database, authenticator: Authenticator) -> None:
    key, secret = await _key(db)
    principal = await authenticator.authenticate(secret, _AT)
    assert (principal.id, principal.product) == (encode("key", key.id), "llm")
    principal = await authenticator.authenticate(_token(kind="staff", role="finance"), _AT)
    assert (principal.id, principal.role) == ("staff:ada", "finance")


@pytest.mark.parametrize(
    "credential",
    [
        "tg_test_" + "A" * 43,
        "tg_test_short",
        "x" * 10_000,
        "tg_test_\x00",
        "é",
        "\ud800",
        "a.b.c",
        _token(kind="staff", role="admin")[:-2],
    ],
)
async def test_what_is_not_ours_is_refused_without_repeating_it(authenticator: Authenticator, credential: str) -> None:
    with pytest.raises(CredentialsRejected) as refused:
        await authenticator.authenticate(credential, _AT)
    assert str(refused.value) == (
        "credentials_rejected: This API key or token is not valid, or not any more. Use a current one."
    )


async def test_a_revoked_key_is_refused_at_most_ten_seconds_later(db: Database, authenticator: Authenticator) -> None:
    key, secret = await _key(db)
    await authenticator.authenticate(secret, _AT)
    async with db.transaction() as tx:
        await service.revoke_key(tx, _CALL, key.id)
    remembered = await authenticator.authenticate(secret, _AT + CACHE_FOR - timedelta(microseconds=1))
    assert remembered.id == encode("key", key.id)
    with pytest.raises(CredentialsRejected):
        await authenticator.authenticate(secret, _AT + CACHE_FOR)


async def test_which_of_many_credentials_have_ended_is_found_out_whatever_is_remembered(
    db: Database, authenticator: Authenticator
) -> None:
    (gone, revoked), (_, kept) = await _key(db), await _key(db)
    token, unknown = _token(kind="staff", role="viewer"), "tg_test_" + "A" * 43
    for credential in (revoked, kept, token):
        await authenticator.authenticate(credential, _AT)
    assert await authenticator.ended([revoked, kept, token, unknown], _AT) == {unknown}
    async with db.transaction() as tx:
        await service.revoke_key(tx, _CALL, gone.id)
    later = _AT + timedelta(seconds=1)
    assert await authenticator.ended([revoked, kept, token], later) == {revoked}
    # From now on nobody here takes it for good, and the other was found good at this instant.
    assert authenticator.remembered(revoked, later) is None
    assert authenticator.remembered(kept, later + CACHE_FOR - timedelta(microseconds=1)) is not None
    # The token ends after 60 s, the other key after 30 days.
    assert await authenticator.ended([token], _AT + timedelta(seconds=60)) == {token}
    assert await authenticator.ended([kept, token], _AT + timedelta(days=30)) == {kept, token}
    many = {_token(kind="staff", role="viewer", sub=f"user {number}") for number in range(TOKENS_AT_ONCE + 1)}
    assert await authenticator.ended(many, _AT) == set()
    assert await authenticator.ended(many, _AT + timedelta(seconds=60)) == many


async def test_a_token_that_cannot_be_checked_now_has_not_ended(db: Database) -> None:
    class Away:
        async def verify(self, _token: str, _at: datetime) -> Principal:
            raise TokensUnverifiable

    assert await Authenticator(db, _PEPPER, Away()).ended([_token()], _AT) == frozenset()


async def test_a_remembered_key_expires_at_its_exact_instant(db: Database, authenticator: Authenticator) -> None:
    _, secret = await _key(db)
    end = _AT + timedelta(days=30)
    assert (await authenticator.authenticate(secret, end - timedelta(microseconds=1))).role == "key"
    with pytest.raises(CredentialsRejected):
        await authenticator.authenticate(secret, end)


async def test_what_is_remembered_is_bounded_and_holds_no_secret(db: Database, authenticator: Authenticator) -> None:
    _, first = await _key(db)
    _, second = await _key(db)
    assert api.auth.CACHE_ENTRIES_MAX == 10_000
    # Fill the memory to its bound with entries that no key has.
    principal = await authenticator.authenticate(first, _AT)
    for number in range(api.auth.CACHE_ENTRIES_MAX - 1):
        authenticator._known[number.to_bytes(32, "big")] = (_AT, principal)
    await authenticator.authenticate(second, _AT)
    assert len(authenticator._known) == 10_000
    assert first.encode() not in authenticator._known
    memory_key = credentials.memory_key(_PEPPER)
    assert credentials.remembered_as(second, memory_key) in authenticator._known
    assert credentials.remembered_as(first, memory_key) not in authenticator._known
    assert (await authenticator.authenticate(first, _AT)) == principal


async def test_a_token_is_checked_against_the_instant_of_the_request(authenticator: Authenticator) -> None:
    token = _token(kind="staff", role="viewer")
    assert (await authenticator.authenticate(token, _AT + timedelta(seconds=59))).may("customer:read")
    with pytest.raises(CredentialsRejected):
        await authenticator.authenticate(token, _AT + timedelta(seconds=60))


async def test_a_viewer_may_read_its_customer_and_change_nothing(db: Database, authenticator: Authenticator) -> None:
    async with db.transaction() as tx:
        own, other = [
            await customers.create_customer(
                tx, _CALL, environment=Environment.TEST, name=name, email="a@example.com", zone="UTC"
            )
            for name in ("own", "other")
        ]
    token = _token(kind="member", role="viewer", customer=encode("customer", own.id), env="test")
    principal = await authenticator.authenticate(token, _AT)
    viewer = Call(make.new_id(), _AT, principal, make.new_id)
    for permission in ("subscription:write", "payment:write", "customer:write", "usage:write", "audit:read"):
        with pytest.raises(Forbidden):
            viewer.need(permission)
    async with db.transaction() as tx:
        assert (await customers.get_customer(tx, viewer, own.id)).name == "own"
        with pytest.raises(CustomerNotFound):
            await customers.get_customer(tx, viewer, other.id)


@pytest.mark.parametrize(
    ("key_of", "sees"), [(Environment.TEST, ["test"]), (Environment.LIVE, ["live"])], ids=["test", "live"]
)
async def test_a_key_sees_the_customers_of_its_own_environment_only(
    db: Database, authenticator: Authenticator, key_of: Environment, sees: list[str]
) -> None:
    async with db.transaction() as tx:
        for environment in Environment:
            await customers.create_customer(
                tx, _CALL, environment=environment, name=environment.value, email="a@example.com", zone="UTC"
            )
    _, secret = await _key(db, key_of)
    principal = await authenticator.authenticate(secret, _AT)
    async with db.transaction() as tx:
        found = await customers.list_customers(tx, Call(make.new_id(), _AT, principal, make.new_id))
    assert [customer.name for customer in found] == sees


async def test_a_process_takes_keys_that_were_made_under_the_peppers_of_before(db: Database) -> None:
    key, secret = await _key(db)
    runtime = runtime_of(db)
    changed = replace(runtime.settings, key_pepper="n" * 32, key_peppers_before=(_PEPPER.decode(),))
    process = serving_of(replace(runtime, settings=changed)).authenticator
    assert (await process.authenticate(secret, _AT)).id == encode("key", key.id)
    assert await process.ended([secret], _AT) == frozenset()
    without = serving_of(replace(runtime, settings=replace(changed, key_peppers_before=()))).authenticator
    with pytest.raises(CredentialsRejected):
        await without.authenticate(secret, _AT)
    assert await without.ended([secret], _AT) == {secret}
    await runtime.close()
