"""Apply what a customer holds to an invoice, in the order of the rules: credit from credit notes first.

Whoever calls holds the customer's derivation lock, so that the same credit is not spent twice. Each movement is a row
with a ledger entry.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from domain.db import Tx
from domain.invoices.balances import store
from domain.invoices.invoice import Invoice
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, encode
from domain.kernel.money import Money
from domain.ledger import account
from domain.ledger import service as ledger

LOOKUP_MAX = 1_000


async def available(tx: Tx, draft: Invoice) -> int:
    """Return how much of a draft's total the customer's balances could pay, in minor units."""
    credit = await store.sum_credit(tx, customer_id=draft.customer_id, currency=draft.currency)
    return min(credit, max(draft.total.minor, 0))


async def spend(tx: Tx, call: Call, now: datetime, draft: Invoice, amount_minor: int) -> int:
    """Pay up to this much of a draft that is being opened from the customer's balances; return what was paid."""
    if not amount_minor:
        return 0
    amount = Money(amount_minor, draft.currency)
    await move(tx, call, now, draft, -amount, reason="applied", about=draft.id)
    await ledger.post(
        tx,
        call,
        now,
        customer_id=draft.customer_id,
        environment=draft.environment,
        reason="credit_applied",
        about=encode("invoice", draft.id),
        lines=account.applied(amount),
    )
    return amount_minor


async def give_back(tx: Tx, call: Call, now: datetime, void: Invoice) -> None:
    """Return to the balances what they had paid of an invoice that is void. The entry of the void is its ledger entry.

    Safe to repeat.
    """
    if void.applied_minor:
        await move(tx, call, now, void, void.applied, reason="returned", about=void.id)


async def move(tx: Tx, call: Call, now: datetime, owner: Invoice, amount: Money, *, reason: str, about: UUID) -> None:
    """Append a movement of the credit of an invoice's customer: above zero is more credit. The caller posts it."""
    await store.insert_credit(
        tx,
        {
            "customer_id": owner.customer_id,
            "id": call.new_id(),
            "environment": owner.environment,
            "currency": amount.currency,
            "amount_minor": amount.minor,
            "reason": reason,
            "about": about,
            "at": now,
        },
    )


async def credit_by_customer_ids(tx: Tx, ids: Collection[CustomerId]) -> dict[CustomerId, list[Money]]:
    """Return the credit of at most LOOKUP_MAX customers by currency, where there is any: one statement, for loaders."""
    assert len(ids) <= LOOKUP_MAX, "look-ups are bounded"
    return await store.credit_by_customer_ids(tx, ids)
