"""API keys as values: their form, and what is refused."""

from dataclasses import replace

import pytest

from domain.access import credentials
from domain.access.credentials import ApiKey, CredentialsRejected, KeyRefused
from domain.kernel.call import Environment
from domain.kernel.ids import CustomerId, KeyId
from tests import make

_CUSTOMER = CustomerId(make.new_id())
_KEY = ApiKey(
    id=KeyId(make.new_id()),
    environment=Environment.TEST,
    name="importer",
    prefix="tg_test_AAAAAAAA",
    scopes=frozenset(("usage:write",)),
    product="llm",
    customer_id=None,
    source="importer",
    created_at=make.at("2026-01-15"),
    expires_at=make.at("2026-02-15"),
    revoked_at=None,
    created_by="staff:ada",
)


def test_a_secret_has_256_bits_and_names_its_environment() -> None:
    # 32 zero bytes are 43 letters A: 256 bits in sixths are 42 and two thirds.
    secret = credentials.new_secret(Environment.LIVE, bytes(32))
    assert secret == "tg_live_" + "A" * 43
    assert credentials.is_secret(secret)
    assert credentials.secret_environment(secret) is Environment.LIVE
    assert credentials.visible_prefix(secret) == "tg_live_AAAAAAAA"


@pytest.mark.parametrize(
    "text",
    ["", "tg_live_", "tg_prod_" + "A" * 43, "tg_live_" + "A" * 42, "tg_live_" + "A" * 44, "tg_test_" + "A" * 42 + "\n"],
)
def test_another_text_is_no_secret(text: str) -> None:
    assert not credentials.is_secret(text)


def test_the_hash_depends_on_the_pepper() -> None:
    secret = credentials.new_secret(Environment.LIVE, bytes(32))
    hashes = {credentials.hash_secret(secret, pepper) for pepper in (b"a" * 32, b"b" * 32)}
    assert [len(each) for each in hashes] == [32, 32]


def test_what_a_credential_is_remembered_by_depends_on_the_pepper_and_is_not_what_is_stored() -> None:
    secret, peppers = credentials.new_secret(Environment.LIVE, bytes(32)), (b"a" * 32, b"b" * 32)
    hashes = {credentials.remembered_as(secret, credentials.memory_key(pepper)) for pepper in peppers}
    assert [len(each) for each in hashes] == [32, 32]
    assert hashes.isdisjoint(credentials.hash_secret(secret, pepper) for pepper in peppers)


def test_a_sound_key_is_accepted() -> None:
    credentials.check_key(_KEY)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (replace(_KEY, name=""), "name"),
        (replace(_KEY, name="a" * 101), "name"),
        (replace(_KEY, name="a\x00"), "name"),
        (replace(_KEY, scopes=frozenset()), "at least one"),
        (replace(_KEY, scopes=frozenset(("usage:delete",))), "unknown or not for keys"),
        (replace(_KEY, scopes=frozenset(("key:write",))), "unknown or not for keys"),
        (replace(_KEY, scopes=frozenset(("clock:write",)), customer_id=_CUSTOMER), "beyond the customer"),
        (replace(_KEY, scopes=frozenset(("gateway",))), "gateway key is bound to one customer"),
        (replace(_KEY, product=None), "names its product"),
        (replace(_KEY, product="The LLM"), "such as llm"),
        (replace(_KEY, source=""), "source"),
        (replace(_KEY, expires_at=_KEY.created_at), "expired already"),
    ],
)
def test_a_key_that_could_do_harm_is_refused(bad: ApiKey, reason: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        credentials.check_key(bad)
    assert reason in refused.value.message


def test_a_key_speaks_for_its_product_its_environment_and_its_scopes() -> None:
    principal = credentials.principal_of(replace(_KEY, customer_id=_CUSTOMER), make.at("2026-02-01"))
    assert (principal.kind, principal.environment, principal.customer_id) == ("key", Environment.TEST, _CUSTOMER)
    assert (principal.product, principal.source) == ("llm", "importer")
    assert principal.permissions == {"usage:write"}
    assert principal.expires_at == make.at("2026-02-15")


@pytest.mark.parametrize(
    ("key", "at", "accepted"),
    [
        (_KEY, "2026-02-14T23:59:59.999999", True),
        (_KEY, "2026-02-15", False),
        (replace(_KEY, revoked_at=make.at("2026-01-20")), "2026-01-19T23:59:59.999999", True),
        (replace(_KEY, revoked_at=make.at("2026-01-20")), "2026-01-20", False),
        (replace(_KEY, expires_at=None), "2099-01-01", True),
    ],
)
def test_a_key_is_refused_from_the_instant_of_its_end(key: ApiKey, at: str, accepted: bool) -> None:
    if accepted:
        assert credentials.principal_of(key, make.at(at)).id.startswith("key_")
    else:
        with pytest.raises(CredentialsRejected):
            credentials.principal_of(key, make.at(at))
