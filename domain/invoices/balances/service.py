"""Apply what a customer holds to an invoice, in the order of the rules: the customer's credit, then prepaid wallets.

Credit comes from credit notes, from invoices below zero, and from money that no invoice could take.

Whoever calls holds the customer's derivation lock, so that the same credit is not spent twice; wallets are held by
their own rows. Each movement is a row with a ledger entry.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.credits import purse
from domain.credits.purse import Draw, Payable
from domain.credits.wallet import PayableKind
from domain.credits.wallets.drawing import service as drawing
from domain.credits.wallets.drawing.service import GivenBack
from domain.credits.wallets.keeping import service as keeping
from domain.customers.store import Sight
from domain.db import Tx
from domain.invoices import store as invoice_store
from domain.invoices.balances import store
from domain.invoices.discounting.store import plans_by_price
from domain.invoices.invoice import Invoice, Line, LineKind
from domain.kernel.call import Call, Environment
from domain.kernel.ids import CustomerId, ProductId, SegmentId, encode
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.ledger import account
from domain.ledger import service as ledger

LOOKUP_MAX = 1_000
_KINDS = {
    LineKind.FEE: PayableKind.FEE,
    LineKind.PRORATION: PayableKind.FEE,
    LineKind.USAGE: PayableKind.USAGE,
    LineKind.CAP: PayableKind.USAGE,
}


class Owned(Protocol):
    """A row whose customer's credit moves, such as an invoice."""

    @property
    def customer_id(self) -> CustomerId:
        """Whose it is."""
        ...

    @property
    def environment(self) -> Environment:
        """In which books it stands."""
        ...


@dataclass(frozen=True, slots=True)
class Spending:
    """What a customer's balances pay of a draft: their credit, in minor units, and draws on wallets in order."""

    credit_minor: int = 0
    draws: tuple[Draw, ...] = ()

    @property
    def total_minor(self) -> int:
        """All of it."""
        return self.credit_minor + sum(each.amount_minor for each in self.draws)


async def plan(tx: Tx, call: Call, now: datetime, draft: Invoice) -> Spending:
    """Say what the customer's balances would pay of a draft whose lines are added up; wallets are held from here on."""
    credit = await store.sum_credit(tx, customer_id=draft.customer_id, currency=draft.currency)
    credit = min(credit, max(draft.total.minor, 0))
    purses = await keeping.hold_purses(tx, call, now, draft.customer_id, draft.currency)
    if draft.total.minor <= credit or not any(each.balance_minor for each in purses):
        return Spending(credit)
    lines = await invoice_store.lines_by_invoice_ids(tx, [draft.id], sight=Sight(draft.customer_id))
    payables = await payables_of(tx, lines[draft.id])
    return Spending(credit, purse.draws(purses, payables, paid_minor=credit))


async def payables_of(tx: Tx, lines: Sequence[Line]) -> list[Payable]:
    """Return what lines ask of wallets, tax included, with the product and kind that a wallet may be restricted to."""
    ids = {line.identity.price_id for line in lines if line.identity.price_id is not None}
    products = {price_id: sold[0] for price_id, sold in (await plans_by_price(tx, ids)).items()} if ids else {}
    by_segment: Mapping[SegmentId | None, ProductId] = {
        line.identity.segment_id: products[line.identity.price_id]
        for line in lines
        if line.identity.price_id in products and line.identity.segment_id is not None
    }
    return [
        Payable(
            (line.net + line.tax).minor,
            _KINDS.get(line.identity.kind),
            products.get(line.identity.price_id)
            if line.identity.price_id
            else by_segment.get(line.identity.segment_id),
        )
        for line in lines
    ]


async def spend(tx: Tx, call: Call, now: datetime, draft: Invoice, spending: Spending) -> int:
    """Pay a draft that is being opened as planned; return what was paid."""
    if spending.credit_minor:
        amount = Money(spending.credit_minor, draft.currency)
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
    await drawing.draw(tx, call, now, spending.draws, draft.id)
    return spending.total_minor


async def give_back(tx: Tx, call: Call, now: datetime, void: Invoice) -> GivenBack:
    """Return to the balances what they had paid of an invoice that is void. The entry of the void is its ledger entry.

    Returns what came back by where it stands in the books. What its customer's credit had paid comes back to it.
    """
    if not void.applied_minor:
        return GivenBack()
    from_wallets = await drawing.drawn_by(tx, void.customer_id, void.id)
    back = await drawing.give_back(
        tx, call, now, void.customer_id, void.id, about=encode("invoice", void.id), minor=None
    )
    credit = void.applied_minor - from_wallets + back.credit_minor
    if credit:
        await move(tx, call, now, void, Money(credit, void.currency), reason="returned", about=void.id)
    return GivenBack(back.prepaid_minor, back.promotion_minor, credit)


async def move(tx: Tx, call: Call, now: datetime, owner: Owned, amount: Money, *, reason: str, about: UUID) -> None:
    """Append a movement of the credit of a row's customer: above zero is more credit. The caller posts it."""
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
