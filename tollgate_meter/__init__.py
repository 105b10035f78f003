"""What a product installs in its own app to report usage to Tollgate. Imports nothing of the server, speaks HTTP.

    async with UsageReporter("https://billing.example.com", api_key) as reporter:
        await reporter.report([UsageEvent(id="call-1", type="llm.call", customer="cus_…", properties={…})])

Owns: the client of `POST /v1/events`, with the same ids on every retry, so that a lost answer never counts twice.
Does not own: limits, and the metering of LLM calls.
"""

from tollgate_meter.reporter import Answer, ReportRefused, ReportUnanswered, UsageEvent, UsageReporter

__all__ = ["Answer", "ReportRefused", "ReportUnanswered", "UsageEvent", "UsageReporter"]
