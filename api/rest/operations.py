"""The REST routes that exist, each described with its parameters and an example of a real answer."""

from importlib import resources
from typing import Any

import msgspec

from api.rest.describing import Operation, Parameter, whole
from api.rest.operations_of_billing import BILLING
from api.rest.operations_of_feed import FEED
from api.rest.operations_of_files import FILES
from api.rest.operations_of_limits import LIMITS
from api.rest.operations_of_methods import METHODS
from api.rest.subscription import PAGE_DEFAULT, PAGE_MAX
from domain.access.roles import Permission
from domain.analytics.consumption.performance import HOURS_DEFAULT, HOURS_MAX, LATENCY_MS_MAX, Target
from domain.usage.trends.buckets import MONTHS_DEFAULT, MONTHS_MAX

# Answers as they were given, with their numbers as they were written.
_EXAMPLES = msgspec.json.decode(
    resources.files("api.rest").joinpath("examples.json").read_bytes(), type=dict[str, msgspec.Raw]
)
_CUSTOMER = Parameter(
    "user_id",
    "path",
    "The customer, `cus_…`.",
    {"type": "string", "pattern": "^cus_[0-9a-hjkmnp-tv-z]{26}$"},
    "cus_01m8gtnvtvf3ev7mfxw2tgpb3z",
)
_REFUSALS = (401, 403, 404, 422, 503)
_TARGET = Target()
_EVENT: dict[str, Any] = {
    "id": "call-1",
    "type": "llm.call",
    "customer": "cus_01m8gtnvtvf3ev7mfxw2tgpb3z",
    "occurred_at": "2026-04-10T12:00:00Z",
    "properties": {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 2048, "output_tokens": 28},
}
_CLOUD_EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "call-1",
    "source": "/gateway/eu",
    "type": "llm.call",
    "subject": "cus_01m8gtnvtvf3ev7mfxw2tgpb3z",
    "time": "2026-04-10T12:00:00Z",
    "data": _EVENT["properties"],
}

_SUBSCRIPTION = (
    Operation(
        "GET",
        "/api/subscription/plans",
        "listPlans",
        "What is sold: the plans of the LLM product, lowest rank first.",
        "Fees, and limits of a month by name; a limit of null is unlimited.",
        _EXAMPLES["plans"],
        Permission.CATALOGUE_READ,
        refusals=(401, 403, 503),
    ),
    Operation(
        "GET",
        "/api/subscription/pricing",
        "listPrices",
        "What providers' calls cost now: a page of the price list.",
        "`amount` USD for every `per` units of the pool. `next` is where the next page begins, null on the last one.",
        _EXAMPLES["pricing"],
        Permission.PRICE_READ,
        parameters=(
            Parameter("provider", "query", "Those of one provider only.", {"type": "string"}, "gemini"),
            Parameter("limit", "query", "Rows on a page.", whole(1, PAGE_MAX, PAGE_DEFAULT), 100),
            Parameter(
                "after",
                "query",
                "`next` of the page before.",
                {"type": "string", "pattern": "^pp_[0-9a-hjkmnp-tv-z]{26}$"},
                "pp_01m8gtnvtvf3ev7mfxw2tgpb3z",
            ),
        ),
        refusals=(401, 403, 422, 503),
    ),
    Operation(
        "GET",
        "/api/subscription/usage/{user_id}",
        "readUsage",
        "The present usage period: figures, provider comparison, limits, projections, hints and performance.",
        "Figures are of the usage period. Projections and their percentages are null in the first day of it.",
        _EXAMPLES["usage"],
        Permission.USAGE_READ,
        "Response times are those of the newest 5,000 events of the stretch, calls and errors those of its full hours.",
        (
            _CUSTOMER,
            Parameter(
                "hours",
                "query",
                "How many full hours back performance is shown for.",
                whole(1, HOURS_MAX, HOURS_DEFAULT),
                24,
            ),
            Parameter(
                "target_p95_ms",
                "query",
                "The response time that 95 % of the calls are to keep.",
                {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": LATENCY_MS_MAX,
                    "default": int(_TARGET.latency_ms),
                },
                5000,
            ),
            Parameter(
                "target_error_percent",
                "query",
                "How many percent of the calls may fail.",
                {"type": "number", "minimum": 0, "maximum": 100, "default": int(_TARGET.error_percent)},
                1,
            ),
        ),
        refusals=_REFUSALS,
    ),
    Operation(
        "GET",
        "/api/subscription/usage/{user_id}/trends",
        "readTrends",
        "Usage by local day or month of the customer's zone, oldest first.",
        "What was not used is 0. `from` is the local day on which a day or month begins. Costs are at list price.",
        _EXAMPLES["trends"],
        Permission.USAGE_READ,
        parameters=(
            _CUSTOMER,
            Parameter("by", "query", "How long a bucket is.", {"enum": ["day", "month"], "default": "month"}, "month"),
            Parameter(
                "months", "query", "How many months, the present one included.", whole(1, MONTHS_MAX, MONTHS_DEFAULT), 6
            ),
        ),
        refusals=_REFUSALS,
    ),
    Operation(
        "GET",
        "/api/subscription/dashboard/{user_id}",
        "readDashboard",
        "Usage, limits, percentages, projections and alerts in one document.",
        "Projections are null in the first day of a usage period; percentages without a limit.",
        _EXAMPLES["dashboard"],
        Permission.USAGE_READ,
        parameters=(_CUSTOMER,),
        refusals=_REFUSALS,
    ),
    Operation(
        "GET",
        "/api/subscription/alerts/{user_id}",
        "readAlerts",
        "Where usage stands against each limit of which anything is used, the gravest first.",
        "`severity` is info below every threshold, where a notice is computed, and the alert's from the first one on.",
        _EXAMPLES["alerts"],
        Permission.USAGE_READ,
        parameters=(_CUSTOMER,),
        refusals=_REFUSALS,
    ),
)

