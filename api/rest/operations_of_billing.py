"""The billing routes (REQUIREMENTS B8), each described with its parameters and an example of an answer."""

from typing import Any

import msgspec

from api.rest.billing import PAGE_DEFAULT, PAGE_MAX, PRODUCT_DEFAULT, CancelBody, ChangeBody, SubscribeBody
from api.rest.describing import Operation, Parameter, whole
from api.rest.writes import KEY_HEADER
from domain.access.roles import Permission

_PRODUCT = Parameter(
    "product", "query", "The product's key.", {"type": "string", "default": PRODUCT_DEFAULT}, PRODUCT_DEFAULT
)
CUSTOMER = Parameter(
    "customer",
    "query",
    "Whose; for callers that are bound to no customer, such as staff.",
    {"type": "string", "pattern": "^cus_[0-9a-hjkmnp-tv-z]{26}$"},
    "cus_01m8gtnvtvf3ev7mfxw2tgpb3z",
)
KEY = Parameter(
    KEY_HEADER,
    "header",
    "New for each wish: sent again with the same body it gives the same outcome, and nothing happens twice.",
    {"type": "string", "minLength": 1, "maxLength": 255},
    "5a0c7a7e-subscribe",
)
READ = (401, 403, 404, 422, 503)
WRITE = (401, 403, 404, 409, 413, 422, 429, 503)
_SUBSCRIPTION: dict[str, Any] = {
    "id": "sub_01m8gtnvtvf3ev7mfxw2tgpb3z",
    "customer": "cus_01m8gtnvtvf3ev7mfxw2tgpb3z",
    "product": "edge",
    "plan": "starter",
    "plan_name": "Starter",
    "status": "active",
    "interval": "month",
    "currency": "USD",
    "quantity": 1,
    "started_at": "2026-04-01T00:00:00Z",
    "current_period_start": "2026-04-01T00:00:00Z",
    "current_period_end": "2026-05-01T00:00:00Z",
    "usage_period_start": "2026-04-01T00:00:00Z",
    "usage_period_end": "2026-05-01T00:00:00Z",
    "trial_ends_at": None,
    "pause_at": None,
    "resumes_at": None,
    "cancel_at": None,
    "cancel_reason": None,
    "ended_at": None,
    "stripe_subscription_id": None,
}

