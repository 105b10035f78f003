"""The vault: sealed values open only where they were sealed."""

import pytest
from cryptography.exceptions import InvalidTag

from domain.db import DataKey, Vault


def _key(vault: Vault) -> DataKey:
    return vault.unwrap("cus", vault.new_wrapped_key("cus"))


def test_a_sealed_value_opens_in_its_place_only(vault: Vault) -> None:
    key = _key(vault)
    sealed = vault.seal(key, "customer:name:1", "Ada")
    assert b"Ada" not in sealed
    assert vault.open(key, "customer:name:1", sealed) == b"Ada"
    for other_key, place in ((key, "customer:name:2"), (_key(vault), "customer:name:1")):
        with pytest.raises(InvalidTag):
            vault.open(other_key, place, sealed)


def test_a_data_key_opens_under_its_id_and_master_key_only(vault: Vault) -> None:
    wrapped = vault.new_wrapped_key("cus")
    with pytest.raises(InvalidTag):
        vault.unwrap("another", wrapped)
    with pytest.raises(InvalidTag):
        Vault(b"\x02" * 32).unwrap("cus", wrapped)


def test_equal_values_of_one_kind_have_equal_hashes(vault: Vault) -> None:
    assert vault.lookup_hash("email", "a@b.c") == vault.lookup_hash("email", "a@b.c")
    assert vault.lookup_hash("email", "a@b.c") != vault.lookup_hash("name", "a@b.c")
    assert vault.lookup_hash("email", "a@b.c") != Vault(b"\x02" * 32).lookup_hash("email", "a@b.c")
