"""CloudEvents 1.0 in JSON as usage events.

    {"specversion": "1.0", "id": "…", "source": "/gateway/eu", "type": "llm.call", "subject": "cus_…",
     "time": "2026-01-15T12:00:00Z", "data": {"provider": "gemini", "input_tokens": 1000, …}}

`subject` is the customer, `time` is `occurred_at` and `data` is `properties`. CloudEvents names an event by `source`
and `id` together, and many sources may send with one key, whose own source is part of every identity. So an event's id
here is "source id", with a space between, which no URI holds; where `source` is that of the key, it is `id` alone, and
the same event sent in another form is a duplicate. `subscription` and `corrects` may come as extension attributes;
other extensions are ignored.
"""

from typing import Any

import msgspec

from domain.usage.event import ID_LENGTH_MAX, UsageEvent
from domain.usage.verdict import Reason, Verdict, rejected

VERSION = "1.0"


class CloudEvent(msgspec.Struct, frozen=True, gc=False):
    """An event as it was sent. Attributes that it needs and lacks are told by `event_of`, one by one."""

    id: str
    source: str
    type: str
    specversion: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    data: dict[str, Any] | None = None
    data_base64: str | None = None
    subscription: str | None = None
    corrects: str | None = None


def event_of(sent: CloudEvent, own_source: str | None) -> UsageEvent | Verdict:
    """Translate an event; answers `rejected` with the attribute that is at fault. `own_source` is the key's."""
    fault = _fault_of(sent)
    if fault is not None:
        return rejected(Reason.MALFORMED, fault)
    assert sent.subject is not None, "checked above"
    prefix = "" if sent.source == own_source else f"{sent.source} "
    name = prefix + sent.id
    if len(name) > ID_LENGTH_MAX:
        return rejected(Reason.MALFORMED, f"`source` and `id` have more than {ID_LENGTH_MAX - 1} characters together")
    return UsageEvent(
        id=name,
        type=sent.type,
        customer=sent.subject,
        subscription=sent.subscription,
        occurred_at=sent.time,
        properties=sent.data or {},
        corrects=None if sent.corrects is None else prefix + sent.corrects,
    )


def _fault_of(sent: CloudEvent) -> str | None:
    if sent.specversion != VERSION:
        return "`specversion` is 1.0"
    if not sent.id or not sent.source or any(map(str.isspace, sent.source)):
        return "`id` and `source` are not empty, and a source has no space"
    if not sent.subject:
        return "`subject` is missing: it names the customer"
    if sent.data_base64 is not None or not _is_json(sent.datacontenttype):
        return "`data` is a JSON object; no other content is read"
    return None


def _is_json(media_type: str | None) -> bool:
    if media_type is None:
        return True
    plain = media_type.partition(";")[0].strip().lower()
    return plain == "application/json" or plain.endswith("+json")
