"""Read what hangs on the master key in the order of its table's key, and write it as it is under the present one.

Like `clearing` this writes to tables of other slices: sealed values and hashes alone, and never what they hold.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag

from domain import db
from domain.alerts.mailing.store import STOP_HASHED, mail_stop
from domain.customers.customer import fold_email
from domain.customers.store import EMAIL_HASHED, customer, data_key
from domain.kernel.ids import NOBODY
from domain.kernel.values import dataclass
from domain.usage.store import quarantined_event
from domain.vault import Vault
from domain.webhooks.delivering.store import webhook_delivery
from domain.webhooks.endpoints.store import webhook_secret
from domain.webhooks.store import inbox_event

# A row's value as it is under the present master key, None where it is that already. Raises InvalidTag.
Anew = Callable[[Vault, Mapping[str, Any]], bytes | None]


@dataclass(frozen=True, slots=True)
class Hanging:
    """A column whose values hang on the master key; `where` narrows its rows, `beside` are others that are needed."""

    column: sa.Column[Any]
    anew: Anew
    where: sa.ColumnElement[bool] | None = None
    source: sa.FromClause | None = None
    beside: tuple[sa.Column[Any], ...] = ()

    @property
    def name(self) -> str:
        """Its table and its name."""
        return f"{self.column.table.name}.{self.column.name}"


@dataclass(frozen=True, slots=True)
class Page:
    """How many rows were looked at, sealed anew, left as they were and not opened; None in `after` with the last."""

    seen: int
    anew: int
    left: int
    lost: int
    after: tuple[Any, ...] | None


def _wrapped(column: str) -> Anew:
    return lambda vault, row: vault.rewrapped(str(row["customer_id"]), row[column])


def _of_system(column: str, place: str) -> Anew:
    return lambda vault, row: vault.resealed(place.format(**row), row[column])


def _address(vault: Vault, row: Mapping[str, Any]) -> str:
    """Return the address that a customer is found by; of one that is erased, nothing that anybody has."""
    if row["erased_at"] is not None:
        return str(row["customer_id"])
    key = vault.unwrap(str(row["customer_id"]), row["wrapped"])
    return fold_email(vault.open(key, f"customer:email:{row['customer_id']}", row["email"]).decode())


def _email_hash(vault: Vault, row: Mapping[str, Any]) -> bytes | None:
    present = vault.lookup_hash(EMAIL_HASHED, fold_email(_address(vault, row)))
    return None if row["email_hash"] == present else present


def _stop_hash(vault: Vault, row: Mapping[str, Any]) -> bytes | None:
    """Return the hash of the present address; one of an address of before cannot be made anew, and stays as it is."""
    present, *others = vault.lookup_hashes(STOP_HASHED, _address(vault, row))
    return present if row["address_hash"] in others else None


_KEYED = (customer.c.email, data_key.c.wrapped, data_key.c.erased_at)
_STOPPED = mail_stop.join(customer, customer.c.customer_id == mail_stop.c.customer_id)

# Everything that hangs on the master key, but for digests of questions about taxes: those are asked again.
HANGING = (
    Hanging(data_key.c.wrapped, _wrapped("wrapped")),
    Hanging(data_key.c.retained, _wrapped("retained"), data_key.c.retained.is_not(None)),
    Hanging(
        customer.c.email_hash,
        _email_hash,
        source=customer.join(data_key, data_key.c.customer_id == customer.c.customer_id),
        beside=_KEYED,
    ),
    Hanging(
        mail_stop.c.address_hash,
        _stop_hash,
        source=_STOPPED.join(data_key, data_key.c.customer_id == customer.c.customer_id),
        beside=_KEYED,
    ),
    Hanging(webhook_secret.c.sealed, _of_system("sealed", "webhook_secret:sealed:{endpoint_id}:{id}")),
    Hanging(
        quarantined_event.c.sealed,
        _of_system("sealed", "quarantined_event:sealed:{customer_id}:{id}"),
        sa.and_(quarantined_event.c.customer_id == NOBODY, quarantined_event.c.sealed.is_not(None)),
    ),
    Hanging(inbox_event.c.payload, _of_system("payload", "inbox_event:payload:{provider}:{event_id}")),
    Hanging(webhook_delivery.c.excerpt, _of_system("excerpt", "webhook_delivery:excerpt:{id}")),
)


async def rekey_page(tx: db.Tx, of: Hanging, *, after: tuple[Any, ...] | None, limit: int, is_looked_at: bool) -> Page:
    """Look at the next rows of a column, and write what is not under the present master key as it is under it.

    `is_looked_at`: write nothing. A row that somebody else writes meanwhile is left, as it is written.
    """
    keys = list(of.column.table.primary_key.columns)
    found = [row._asdict() for row in await tx.rows(_page(of, keys, after, limit))]
    changed, lost = [], 0
    for row in found:
        try:
            value = of.anew(tx.vault, row)
        except InvalidTag:
            lost += 1
            continue
        if value is not None:
            changed.append((*(row[key.name] for key in keys), row[of.column.name], value))
    anew = await _save(tx, of, keys, changed) if changed and not is_looked_at else 0
    last = tuple(found[-1][key.name] for key in keys) if len(found) == limit else None
    return Page(len(found), anew, len(changed) - anew, lost, last)


def _page(
    of: Hanging, keys: Sequence[sa.Column[Any]], after: tuple[Any, ...] | None, limit: int
) -> sa.Select[tuple[Any, ...]]:
    source = of.column.table if of.source is None else of.source
    columns = dict.fromkeys((*keys, of.column, *of.beside))
    statement = sa.select(*columns).select_from(source).order_by(*keys).limit(limit)
    if of.where is not None:
        statement = statement.where(of.where)
    if after is not None:
        seen = [sa.literal(value, key.type) for value, key in zip(after, keys, strict=True)]
        statement = statement.where(sa.tuple_(*keys) > sa.tuple_(*seen))
    return statement


async def _save(tx: db.Tx, of: Hanging, keys: Sequence[sa.Column[Any]], changed: Sequence[tuple[Any, ...]]) -> int:
    """Write over values that are still as they were read; return how many."""
    names = [f"key_{number}" for number in range(len(keys))]
    columns = [sa.column(name, key.type) for name, key in zip(names, keys, strict=True)]
    sealed = [sa.column(name, sa.LargeBinary) for name in ("before", "anew")]
    given = sa.values(*columns, *sealed, name="given").data(list(changed))
    same = [key == given.c[name] for key, name in zip(keys, names, strict=True)]
    own = of.column
    statement = sa.update(own.table).where(*same, own == given.c.before).values({own: given.c.anew})
    return (await tx.execute(statement)).rowcount
