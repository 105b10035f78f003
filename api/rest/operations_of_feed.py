"""The routes by which others hear and tell of what happened: the feed, described here, and those about mail."""

from api.rest.describing import Operation, Parameter, whole
from api.rest.feed import AFTER_MAX, LIMIT_DEFAULT, LIMIT_MAX
from api.rest.operations_of_mail import MAIL
from domain.access.roles import Permission
from domain.webhooks.payload import NEWEST, VERSIONS

_EVENT = {
    "id": "bev_01m8gtnvtvf3ev7mfxw2tgpb3z",
    "type": "invoice.paid",
    "timestamp": "2026-04-10T12:00:00Z",
    "version": "2026-11-01",
    "environment": "live",
    "customer_id": "cus_01m8gtnvtvf3ev7mfxw2tgpb3z",
    "number": 41,
    "sequence": 3,
    "data": {
        "invoice_id": "inv_01m8gtnvtvf3ev7mfxw2tgpb3z",
        "paid_by": "att_01m8gtnvtvf3ev7mfxw2tgpb3z",
        "amount": {"amount": "79.00", "currency": "USD"},
    },
}

FEED = (
    *MAIL,
    Operation(
        "GET",
        "/v1/events",
        "readEvents",
        "What happened to the customers that the caller may see, oldest first: the same as webhooks are sent.",
        "A page; the next one is asked for with its `after`, at once while `has_more`. None is ever missed or moved.",
        {"events": [_EVENT], "after": 41, "has_more": False},
        Permission.FEED_READ,
        parameters=(
            Parameter("after", "query", "`after` of the page before; 0 for the first.", whole(0, AFTER_MAX, 0), 40),
            Parameter("limit", "query", "Events on a page.", whole(1, LIMIT_MAX, LIMIT_DEFAULT), 100),
            Parameter(
                "types",
                "query",
                "Types or groups of events, with commas; everything, unless told.",
                {"type": "string", "maxLength": 2000},
                "invoice.*,payment.failed",
            ),
            Parameter(
                "version",
                "query",
                "The schema version of the events.",
                {"enum": sorted(VERSIONS), "default": NEWEST},
                NEWEST,
            ),
        ),
        refusals=(401, 403, 422, 503),
    ),
)