BILLING = (
    Operation(
        "GET",
        "/api/billing/plans",
        "listBillingPlans",
        "What is sold: the plans of a product, lowest rank first.",
        "Fees, and limits of a month by name; a limit of null is unlimited. One that is sold on approval is asked for "
        "with requestPlan.",
        {
            "plans": [
                {
                    "key": "starter",
                    "name": "Starter",
                    "rank": 1,
                    "on_approval": False,
                    "support": "E-mail",
                    "features": ["Private modules", "Custom domains"],
                    "fees": [
                        {"interval": "month", "amount": msgspec.Raw(b"29.00"), "currency": "USD"},
                        {"interval": "year", "amount": msgspec.Raw(b"313.20"), "currency": "USD"},
                    ],
                    "limits": {"modules": 25, "requests": 100000},
                }
            ]
        },
        Permission.CATALOGUE_READ,
        parameters=(_PRODUCT,),
        refusals=READ,
    ),
    Operation(
        "GET",
        "/api/billing/subscription",
        "readSubscription",
        "The live subscription of a product, or the newest that has ended.",
        "The current period is what the last fee pays for; limits count in the usage period, a month.",
        _SUBSCRIPTION,
        Permission.SUBSCRIPTION_READ,
        parameters=(_PRODUCT, CUSTOMER),
        refusals=READ,
    ),
    Operation(
        "GET",
        "/api/billing/usage",
        "readBillingUsage",
        "What was used of each limit in the present usage period.",
        "A limit of null is unlimited; what carries over, such as a number of modules, resets at null.",
        {
            "subscription": _SUBSCRIPTION["id"],
            "product": "edge",
            "plan": "starter",
            "period_start": "2026-04-01T00:00:00Z",
            "period_end": "2026-05-01T00:00:00Z",
            "limits": [
                {
                    "key": "requests",
                    "name": "Requests a month",
                    "unit": "request",
                    "used": 80000,
                    "limit": 100000,
                    "percent": msgspec.Raw(b"80.0"),
                    "state": "ok",
                    "policy": "soft",
                    "resets_at": "2026-05-01T00:00:00Z",
                }
            ],
        },
        Permission.USAGE_READ,
        parameters=(_PRODUCT, CUSTOMER),
        refusals=READ,
    ),
    Operation(
        "GET",
        "/api/billing/invoices",
        "listInvoices",
        "A customer's invoices, newest first, drafts among them.",
        "`next` is where the next page begins, null on the last one.",
        {
            "invoices": [
                {
                    "id": "inv_01m8gtnvtvf3ev7mfxw2tgpb3z",
                    "number": "2026-000001",
                    "status": "paid",
                    "currency": "USD",
                    "subtotal": msgspec.Raw(b"29.00"),
                    "tax": msgspec.Raw(b"0.00"),
                    "total": msgspec.Raw(b"29.00"),
                    "created_at": "2026-04-01T00:00:00Z",
                    "issued_at": "2026-04-01T00:00:00Z",
                    "due_at": "2026-04-01T00:00:00Z",
                    "paid_at": "2026-04-01T00:00:05Z",
                }
            ],
            "next": None,
        },
        Permission.INVOICE_READ,
        parameters=(
            CUSTOMER,
            Parameter(
                "product",
                "query",
                "Those with a line of the product of this key; left out: all.",
                {"type": "string"},
                PRODUCT_DEFAULT,
            ),
            Parameter("limit", "query", "Invoices on a page.", whole(1, PAGE_MAX, PAGE_DEFAULT), PAGE_DEFAULT),
            Parameter(
                "before",
                "query",
                "`next` of the page before.",
                {"type": "string", "pattern": "^inv_[0-9a-hjkmnp-tv-z]{26}$"},
                "inv_01m8gtnvtvf3ev7mfxw2tgpb3z",
            ),
        ),
        refusals=READ,
    ),
    Operation(
        "POST",
        "/api/billing/subscribe",
        "subscribe",
        "Subscribe to a plan. Its fee is invoiced in advance and collected, after its trial if it has one.",
        "The subscription.",
        _SUBSCRIPTION,
        Permission.SUBSCRIPTION_WRITE,
        "At most one live subscription of a product: a second one is refused with 409 already_subscribed.",
        (_PRODUCT, CUSTOMER, KEY),
        {"application/json": {"plan": "starter", "interval": "month", "currency": "USD", "quantity": 1}},
        WRITE,
        shape=SubscribeBody,
    ),
    Operation(
        "PUT",
        "/api/billing/subscription",
        "changeSubscription",
        "Change plan, interval or quantity of the subscription of a product, now or at the end of what is paid.",
        "The subscription as it stands, and the change: applied, scheduled for the period's end, or pending until its "
        "invoice is paid.",
        {
            **_SUBSCRIPTION,
            "change": {
                "id": "chg_01m8gtnvtvf3ev7mfxw2tgpb3z",
                "state": "pending",
                "direction": "upgrade",
                "plan": "professional",
                "interval": "month",
                "quantity": 1,
                "asked_at": "2026-04-16T00:00:00Z",
                "effective_at": "2026-04-16T00:00:00Z",
                "expires_at": "2026-04-16T23:00:00Z",
                "invoice": "inv_01m8gtnvtvf3ev7mfxw2tgpb3z",
            },
        },
        Permission.SUBSCRIPTION_WRITE,
        "What is left out stays as it is. Unless `at` tells (now, period_end), an upgrade is made now and a downgrade "
        "at the end of what is paid. What is left of the paid period is credited, the new fee is charged for the same "
        "time, and the net is invoiced at once. A plan that does not hold what there is already is refused now, with "
        "409 plan_too_small and each limit that it violates. `proration_date` is that of a preview, at most 15 "
        "minutes old.",
        (_PRODUCT, CUSTOMER, KEY),
        {"application/json": {"plan": "professional", "interval": "month", "quantity": 1, "at": "now"}},
        WRITE,
        shape=ChangeBody,
    ),
    Operation(
        "POST",
        "/api/billing/cancel",
        "cancelSubscription",
        "End the subscription of a product: at the end of what is paid, at a date, or now.",
        "The subscription; `cancel_at` is where it ends.",
        {**_SUBSCRIPTION, "cancel_at": "2026-05-01T00:00:00Z", "cancel_reason": "unused"},
        Permission.SUBSCRIPTION_WRITE,
        "Safe to repeat. Feedback is free text of at most 2,000 characters, and stored encrypted.",
        (_PRODUCT, CUSTOMER, KEY),
        {"application/json": {"at_period_end": True, "reason": "unused"}},
        WRITE,
        shape=CancelBody,
    ),
)
