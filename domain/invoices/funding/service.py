"""Fill a wallet when its top-up is paid, and end the top-up when its invoice ends another way."""

from datetime import datetime, timedelta

from domain.credits.top_up import TopUpState
from domain.credits.wallet import PURCHASED_PRIORITY_DEFAULT
from domain.credits.wallets import service as wallets
from domain.credits.wallets.keeping import service as keeping
from domain.credits.wallets.service import GrantTerms
from domain.db import Tx
from domain.invoices.funding import store
from domain.invoices.invoice import Invoice
from domain.kernel.call import Call

GRANT_NAME = "Top-up"


async def fund(tx: Tx, call: Call, now: datetime, paid: Invoice) -> None:
    """Put what a paid invoice bought into its wallet, in the transaction of the payment.

    Safe to repeat: a top-up ends once. What was bought is valid for the wallet's number of days.
    """
    ordered = await store.find_of_invoice(tx, paid.customer_id, paid.id)
    if ordered is None or not await store.end_top_up(tx, ordered, TopUpState.PAID, now):
        return
    _, held = await keeping.take(tx, call, ordered.customer_id, ordered.wallet_id)
    days = held.wallet.valid_days
    terms = GrantTerms(
        GRANT_NAME,
        ordered.amount,
        PURCHASED_PRIORITY_DEFAULT,
        expires_at=now + timedelta(days=days) if days else None,
    )
    await wallets.fund(tx, call, ordered.customer_id, ordered.wallet_id, terms, invoice_id=paid.id)
    await keeping.stage_check(tx, call, now, ordered.customer_id)


async def drop(tx: Tx, now: datetime, void: Invoice) -> None:
    """End the top-up of an invoice that was taken back. Safe to repeat."""
    ordered = await store.find_of_invoice(tx, void.customer_id, void.id)
    if ordered is not None:
        await store.end_top_up(tx, ordered, TopUpState.CANCELED, now)
