"""What an event in quarantine was sent with is sealed for its row."""

from decimal import Decimal
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag

from domain.kernel.ids import NOBODY, CustomerId
from domain.usage.sealed import open_sent, seal
from domain.vault import Vault

_VAULT = Vault(b"\x01" * 32)
_ADA = CustomerId(UUID(int=1))
_EVENT, _OTHER = UUID(int=2), UUID(int=3)
_WRAPPED = _VAULT.new_wrapped_key(str(_ADA))
_KEYS = {_ADA: _VAULT.unwrap(str(_ADA), _WRAPPED)}
_SENT = '{"size":0.30,"who":"ada@example.com"}'


def test_properties_open_as_they_were_sent_and_nothing_of_them_can_be_read() -> None:
    sealed = seal(_VAULT, _KEYS, _ADA, _EVENT, _SENT)
    assert b"ada@example.com" not in sealed
    opened = open_sent(_VAULT, _ADA, _EVENT, plain=None, sealed=sealed, key=_WRAPPED, is_erased=False)
    assert opened == {"size": Decimal("0.30"), "who": "ada@example.com"}


def test_those_of_nobody_are_under_the_key_of_the_system() -> None:
    sealed = seal(_VAULT, _KEYS, NOBODY, _EVENT, _SENT.encode())
    opened = open_sent(_VAULT, NOBODY, _EVENT, plain=None, sealed=sealed, key=None, is_erased=False)
    assert opened == {"size": Decimal("0.30"), "who": "ada@example.com"}


def test_in_another_row_they_do_not_open() -> None:
    sealed = seal(_VAULT, _KEYS, _ADA, _EVENT, _SENT)
    with pytest.raises(InvalidTag):
        open_sent(_VAULT, _ADA, _OTHER, plain=None, sealed=sealed, key=_WRAPPED, is_erased=False)


def test_what_an_earlier_version_kept_plain_is_read_as_it_is() -> None:
    assert open_sent(_VAULT, _ADA, _EVENT, plain='{"n": 1.50}', sealed=None, key=_WRAPPED, is_erased=False) == {
        "n": Decimal("1.50")
    }


def test_without_the_value_or_its_customers_key_there_is_none() -> None:
    sealed = seal(_VAULT, _KEYS, _ADA, _EVENT, _SENT)
    assert open_sent(_VAULT, _ADA, _EVENT, plain=None, sealed=None, key=_WRAPPED, is_erased=False) is None
    assert open_sent(_VAULT, _ADA, _EVENT, plain=None, sealed=sealed, key=None, is_erased=False) is None
    # Sealed when the key had gone already: nobody opens it, a key of the system's neither.
    orphan = seal(_VAULT, {}, _ADA, _EVENT, _SENT)
    assert open_sent(_VAULT, _ADA, _EVENT, plain=None, sealed=orphan, key=None, is_erased=False) is None


def test_a_customer_that_is_erased_has_none_whatever_is_still_to_be_cleared() -> None:
    sealed = seal(_VAULT, _KEYS, _ADA, _EVENT, _SENT)
    other = _VAULT.new_wrapped_key(str(_ADA))
    assert open_sent(_VAULT, _ADA, _EVENT, plain=None, sealed=sealed, key=other, is_erased=True) is None
    assert open_sent(_VAULT, _ADA, _EVENT, plain=_SENT, sealed=None, key=other, is_erased=True) is None