_OTHERS = (
    Operation(
        "POST",
        "/v1/events",
        "recordEvents",
        "Record 1 to 1,000 usage events; answered after the commit, safe to repeat.",
        "A verdict for each event, in order, and how many there are of each.",
        {
            "results": [{"id": "call-1", "status": "counted"}],
            "counted": 1,
            "duplicate": 0,
            "conflict": 0,
            "quarantined": 0,
            "rejected": 0,
        },
        Permission.USAGE_WRITE,
        parameters=(
            Parameter(
                "mode",
                "query",
                "Whether a bad event refuses the whole batch.",
                {"enum": ["partial", "atomic"], "default": "partial"},
                "partial",
            ),
        ),
        bodies={
            "application/json": [_EVENT],
            "application/x-ndjson": '{"id": "call-1", "type": "llm.call", "customer": "cus_…", "properties": {}}\n',
            "application/cloudevents+json": _CLOUD_EVENT,
            "application/cloudevents-batch+json": [_CLOUD_EVENT],
        },
        refusals=(400, 401, 403, 408, 413, 415, 422, 429, 503),
    ),
    Operation(
        "POST",
        "/api/webhooks/stripe",
        "receiveStripeEvent",
        "Receive an event from Stripe; its signature says who sends it.",
        "It is stored.",
        {"received": True},
        parameters=(
            Parameter(
                "Stripe-Signature",
                "header",
                "Time and signatures of the body.",
                {"type": "string"},
                "t=1775822400,v1=5257a869e7",
            ),
        ),
        bodies={"application/json": {"id": "evt_1", "type": "invoice.paid"}},
        refusals=(400, 413, 503),
    ),
    Operation("GET", "/api/openapi.json", "readDescription", "This document.", "OpenAPI 3.1.", {"openapi": "3.1.0"}),
    Operation("GET", "/healthz", "readHealth", "Whether the process answers.", "It does.", {"status": "ok"}),
    Operation(
        "GET",
        "/readyz",
        "readReadiness",
        "Whether PostgreSQL answers too, at a revision that this version can serve.",
        "It does; 503 while it does not.",
        {"status": "ok"},
    ),
    Operation(
        "GET",
        "/metrics",
        "readMetrics",
        "What waits, for monitoring; 404 where no token is set for it.",
        "Gauges in the text format of Prometheus.",
        "# HELP tollgate_sockets Websockets that are open at this process.\n"
        "# TYPE tollgate_sockets gauge\n"
        "tollgate_sockets 12\n",
        parameters=(
            Parameter(
                "Authorization",
                "header",
                "`Bearer` and the setting TOLLGATE_METRICS_TOKEN.",
                {"type": "string"},
                "Bearer 5d1f0c2a",
            ),
        ),
        refusals=(401, 404, 503),
        answers_as="text/plain",
    ),
)

OPERATIONS = (*_SUBSCRIPTION, *BILLING, *METHODS, *LIMITS, *FILES, *FEED, *_OTHERS)
