"""The routes of payment methods, each described with an example of an answer."""

from typing import Any

from api.rest.describing import Operation, Parameter
from api.rest.methods import AttachBody, SetupBody
from api.rest.operations_of_billing import CUSTOMER, KEY, READ, WRITE
from domain.access.roles import Permission

_METHOD: dict[str, Any] = {
    "id": "pm_01m8gtnvtvf3ev7mfxw2tgpb3z",
    "stripe_payment_method_id": "pm_1PqRsT2eZvKYlo2C0aBcDeFg",
    "type": "card",
    "brand": "visa",
    "last4": "4242",
    "exp_month": 12,
    "exp_year": 2030,
    "is_default": True,
    "is_blocked": False,
    "created_at": "2026-04-01T00:00:00Z",
    "detached_at": None,
}
_ID = Parameter(
    "id",
    "path",
    "The payment method, `pm_…` of Tollgate.",
    {"type": "string", "pattern": "^pm_[0-9a-hjkmnp-tv-z]{26}$"},
    _METHOD["id"],
)

METHODS = (
    Operation(
        "GET",
        "/api/billing/payment-methods",
        "listPaymentMethods",
        "The attached payment methods, the default one first.",
        "Of a card or an account only what names it to its owner; a blocked one cannot be charged any more.",
        {"payment_methods": [_METHOD]},
        Permission.PAYMENT_READ,
        parameters=(CUSTOMER,),
        refusals=READ,
    ),
    Operation(
        "POST",
        "/api/billing/payment-methods",
        "attachPaymentMethod",
        "Attach a payment method that was made at Stripe; the first one becomes the default.",
        "The payment method. What is open and unpaid is then collected.",
        _METHOD,
        Permission.PAYMENT_WRITE,
        "Safe to repeat: the same one is attached once. One of another customer is refused with 402 gateway_refused.",
        (CUSTOMER,),
        {"application/json": {"payment_method": "pm_1PqRsT2eZvKYlo2C0aBcDeFg"}},
        (*WRITE, 402),
        shape=AttachBody,
    ),
    Operation(
        "POST",
        "/api/billing/payment-methods/setup",
        "startPaymentMethodSetup",
        "Begin to give a payment method on Stripe's form in the customer's browser.",
        "`client_secret` opens the form; the method is attached once the form is done.",
        {"id": "seti_1PqRsT2eZvKYlo2C", "state": "waiting", "client_secret": "seti_1PqRsT2eZvKYlo2C_secret_Q1w2"},
        Permission.PAYMENT_WRITE,
        "`way` is card, ach_instant or ach_deposits.",
        (CUSTOMER, KEY),
        {"application/json": {"way": "card"}},
        (*WRITE, 402),
        shape=SetupBody,
    ),
    Operation(
        "POST",
        "/api/billing/payment-methods/{id}/default",
        "setDefaultPaymentMethod",
        "Charge coming invoices to a payment method.",
        "The payment method.",
        _METHOD,
        Permission.PAYMENT_WRITE,
        "Safe to repeat. A blocked method is refused with 409 payment_method_blocked.",
        (_ID, CUSTOMER),
        refusals=WRITE,
    ),
    Operation(
        "DELETE",
        "/api/billing/payment-methods/{id}",
        "detachPaymentMethod",
        "Remove a payment method for good; the newest one left takes over as the default.",
        "The payment method as it last was.",
        {**_METHOD, "is_default": False, "detached_at": "2026-04-16T00:00:00Z"},
        Permission.PAYMENT_WRITE,
        "Safe to repeat. The last one of a customer with a paid subscription stays: 409 last_payment_method.",
        (_ID, CUSTOMER),
        refusals=WRITE,
    ),
)
