"""Charge a customer once, with the next invoice or at once, and take back what is not invoiced yet."""

from dataclasses import replace

from domain.access.roles import Permission
from domain.contracts.desk.service import Desk, derive_draft, finalise_draft, open_desk
from domain.db import Tx
from domain.invoices.invoice import Invoice
from domain.invoices.one_off import service as charges
from domain.invoices.one_off import store
from domain.invoices.one_off_charge import ChargeMalformed, ChargeWish, OneOffCharge
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, OneOffChargeId
from domain.kernel.money import CurrencyMismatch
from domain.subscriptions import service as subscriptions
from domain.subscriptions.service import SubscriptionNotFound
from domain.subscriptions.subscription import Source, Subscription


async def charge(
    tx: Tx, call: Call, *, customer_id: CustomerId, wish: ChargeWish, at_once: bool = False
) -> tuple[OneOffCharge, Invoice | None]:
    """Charge a customer once; it comes with the next invoice of that customer and currency.

    With `at_once` the draft of that currency is opened now, with all that waits for it, and returned; one that is below
    the gateway's minimum, or whose taxes have to be asked for, is returned as the draft that it stays. Not repeatable:
    each call is another charge. Raises Forbidden, CustomerNotFound, SubscriptionNotFound, CurrencyMismatch where its
    subscription has another currency, ChargeMalformed, ChargeNegative, CurrencyUnknown, TooManyCharges.
    """
    call.need(Permission.CHARGE_WRITE)
    desk = await open_desk(tx, call, customer_id)
    new = await charges.add(tx, call, desk.now, desk.customer, await _completed(tx, desk, wish))
    if not at_once:
        return new, None
    draft = await derive_draft(tx, call, desk, wish.currency)
    assert draft is not None, "the new charge is on it"
    invoice = await finalise_draft(tx, call, desk, draft, at=min(desk.now, draft.grace_ends_at))
    after = await store.find_charge(tx, customer_id, new.id)
    assert after is not None, "charges are never deleted"
    return after, invoice


async def cancel_charge(
    tx: Tx, call: Call, *, customer_id: CustomerId, charge_id: OneOffChargeId
) -> tuple[OneOffCharge, Invoice | None]:
    """Take back a charge that is not invoiced, and its line off the draft; return both. Safe to repeat.

    Raises Forbidden, CustomerNotFound, ChargeNotFound, and ChargeInvoiced once it stands on an opened invoice.
    """
    call.need(Permission.CHARGE_WRITE)
    desk = await open_desk(tx, call, customer_id)
    before, after = await charges.cancel(tx, call, desk.now, customer_id, charge_id)
    if after == before:
        return after, None
    return after, await derive_draft(tx, call, desk, after.wish.currency, only_present=True)


async def _completed(tx: Tx, desk: Desk, wish: ChargeWish) -> ChargeWish:
    """Return a wish with the tax code of its subscription where it says none."""
    if wish.subscription_id is None:
        return wish
    own = await subscriptions.find_subscription(tx, wish.subscription_id, scope=desk.customer.id)
    if own is None:
        raise SubscriptionNotFound
    _check_beside(own, wish)
    version = desk.catalogue.version(own.plan_version_id)
    return replace(wish, tax_code=wish.tax_code or version.tax_code)


def _check_beside(own: Subscription, wish: ChargeWish) -> None:
    """Refuse what could not stand on an invoice beside its subscription."""
    if own.source is Source.STRIPE:
        raise ChargeMalformed("its subscription is billed by Stripe; charge it without a subscription")
    if own.currency != wish.currency:
        raise CurrencyMismatch(own.currency, wish.currency)
