"""POST /hooks/mail: what the mail provider reports, signed as Standard Webhooks say; stored once, answered after it.

It is neutral: whoever runs the provider's adapter maps its reports to these five kinds.
"""

from datetime import datetime

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.bodies import read_body
from api.instants import is_instant
from api.problems import problem_response
from domain.access.roles import system_principal
from domain.alerts.mail_state import Report, ReportKind
from domain.alerts.mailing import service as mailing
from domain.kernel.errors import DomainError, Kind
from domain.kernel.unreadable import UNREADABLE
from domain.webhooks.signature import MessageRejected, verify

BODY_BYTES_MAX = 262_144
REPORTS_MAX = 500
TEXT_LENGTH_MAX = 255


class MailReportsMalformed(DomainError):
    """Reports about mail are 1 to 500 objects with id, message_id, kind and at. Nothing was stored."""

    code = "mail_reports_malformed"
    kind = Kind.INVALID


class _Report(msgspec.Struct):
    id: str
    message_id: str
    kind: ReportKind
    at: datetime


class _Body(msgspec.Struct):
    reports: list[_Report]


_decoder = msgspec.json.Decoder(_Body)


async def post_mail_reports(request: Request) -> Response:
    """Receive reports. A repeated one is counted as known, and changes nothing."""
    runtime = request.app.state.runtime
    body = await read_body(request, BODY_BYTES_MAX)
    try:
        verify(runtime.settings.mail_hook_secret, request.headers, body, runtime.now())
        reports = _read(body)
    except (MessageRejected, MailReportsMalformed) as refused:
        return problem_response(refused)
    call = runtime.call(system_principal("mail_hook"))
    async with runtime.db.transaction() as tx:
        noted = await mailing.note_reports(tx, call, reports)
    return JSONResponse({"received": len(reports), "new": noted.new, "unknown": noted.unknown})


def _read(body: bytes) -> list[Report]:
    """Read reports. Raises MailReportsMalformed."""
    try:
        sent = _decoder.decode(body).reports
    except UNREADABLE as error:
        raise MailReportsMalformed from error
    if not 1 <= len(sent) <= REPORTS_MAX or not all(_is_whole(each) for each in sent):
        raise MailReportsMalformed
    return [Report(each.id, each.message_id, each.kind, each.at) for each in sent]


def _is_whole(report: _Report) -> bool:
    texts = (report.id, report.message_id)
    is_text = all(1 <= len(text) <= TEXT_LENGTH_MAX and text.isprintable() for text in texts)
    return is_text and is_instant(report.at)
