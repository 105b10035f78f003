"""Keep one-off charges, carry those that wait to a draft, and note on which invoice they stand.

What a draft has of them is decided under the customer's derivation lock, as everything else about it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.customer import Customer
from domain.customers.erasing import service as erasing
from domain.db import Tx
from domain.invoices import one_off_charge as rules
from domain.invoices.derivation import Changes
from domain.invoices.holding import store as holding
from domain.invoices.invoice import Invoice, Line
from domain.invoices.one_off import store
from domain.invoices.one_off_charge import (
    NOUN,
    PENDING_MAX,
    ChargeInvoiced,
    ChargeNotFound,
    ChargeState,
    ChargeWish,
    OneOffCharge,
    TooManyCharges,
)
from domain.journal import service as journal
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, OneOffChargeId, decode, encode

# A page of 100, and the row that tells whether another follows.
PAGE_MAX = 101


async def add(tx: Tx, call: Call, now: datetime, customer: Customer, wish: ChargeWish) -> OneOffCharge:
    """Keep a charge, which waits for the next invoice of its customer and currency; the caller has checked its right.

    Not repeatable: each call is another charge. Raises CustomerErased, ChargeMalformed, ChargeNegative,
    CurrencyUnknown, TooManyCharges.
    """
    checked = rules.check(wish, now)
    await erasing.hold_present(tx, customer.id)
    await holding.hold_derivation(tx, customer.id)
    if len(await store.list_pending(tx, customer.id, wish.currency, limit=PENDING_MAX)) >= PENDING_MAX:
        raise TooManyCharges(PENDING_MAX)
    new = OneOffCharge(customer.id, OneOffChargeId(call.new_id()), checked, now)
    await store.insert_charge(tx, new)
    text = f"One-off charge of {new.amount.major} {new.amount.currency} made"
    await _tell(tx, call, now, new, "one_off_charge_created", text=text)
    return new


async def cancel(
    tx: Tx, call: Call, now: datetime, customer_id: CustomerId, charge_id: OneOffChargeId
) -> tuple[OneOffCharge, OneOffCharge]:
    """Take back a charge that waits; return it as it was and as it is. The caller takes its line off the draft.

    Safe to repeat. Raises ChargeNotFound, and ChargeInvoiced once it stands on an opened invoice.
    """
    await holding.hold_derivation(tx, customer_id)
    before = await store.find_charge(tx, customer_id, charge_id, lock=True)
    if before is None:
        raise ChargeNotFound
    if before.state is ChargeState.INVOICED:
        raise ChargeInvoiced
    if before.state is ChargeState.CANCELED:
        return before, before
    after = replace(before, state=ChargeState.CANCELED, canceled_at=now)
    await store.save_state(tx, after)
    text = f"One-off charge of {after.amount.major} {after.amount.currency} canceled"
    await _tell(tx, call, now, after, "one_off_charge_canceled", text=text)
    return before, after


async def needed(tx: Tx, now: datetime, customer: Customer, currency: str, draft: Invoice | None) -> Changes:
    """Return what makes a draft right about the charges that wait by business time `now`."""
    pending = await store.list_pending(tx, customer.id, currency, limit=PENDING_MAX)
    drafted = await store.list_drafted_lines(tx, draft) if draft is not None else []
    return rules.changes_of(pending, drafted, now, customer.zone)


async def take(tx: Tx, draft: Invoice, lines: Sequence[Line]) -> None:
    """Note that the charges on a draft stand on it for good, as it is opened or kept as a statement."""
    if ids := _ids_on(lines):
        await store.take(tx, draft, ids)


async def release(tx: Tx, void: Invoice) -> None:
    """Let the charges of an invoice that is taken back wait for the next one. Safe to repeat."""
    await store.release(tx, void.customer_id, void.id)


async def charges_on(tx: Tx, invoice: Invoice, lines: Sequence[Line]) -> dict[str, OneOffCharge]:
    """Return the charges whose lines are among an invoice's, by the origin of the line."""
    ids = _ids_on(lines)
    found = await store.charges_by_id(tx, invoice.customer_id, ids) if ids else {}
    return {charge.origin: charge for charge in found.values()}


async def load_charge(tx: Tx, call: Call, customer_id: CustomerId, charge_id: OneOffChargeId) -> OneOffCharge:
    """Return one charge to staff. Raises Forbidden, CustomerNotFound, ChargeNotFound."""
    call.need(Permission.CHARGE_READ)
    await customers.load_customer(tx, call, customer_id)
    found = await store.find_charge(tx, customer_id, charge_id)
    if found is None:
        raise ChargeNotFound
    return found


async def list_charges(
    tx: Tx,
    call: Call,
    customer_id: CustomerId,
    *,
    state: ChargeState | None = None,
    before: OneOffChargeId | None = None,
    limit: int = PAGE_MAX,
) -> list[OneOffCharge]:
    """Return a customer's charges to staff, newest first, at most PAGE_MAX; `before` is the id of the last one seen.

    Raises Forbidden, CustomerNotFound.
    """
    call.need(Permission.CHARGE_READ)
    await customers.load_customer(tx, call, customer_id)
    return await store.list_charges(tx, customer_id, state=state, before=before, limit=max(0, min(limit, PAGE_MAX)))


def _ids_on(lines: Sequence[Line]) -> list[OneOffChargeId]:
    return [OneOffChargeId(decode(NOUN, origin)) for origin in sorted(rules.origins_of(lines))]


async def _tell(tx: Tx, call: Call, now: datetime, about: OneOffCharge, event_type: str, *, text: str) -> None:
    """Append the billing event and the audit entry; neither repeats what staff wrote into the description."""
    own = about.wish.subscription_id
    facts = {"one_off_charge_id": about.origin, "subscription_id": encode("subscription", own) if own else None}
    await journal.tell(
        tx, call, now, about.customer_id, event_type, description=text, amount=about.amount, metadata=facts
    )
    amounts = {"amount_minor": about.amount.minor, "currency": about.amount.currency}
    await journal.audit(tx, call, event_type, about.origin, customer_id=about.customer_id, facts=facts | amounts)
