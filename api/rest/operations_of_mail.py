"""The routes about mail, described; docs/mail.md says what is in them."""

from api.rest.describing import Operation, Parameter

_TEXT = {"type": "string"}
_LINK = (
    Parameter("id", "path", "The customer, `cus_…`.", _TEXT, "cus_01m8gtnvtvf3ev7mfxw2tgpb3z"),
    Parameter("notice", "query", "The kind of mail.", _TEXT, "weekly_digest"),
    Parameter("signature", "query", "64 hexadecimal digits.", _TEXT, "5257a869e7" + "0" * 54),
)
_PAGE = "<!doctype html>…"

MAIL = (
    Operation(
        "POST",
        "/hooks/mail",
        "receiveMailReports",
        "Receive what the mail provider reports, 1 to 500 reports, signed as Standard Webhooks say. Safe to repeat.",
        "They are stored; `new` were not known, `unknown` of these are about no mail of this system.",
        {"received": 1, "new": 1, "unknown": 0},
        parameters=(
            Parameter("webhook-id", "header", "The message's id.", _TEXT, "msg_1"),
            Parameter("webhook-timestamp", "header", "When it was sent, in seconds since 1970.", _TEXT, "1775822400"),
            Parameter("webhook-signature", "header", "`v1,` and the signature in base64.", _TEXT, "v1,K5oZfz…"),
        ),
        bodies={
            "application/json": {
                "reports": [
                    {
                        "id": "report-1",
                        "message_id": "<5257a869e7@example.com>",
                        "kind": "hard_bounced",
                        "at": "2026-04-10T12:00:00Z",
                    }
                ]
            }
        },
        refusals=(401, 413, 422, 503),
    ),
    Operation(
        "GET",
        "/unsubscribe/{id}",
        "askUnsubscribe",
        "The page of the link in a mail: it asks, and changes nothing.",
        "The page; 403 where the link was not signed so.",
        _PAGE,
        parameters=_LINK,
        refusals=(403, 422, 503),
        answers_as="text/html",
    ),
    Operation(
        "POST",
        "/unsubscribe/{id}",
        "unsubscribe",
        "Stop mails of the link's kind, at one click (RFC 8058). Safe to repeat.",
        "It is done.",
        _PAGE,
        parameters=_LINK,
        refusals=(403, 404, 422, 503),
        answers_as="text/html",
    ),
)
