"""What events in quarantine were sent with: kept sealed, since whatever could not be counted may hold anything.

It is sealed under the key of the customer whose row it is, and under the system's where that is nobody's.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from domain.kernel.ids import NOBODY, CustomerId
from domain.vault import DataKey, Vault

_EXACT_JSON = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)


def seal(
    vault: Vault, keys: Mapping[CustomerId, DataKey], customer_id: CustomerId, event_id: UUID, properties: str | bytes
) -> bytes:
    """Seal the JSON of an event's properties for its row. Of a customer without a key nobody can open it any more."""
    return vault.seal(keys.get(customer_id, vault.system), _place(customer_id, event_id), properties)


def open_sent(
    vault: Vault,
    customer_id: CustomerId,
    event_id: UUID,
    *,
    plain: str | None,
    sealed: bytes | None,
    key: bytes | None,
    is_erased: bool,
) -> dict[str, Any] | None:
    """Return an event's properties as they were sent; None where they were erased, or their customer was.

    `plain` is JSON that an earlier version has kept so, `key` the customer's key as it is stored. A customer that is
    erased has another key than what is still to be cleared was sealed with.
    """
    if is_erased:
        return None
    if plain is not None:
        return _EXACT_JSON.decode(plain)
    if sealed is None or (key is None and customer_id != NOBODY):
        return None
    opener = vault.system if key is None else vault.unwrap(str(customer_id), key)
    return _EXACT_JSON.decode(vault.open(opener, _place(customer_id, event_id), sealed))


def _place(customer_id: CustomerId, event_id: UUID) -> str:
    """Name the place of sealed properties: moved to another row they do not open."""
    return f"quarantined_event:sealed:{customer_id}:{event_id}"
