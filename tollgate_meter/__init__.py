"""What a product installs in its own app to report usage to Tollgate. Imports nothing of the server, speaks HTTP.

    async with UsageReporter("https://billing.example.com", api_key) as reporter:
        await reporter.report([UsageEvent(id="call-1", type="llm.call", customer="cus_…", properties={…})])

Owns: the client of `POST /v1/events`, with the same ids on every retry, so that a lost answer never counts twice. The
metering of LLM, search, extraction and image calls: `MeterMiddleware` for an ASGI app, `AsyncMeterTransport` and
`MeterTransport` for SDKs that take an httpx2 client. Both ask Tollgate before a call and record it once afterwards.
A call passes operations.py (data: who is called), request.py (what it can use), pricing.py (has it a price), client.py
(may it be made), reading.py (what it used) and passage.py (recorded once); shapes.py knows the providers' words.
Does not own: limits and prices, which are Tollgate's.
"""

from tollgate_meter.client import BlockingTollsClient, Tolls, TollsClient
from tollgate_meter.gate import NOT_BILLED, Terms
from tollgate_meter.middleware import MeterMiddleware
from tollgate_meter.reporter import Answer, ReportRefused, ReportUnanswered, UsageEvent, UsageReporter
from tollgate_meter.transport import AsyncMeterTransport, MeterTransport, billed_to

__all__ = [
    "NOT_BILLED",
    "Answer",
    "AsyncMeterTransport",
    "BlockingTollsClient",
    "MeterMiddleware",
    "MeterTransport",
    "ReportRefused",
    "ReportUnanswered",
    "Terms",
    "Tolls",
    "TollsClient",
    "UsageEvent",
    "UsageReporter",
    "billed_to",
]
