"""What to ask of every field about a customer, for the walks over the schema."""

from typing import Any

from domain.kernel.ids import encode
from domain.subscriptions.subscription import Subscription
from tests.api.graphql.asking_wallets import WALLET_INPUTS

# What a root field is given about a target. An argument that is not here is left out; a required one must be here.
_FROM = "2026-01-01T00:00:00Z"
ARGUMENTS: dict[str, dict[str, str]] = {
    "plan": {"product": "=llm", "key": "=pro"},
    "customer": {"id": "customer"},
    "subscription": {"id": "subscription"},
    "usage": {"customerId": "customer"},
    "dashboard": {"customerId": "customer"},
    "usageHints": {"customerId": "customer"},
    "mails": {"customerId": "customer"},
    "usageTrends": {"customerId": "customer"},
    "providerPerformance": {"customerId": "customer"},
    "checkLimit": {"customerId": "customer", "type": "=llm.call", "properties": "properties"},
    "decision": {"id": "decision"},
    "limitOverrides": {"customerId": "customer"},
    "usageEvents": {"customerId": "customer"},
    "invoice": {"id": "invoice"},
    "creditNote": {"id": "note"},
    "lineHours": {"invoiceId": "invoice", "lineId": "line"},
    "verifyInvoice": {"id": "invoice"},
    "conservation": {"customerId": "customer", "subscriptionId": "subscription", "periodStart": "started"},
    "whatIf": {"customerId": "customer", "subscriptionId": "subscription", "plan": "=basic"},
    "previewChange": {"input": "change"},
    "previewBillDay": {"input": "bill_day"},
    "previewInvoice": {"subscriptionId": "subscription"},
    "previewSubscribe": {"customerId": "customer", "product": "=edge", "plan": "=starter", "interval": "=MONTH"},
    "auditEntries": {"customerId": "customer"},
    "appliedCoupons": {"customerId": "customer"},
    "unitGrants": {"customerId": "customer"},
    "wallets": {"customerId": "customer"},
    "topUps": {"customerId": "customer"},
    "automaticTopUps": {"customerId": "customer"},
    "ongoingBalances": {"customerId": "customer"},
    "walletMoves": {"customerId": "customer", "walletId": "wallet"},
    "ledgerBalances": {"environment": "environment", "customerId": "customer"},
    "trialBalance": {"environment": "environment"},
    "ledgerEntries": {"environment": "environment", "customerId": "customer"},
    "testClock": {"id": "clock"},
    "merchantTax": {"environment": "environment"},
    "usageChanged": {"customerId": "customer"},
    "invoiceChanged": {"customerId": "customer"},
    "alertRaised": {"customerId": "customer"},
    "paymentMethodSetup": {"customerId": "customer", "id": "=seti_1"},
    "dunningCase": {"id": "dunning"},
    "dunningCases": {"customerId": "customer"},
    "dunningRecovery": {
        "environment": "environment",
        "start": "=2026-01-01T00:00:00Z",
        "end": "=2027-01-01T00:00:00Z",
    },
    "simulateDunning": {"rules": "rules", "failedAt": "=2026-01-01T00:00:00Z", "outcomes": "outcomes"},
    "customers": {},
    "webhookDeliveries": {"endpointId": "endpoint"},
}
# The input of each mutation, made for a target and a number that no other call has.
INPUTS: dict[str, Any] = {
    "createApiKey": lambda t, n: {"name": f"k{n}", "environment": t["environment"], "scopes": ["usage:read"]},
    "revokeApiKey": lambda t, _: {"id": t["key"]},
    "createCustomer": lambda t, n: {"environment": t["environment"], "name": "New", "email": f"new{n}@example.com"},
    "subscribe": lambda t, n: {
        "customerId": t["customer"],
        "product": "edge",
        "plan": "free",
        "interval": "MONTH",
        "idempotencyKey": f"k{n}",
    },
    "changeSubscription": lambda t, n: {
        "subscriptionId": t["subscription"],
        "quantity": n + 2,
        "idempotencyKey": f"k{n}",
    },
    "moveBillDay": lambda t, n: {"subscriptionId": t["subscription"], "day": n % 27 + 2, "idempotencyKey": f"k{n}"},
    "keepBillDay": lambda t, _: {"subscriptionId": t["subscription"]},
    "changeZone": lambda t, _: {"customerId": t["customer"], "zone": "UTC"},
    "cancelScheduledChange": lambda t, _: {"subscriptionId": t["subscription"]},
    "cancelSubscription": lambda t, n: {"subscriptionId": t["subscription"], "idempotencyKey": f"k{n}"},
    "pauseSubscription": lambda t, _: {"subscriptionId": t["subscription"]},
    "undoPauseSubscription": lambda t, _: {"subscriptionId": t["subscription"]},
    "resumeSubscription": lambda t, n: {"subscriptionId": t["subscription"], "idempotencyKey": f"k{n}"},
    "undoCancelSubscription": lambda t, _: {"subscriptionId": t["subscription"]},
    "recomputeDraft": lambda t, _: {"invoiceId": t["invoice"]},
    "finaliseInvoice": lambda t, n: {"invoiceId": t["invoice"], "idempotencyKey": f"k{n}"},
    "issueCreditNote": lambda t, n: {
        "invoiceId": t["invoice"],
        "parts": [{"lineId": t["line"], "amount": {"amount": "0.01", "currency": "USD"}}],
        "reason": "GOODWILL",
        "kind": "CUSTOMER_CREDIT",
        "idempotencyKey": f"k{n}",
    },
    "markInvoiceUncollectible": lambda t, n: {"invoiceId": t["invoice"], "idempotencyKey": f"k{n}"},
    "voidInvoice": lambda t, n: {"invoiceId": t["invoice"], "reason": "MISTAKE", "idempotencyKey": f"k{n}"},
    "attachPaymentMethod": lambda t, n: {
        "customerId": t["customer"],
        "gatewayMethodId": f"pm_card_visa{n}",
        "idempotencyKey": f"k{n}",
    },
    "startPaymentMethodSetup": lambda t, n: {
        "customerId": t["customer"],
        "way": "CARD",
        "idempotencyKey": f"k{n}",
    },
    "verifyBankAccount": lambda t, n: {
        "customerId": t["customer"],
        "setupId": f"seti_{n}",
        "amounts": [32, 45],
    },
    "setDefaultPaymentMethod": lambda t, n: {
        "customerId": t["customer"],
        "methodId": t["method"],
        "idempotencyKey": f"k{n}",
    },
    "detachPaymentMethod": lambda t, n: {
        "customerId": t["customer"],
        "methodId": t["method"],
        "idempotencyKey": f"k{n}",
    },
    "recordUsage": lambda t, n: {"events": [_event(f"r{n}", t["customer"], "customerId")]},
    "recordUsageBatch": lambda t, n: {"events": [_event(f"b{n}", t["customer"], "customer")], "mode": "ATOMIC"},
    "reserveUsage": lambda t, n: {
        "id": f"h{n}",
        "customerId": t["customer"],
        "type": "llm.call",
        "properties": t["properties"],
    },
    "extendReservation": lambda t, _: {"id": t["reservation"]},
    "settleReservation": lambda t, _: {
        "id": t["reservation"],
        "status": "MEASURED",
        "properties": t["properties"],
    },
    "releaseReservation": lambda t, _: {"id": t["reservation"]},
    "setLimitOverride": lambda t, n: {
        "customerId": t["customer"],
        "product": "llm",
        "key": "tokens",
        "amount": f"{n}",
        "reason": "agreed",
    },
    "redriveEvents": lambda t, _: {"ids": [t["quarantined"]]},
    "addProviderPrices": lambda _, n: {
        "provider": "gemini",
        "model": f"model-{n}",
        "validFrom": "2100-01-01T00:00:00Z",
        "prices": [{"pool": "input", "amount": "1", "per": "1000000"}],
    },
    "changeBillingProfile": lambda t, n: {
        "customerId": t["customer"],
        "city": f"City {n}",
        "country": "DE",
        "vatNumber": "DE136695976",
    },
    "setTaxStatus": lambda t, n: {"customerId": t["customer"], "status": "EXEMPT", "certificate": f"No. {n}"},
    "setTaxRate": lambda _, n: {"country": "DE", "name": f"VAT {n}", "percent": "19", "validFrom": _FROM},
    "setTaxRegistration": lambda _, n: {"country": "DE", "region": f"R{n % 100}", "validFrom": _FROM},
    "setMerchantTax": lambda t, _: {"environment": t["environment"], "country": "DE"},
    "retryJob": lambda t, _: {"id": t["job"]},
    "replayInboxEvents": lambda _, __: {
        "receivedFrom": "2026-01-01T00:00:00Z",
        "receivedTo": "2026-01-02T00:00:00Z",
    },
    "createCoupon": lambda _, n: {"key": f"c{n}", "name": "C", "duration": "ONCE", "percentOff": "10"},
    "setCouponActive": lambda t, _: {"id": t["coupon"], "isActive": True},
    "createPromotionCode": lambda t, n: {"couponId": t["coupon"], "code": f"code-{n}"},
    "setPromotionCodeActive": lambda t, _: {"id": t["code"], "isActive": True},
    "applyCoupon": lambda t, n: {"customerId": t["customer"], "couponId": t["coupon"], "idempotencyKey": f"k{n}"},
    "redeemPromotionCode": lambda t, n: {
        "customerId": t["customer"],
        "code": t["codeText"],
        "idempotencyKey": f"k{n}",
    },
    "createUnitGrant": lambda t, n: {
        "subscriptionId": t["subscription"],
        "meter": "calls",
        "name": f"Grant {n}",
        "amount": "100",
        "idempotencyKey": f"k{n}",
    },
    "voidUnitGrant": lambda t, _: {"customerId": t["customer"], "id": t["grant"]},
    **WALLET_INPUTS,
    "removeCoupon": lambda t, _: {"customerId": t["customer"], "id": t["applied"]},
    "createTestClock": lambda _, n: {"name": f"c{n}", "nowAt": "2026-01-31T00:00:00Z"},
    "pauseDunningCase": lambda t, _: {"id": t["dunning"], "reason": "agreed"},
    "resumeDunningCase": lambda t, _: {"id": t["dunning"]},
    "extendDunningGrace": lambda t, _: {"id": t["dunning"], "until": "2100-01-01T00:00:00Z", "reason": "agreed"},
    "requestPaymentMethod": lambda t, _: {"id": t["dunning"]},
    "retryDunningCase": lambda t, n: {"id": t["dunning"], "idempotencyKey": f"k{n}"},
    "writeOffDunningCase": lambda t, n: {"id": t["dunning"], "reason": "agreed", "idempotencyKey": f"k{n}"},
    "draftDunningPolicy": lambda _, n: {"name": f"policy {n}", "rules": {"graceDays": 3}},
    "activateDunningPolicy": lambda t, _: {"id": t["policy"]},
    "assignDunningPolicy": lambda t, _: {"name": "default", "customerId": t["customer"]},
    "sendMailAgain": lambda t, _: {"id": t["mail"]},
    "resumeMail": lambda t, _: {"customerId": t["customer"]},
    "markAlertRead": lambda t, _: {"id": t["alert"]},
    "changeAlertPreference": lambda t, n: {"customerId": t["customer"], "thresholds": [n % 1_000 + 1]},
    "createWebhookEndpoint": lambda t, n: {
        "environment": t["environment"],
        "name": f"e{n}",
        "url": f"https://hooks.example.com/{n}",
        "events": ["*"],
    },
    "updateWebhookEndpoint": lambda t, n: {"id": t["endpoint"], "name": f"e{n}"},
    "disableWebhookEndpoint": lambda t, _: {"id": t["endpoint"]},
    "enableWebhookEndpoint": lambda t, _: {"id": t["endpoint"]},
    "deleteWebhookEndpoint": lambda t, _: {"id": t["endpointToDelete"]},
    "rotateWebhookSecret": lambda t, _: {"id": t["endpoint"]},
    "testWebhookEndpoint": lambda t, _: {"id": t["endpoint"]},
    "replayWebhookEvents": lambda t, _: {"id": t["endpoint"], "firstNumber": "1", "lastNumber": "1000"},
    "skipWebhookEvent": lambda t, _: {"id": t["endpoint"], "eventId": t["billingEvent"]},
    "markStaffAlertRead": lambda t, _: {"id": t["staffAlert"]},
    "advanceTestClock": lambda t, _: {"clockId": t["clock"], "to": "2026-01-31T00:00:00Z"},
}
# About no customer in particular: whether it is shown depends on the permission and on these.
OF_EVERYONE = {
    "failedJobs",
    "retryJob",
    "inboxEvents",
    "inboxStanding",
    "replayInboxEvents",
    "dunningPolicies",
    "draftDunningPolicy",
    "activateDunningPolicy",
    "assignDunningPolicy",
}
OF_TEST = {"testClock", "testClocks", "createTestClock", "advanceTestClock"}
OF_ANY_CUSTOMER = {"customers", "apiKeys", "quarantinedEvents", "viewer", "products", "plan", "providerPrices"} | {
    "taxRates",
    "taxRegistrations",
    "simulateDunning",
    "webhookEndpoints",
    "webhookEventTypes",
    "webhookSchemaVersions",
    "publishedEvents",
    "staffAlerts",
}
IN_AN_ENVIRONMENT = {"createApiKey", "revokeApiKey", "createCustomer", "merchantTax", "setMerchantTax"} | {
    "dunningRecovery",
    "trialBalance",
    "webhookDeliveries",
    "createWebhookEndpoint",
    "updateWebhookEndpoint",
    "disableWebhookEndpoint",
    "enableWebhookEndpoint",
    "deleteWebhookEndpoint",
    "rotateWebhookSecret",
    "testWebhookEndpoint",
    "replayWebhookEvents",
    "skipWebhookEvent",
    "markStaffAlertRead",
}
OF_NOBODY = {
    "addProviderPrices",
    "setTaxRate",
    "setTaxRegistration",
    "createCoupon",
    "setCouponActive",
    "createPromotionCode",
    "setPromotionCodeActive",
    "coupons",
}


def _event(name: str, customer: str, field: str) -> dict[str, Any]:
    return {"id": name, "type": "llm.call", field: customer, "properties": {"provider": "gemini", "model": "x"}}


def subscribed(own: Subscription) -> dict[str, Any]:
    """Give the id of a subscription, its start, and a change of it."""
    name = encode("subscription", own.id)
    change = {"subscriptionId": name, "quantity": 2}
    bill_day = {"subscriptionId": name, "day": 3}
    return {"subscription": name, "started": own.started_at.isoformat(), "change": change, "bill_day": bill_day}
