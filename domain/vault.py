"""The encryption of personal values: the master key, the keys that it wraps, and what is derived from it."""

import hashlib
import hmac
import os
from collections.abc import Sequence
from dataclasses import field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.kernel.values import dataclass

_NONCE_BYTES = 12
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class DataKey:
    """An encryption key, unwrapped: a customer's or the system's. Deleting its wrapped form erases all it sealed.

    `others` open what they sealed, and seal nothing.
    """

    id: str
    secret: bytes = field(repr=False)
    others: tuple[bytes, ...] = field(default=(), repr=False)


class Vault:
    """Seals personal values with AES-256-GCM. The master key wraps data keys and never seals a value itself.

    What is sealed under other master keys opens too, so that the key can be changed while processes run.
    """

    def __init__(self, master: bytes, *others: bytes) -> None:
        self._masters = (master, *(other for other in others if other != master))
        assert all(len(each) == _KEY_BYTES for each in self._masters), "a master key has 32 bytes"
        self._lookups = [_derived(each, b"lookup") for each in self._masters]
        secret, *before = (_derived(each, b"system") for each in self._masters)
        self.system = DataKey("system", secret, tuple(before))

    def new_wrapped_key(self, key_id: str) -> bytes:
        """Make a random data key, wrapped for storage."""
        return _sealed(self._masters[0], key_id.encode(), AESGCM.generate_key(256))

    def unwrap(self, key_id: str, wrapped: bytes) -> DataKey:
        """Open a stored data key. A master key that is not given or a moved row raises InvalidTag."""
        return DataKey(key_id, _opened(self._masters, key_id.encode(), wrapped)[0])

    def rewrapped(self, key_id: str, wrapped: bytes) -> bytes | None:
        """Wrap a stored data key anew under the master key; None where it is under that already. Raises InvalidTag."""
        secret, used = _opened(self._masters, key_id.encode(), wrapped)
        return None if used == 0 else _sealed(self._masters[0], key_id.encode(), secret)

    @staticmethod
    def seal(key: DataKey, where: str, value: str | bytes) -> bytes:
        """Encrypt a value for one place ("table:column:row"): moved elsewhere, it does not open."""
        plain = value.encode() if isinstance(value, str) else value
        return _sealed(key.secret, f"{key.id}:{where}".encode(), plain)

    @staticmethod
    def open(key: DataKey, where: str, sealed: bytes) -> bytes:
        """Decrypt what `seal` made for the same key and place; anything else raises InvalidTag."""
        return _opened((key.secret, *key.others), f"{key.id}:{where}".encode(), sealed)[0]

    def resealed(self, where: str, sealed: bytes) -> bytes | None:
        """Seal a value of the system's anew; None where it is under the present master key. Raises InvalidTag."""
        plain, used = _opened((self.system.secret, *self.system.others), f"{self.system.id}:{where}".encode(), sealed)
        return None if used == 0 else self.seal(self.system, where, plain)

    def lookup_hash(self, what: str, value: str) -> bytes:
        """Return a keyed hash by which a sealed value can be found: equal values of one kind have equal hashes."""
        return self.lookup_hashes(what, value)[0]

    def lookup_hashes(self, what: str, value: str) -> list[bytes]:
        """Return the hashes that a value may be stored with, under each master key; the first is the present one."""
        text = f"{what}:{value}".encode()
        return [hmac.new(each, text, hashlib.sha256).digest() for each in self._lookups]


def _derived(master: bytes, purpose: bytes) -> bytes:
    return hashlib.blake2b(purpose, key=master, digest_size=_KEY_BYTES).digest()


def _sealed(key: bytes, place: bytes, plain: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, place)


def _opened(keys: Sequence[bytes], place: bytes, sealed: bytes) -> tuple[bytes, int]:
    """Return what was sealed, and which of the keys did it. Raises InvalidTag where it was none."""
    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    for used, key in enumerate(keys):
        try:
            return AESGCM(key).decrypt(nonce, rest, place), used
        except InvalidTag:
            continue
    raise InvalidTag
