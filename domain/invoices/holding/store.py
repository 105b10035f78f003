"""Let what derives, opens or takes back a customer's invoices run one after the other."""

import sqlalchemy as sa

from domain import db
from domain.kernel.ids import CustomerId
from domain.statement import Statement

_DERIVATION_LOCK = 0x1A701CE
_LOCK_KEYS = 2**32  # the second key of an advisory lock is a signed integer of 32 bits
_HOLD = Statement(sa.select(sa.func.pg_advisory_xact_lock(_DERIVATION_LOCK, sa.bindparam("key", type_=sa.Integer))))


async def hold_derivation(tx: db.Tx, customer_id: CustomerId) -> None:
    """Derive alone for a customer until the transaction ends: two at once would both see the same gap."""
    key = customer_id.int % _LOCK_KEYS - _LOCK_KEYS // 2
    await _HOLD.rows(tx, key=key)
