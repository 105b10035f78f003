"""The documents of the billing routes, written from values of the domain. Numbers are exact."""

from collections.abc import Iterable
from typing import Any

import msgspec

from api.rest.reads import instant, number, percent
from domain.invoices.invoice import Invoice
from domain.kernel.ids import encode
from domain.kernel.money import Money
from domain.limits.status import LimitStatus
from domain.payments.method import PaymentMethod
from domain.payments.setup import GatewaySetup
from domain.plans.plan import Catalogue
from domain.subscriptions.change import Change
from domain.subscriptions.subscription import Subscription


def subscription_document(catalogue: Catalogue, value: Subscription) -> dict[str, Any]:
    """Write a subscription (REQUIREMENTS B7). The current period is what the last fee pays for."""
    plan = catalogue.plan_of_version(value.plan_version_id)
    return {
        "id": encode("subscription", value.id),
        "customer": encode("customer", value.customer_id),
        "product": catalogue.product_by_id(value.product_id).key,
        "plan": plan.key,
        "plan_name": plan.name,
        "status": value.status,
        "interval": value.interval,
        "currency": value.currency,
        "quantity": value.quantity,
        "started_at": instant(value.started_at),
        "current_period_start": instant(value.fee_period.start),
        "current_period_end": instant(value.fee_period.end),
        "usage_period_start": instant(value.period.start),
        "usage_period_end": instant(value.period.end),
        "trial_ends_at": instant(value.trial_ends_at),
        "pause_at": instant(value.pause_at),
        "resumes_at": instant(value.resumes_at),
        "cancel_at": instant(value.cancel_at),
        "cancel_reason": value.cancel_reason,
        "ended_at": instant(value.ended_at),
        "stripe_subscription_id": value.gateway_id,
    }


def change_document(catalogue: Catalogue, value: Change) -> dict[str, Any]:
    """Write a change that was asked for, and where it stands; a pending one waits for `invoice` until `expires_at`."""
    return {
        "id": encode("change", value.id),
        "state": value.state,
        "direction": value.direction,
        "plan": catalogue.plan_of_version(value.target.plan_version_id).key,
        "interval": value.target.interval,
        "quantity": value.target.quantity,
        "asked_at": instant(value.asked_at),
        "effective_at": instant(value.effective_at),
        "expires_at": instant(value.expires_at),
        "invoice": encode("invoice", value.invoice_id) if value.invoice_id else None,
    }


def usage_document(catalogue: Catalogue, of: Subscription, limits: Iterable[LimitStatus]) -> dict[str, Any]:
    """Write what was used of each limit; a limit of null is unlimited, and `resets_at` of a level is null."""
    return {
        "subscription": encode("subscription", of.id),
        "product": catalogue.product_by_id(of.product_id).key,
        "plan": catalogue.plan_of_version(of.plan_version_id).key,
        "period_start": instant(of.period.start),
        "period_end": instant(of.period.end),
        "limits": [
            {
                "key": each.key,
                "name": each.description,
                "unit": each.unit,
                "used": number(each.used),
                "limit": number(each.limit),
                "percent": percent(each.percent),
                "state": each.state,
                "policy": each.policy,
                "resets_at": instant(each.resets_at),
            }
            for each in limits
        ],
    }


def invoices_document(page: Iterable[Invoice], following: str | None) -> dict[str, Any]:
    """Write a page of invoices; `next` is null on the last one."""
    return {"invoices": [_invoice(each) for each in page], "next": following}


def _invoice(value: Invoice) -> dict[str, Any]:
    return {
        "id": encode("invoice", value.id),
        "number": value.number,
        "status": value.state,
        "currency": value.currency,
        "subtotal": _amount(value.subtotal),
        "tax": _amount(value.tax),
        "total": _amount(value.total),
        "created_at": instant(value.created_at),
        "issued_at": instant(value.issued_at),
        "due_at": instant(value.due_at),
        "paid_at": instant(value.paid_at),
    }


def _amount(value: Money) -> msgspec.Raw:
    return msgspec.Raw(value.major.encode())


def methods_document(found: Iterable[PaymentMethod]) -> dict[str, Any]:
    """Write the attached payment methods, the default one first."""
    return {"payment_methods": [method_document(each) for each in found]}


def method_document(value: PaymentMethod) -> dict[str, Any]:
    """Write a payment method (REQUIREMENTS B7): what names it to its owner, and nothing that could be charged."""
    return {
        "id": encode("method", value.id),
        "stripe_payment_method_id": value.gateway_method_id,
        "type": value.kind,
        "brand": value.brand,
        "last4": value.last4,
        "exp_month": value.exp_month,
        "exp_year": value.exp_year,
        "is_default": value.is_default,
        "is_blocked": value.blocked is not None,
        "created_at": instant(value.created_at),
        "detached_at": instant(value.detached_at),
    }


def setup_document(value: GatewaySetup) -> dict[str, Any]:
    """Write a method that is being given; `client_secret` opens Stripe's form."""
    return {"id": value.id, "state": value.state, "client_secret": value.client_secret}
