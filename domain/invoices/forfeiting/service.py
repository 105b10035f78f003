"""What becomes of a top-up when a bank takes back its payment: what is not used yet goes, what was used is owed.

The caller holds the invoice's lock, and does each of these once for a dispute, which `about` names.
"""

from datetime import datetime
from uuid import UUID

from domain.credits.top_up import PauseReason
from domain.credits.wallets.withholding import service as withholding
from domain.credits.wallets.withholding.service import Withheld
from domain.db import Tx
from domain.invoices.balances import service as balances
from domain.invoices.credit_note import CreditKind, CreditNote, CreditPart, CreditReason
from domain.invoices.crediting import service as crediting
from domain.invoices.invoice import Invoice
from domain.invoices.opening import service as opening
from domain.invoices.topping import service as topping
from domain.kernel.call import Call
from domain.kernel.ids import WalletGrantId
from domain.kernel.money import Money
from domain.ledger import account
from domain.ledger import service as ledger
from domain.ledger.account import Account


async def withhold(tx: Tx, call: Call, now: datetime, of: Invoice, *, minor: int, about: str) -> Withheld | None:
    """Take out of its wallet what is left of a top-up, up to an amount, and top it up by itself no more.

    None where the invoice asks for something else.
    """
    if of.top_up_id is None or not minor:
        return None
    taken = await withholding.withhold(tx, call, of.customer_id, of.id, minor=minor, about=about)
    if taken is not None:
        reason = PauseReason.PAYMENT_FAILED
        await topping.pause(tx, call, now, of.customer_id, taken.grant.wallet_id, reason=reason)
    return taken


async def give_back(
    tx: Tx, call: Call, now: datetime, of: Invoice, grant_id: WalletGrantId, *, minor: int, about: str, cause: UUID
) -> None:
    """Let what was withheld be used again; where its time is over meanwhile, it becomes customer credit.

    `cause` is the id that `about` writes.
    """
    kept = await withholding.release(tx, call, of.customer_id, grant_id, minor=minor, about=about)
    if kept:
        credit = Money(kept, of.currency)
        await balances.move(tx, call, now, of, credit, reason="returned", about=cause)
        await ledger.post(
            tx,
            call,
            now,
            customer_id=of.customer_id,
            environment=of.environment,
            reason="withheld_credited",
            about=about,
            lines=account.refunded_as_credit(credit),
        )


async def forfeit(tx: Tx, call: Call, now: datetime, of: Invoice, *, minor: int) -> CreditNote:
    """Take what was withheld off the invoice by a credit note: what is left of it is what was used."""
    [line] = await opening.lines_of(tx, of)
    return await crediting.credit_lines(
        tx,
        call,
        now,
        customer_id=of.customer_id,
        invoice_id=of.id,
        parts=[CreditPart(line.id, minor)],
        reason=CreditReason.ORDER_CHANGE,
        kind=CreditKind.OFFSET,
        of_top_up=True,
        earned=Account.PREPAID_PENDING,
    )
