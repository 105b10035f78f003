"""Let an automatic top-up lapse whose payment its customer never confirmed, so that the next one can be made.

The gateway's copy is void before anything is decided here: from then on no money can come for it, and until then it
may. A bank debit that is on its way cannot be taken back; it is waited for, and after some days the rule pauses.
"""

from datetime import datetime, timedelta

from domain.credits.top_up import DEBIT_WITHIN, PauseReason, TopUp, TopUpState
from domain.customers import service as customers
from domain.db import Database, Tx
from domain.invoices.funding import store as top_ups
from domain.invoices.topping import service as topping
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, TopUpId
from domain.payments import push as copies
from domain.payments import store
from domain.payments.attempt import ENDED, Attempt, AttemptState, news_of
from domain.payments.declines import NOT_CONFIRMED, Decline, DeclineClass
from domain.payments.methods.service import check_environment
from domain.payments.ordering import service as orders
from domain.payments.port import GatewayInvoiceState, GatewayRefused, PaymentGateway, PayOutcome, PayState
from domain.payments.push import Push
from domain.payments.settling.service import settle_attempt

# What moves by itself is looked at again after so long, a bank debit that is late after LOOK_AT_DEBIT_AFTER.
LOOK_AGAIN_AFTER = timedelta(hours=1)
LOOK_AT_DEBIT_AFTER = timedelta(days=1)
_VOIDABLE = frozenset((GatewayInvoiceState.OPEN, GatewayInvoiceState.UNCOLLECTIBLE))
_NOT_CONFIRMED = PayOutcome(PayState.DECLINED, Decline(DeclineClass.CUSTOMER, NOT_CONFIRMED))


async def lapse_top_up(
    db: Database, gateway: PaymentGateway, call: Call, *, customer_id: CustomerId, top_up_id: TopUpId
) -> datetime | None:
    """End a top-up that still waits for its customer; return the business instant to look again at, None for never.

    Its attempt fails, and what follows from that voids the invoice, pauses the rule and mails the customer. Where no
    payment is under way at all the invoice is void at once. Safe to repeat, and to be killed anywhere. Raises
    GatewayUnavailable.
    """
    async with db.transaction() as tx:
        now = await customers.business_now(tx, call, customer_id)
        found = await top_ups.find_top_up(tx, customer_id, top_up_id)
        if found is None or found.state is not TopUpState.OPEN:
            return None
        standing = await orders.look(tx, customer_id, found.invoice_id)
        waiting = standing.under_way
        if waiting is None:
            await topping.fail(tx, call, now, found, reason=PauseReason.NO_PAYMENT_METHOD)
            return None
        if waiting.state is AttemptState.PROCESSING:
            return await _wait_for_debit(tx, call, now, found, waiting)
        push = await store.find_push(tx, customer_id, found.invoice_id)
        check_environment(gateway, await customers.load_customer(tx, call, customer_id))
    if waiting.state is AttemptState.ACTION_REQUIRED and push is not None:
        after = await _give_up(db, gateway, call, waiting, push)
        if after.state in ENDED:
            return None
    return now + LOOK_AGAIN_AFTER


async def _wait_for_debit(tx: Tx, call: Call, now: datetime, found: TopUp, waiting: Attempt) -> datetime:
    late_at = waiting.began_at + DEBIT_WITHIN
    if now < late_at:
        return late_at
    await topping.pause(tx, call, now, found.customer_id, found.wallet_id, reason=PauseReason.PAYMENT_FAILED)
    return now + LOOK_AT_DEBIT_AFTER


async def _give_up(db: Database, gateway: PaymentGateway, call: Call, waiting: Attempt, push: Push) -> Attempt:
    """Void the copy and settle the attempt as failed, or settle what has become of it meanwhile."""
    copy_id = push.gateway_invoice_id
    assert copy_id is not None, "what was charged has a copy"
    seen = await gateway.fetch_invoice(copy_id)
    news = news_of(waiting, seen.outcome if seen else None)
    if news is None and seen is not None and seen.state in _VOIDABLE:
        try:
            await gateway.void_invoice(copy_id, key=copies.key(gateway.environment, push, "void"))
        except GatewayRefused:
            return waiting  # It was confirmed in this very moment: the next look finds what has become of it.
    async with db.transaction() as tx:
        now = await customers.business_now(tx, call, waiting.customer_id)
        return await settle_attempt(tx, call, now, waiting, news or _NOT_CONFIRMED)
