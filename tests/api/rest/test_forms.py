"""Decoding: exact numbers, and one bad event harms no other."""

from decimal import Decimal
from typing import Any

import pytest

from api.rest.forms import EventsMalformed, Form, convert, decode, form_of
from domain.usage.event import UsageEvent
from domain.usage.verdict import BatchTooLarge, Reason, Verdict

_ROW = (
    b'{"id":"a","type":"t","customer":"c","occurred_at":1768478400.25,"properties":{"x":0.1,"y":100000000000000000001}}'
)
_CLOUD = (
    b'{"specversion":"1.0","id":"a","source":"s","type":"t","subject":"c","data":{"x":0.1,"y":100000000000000000001}}'
)


@pytest.mark.parametrize(
    ("body", "form"),
    [(_ROW, Form.JSON), (b"[" + _ROW + b"]", Form.JSON), (_ROW, Form.LINES), (_CLOUD, Form.CLOUD_EVENTS)],
)
def test_decoding_gives_exact_numbers_and_never_a_float(body: bytes, form: Form) -> None:
    names, [event] = decode(body, form)
    assert names == ["a"]
    assert isinstance(event, UsageEvent)
    assert event.occurred_at in {Decimal("1768478400.25"), None}
    assert event.properties == {"x": Decimal("0.1"), "y": 100000000000000000001}
    assert [type(value) for value in event.properties.values()] == [Decimal, int]


def test_deep_nesting_in_one_event_does_no_harm_to_the_others() -> None:
    deep = b'{"id":"a","type":"t","customer":"c","properties":{"x":' + b"[" * 5000 + b"]" * 5000 + b"}}"
    with pytest.raises(EventsMalformed):
        decode(b"[" + deep + b"]", Form.JSON)
    names, events = decode(deep + b"\n" + _ROW, Form.LINES)
    assert names == [None, "a"]
    assert [isinstance(event, UsageEvent) for event in events] == [False, True]
    names, [event] = decode(b'{"id":"a","type":7}', Form.JSON)
    assert names == ["a"]
    assert isinstance(event, Verdict)
    assert event.reason is Reason.MALFORMED


@pytest.mark.parametrize("body", [b"", b"{", b"7", b"[1,]", b"[\xff]", b"[" * 100_000])
@pytest.mark.parametrize("form", [Form.JSON, Form.CLOUD_EVENTS])
def test_what_is_no_json_is_refused_whole(body: bytes, form: Form) -> None:
    with pytest.raises(EventsMalformed):
        decode(body, form)


def test_an_extension_of_a_cloud_event_may_name_the_subscription() -> None:
    _, [event] = decode(_CLOUD.replace(b'"data"', b'"subscription":"sub_1","data"'), Form.CLOUD_EVENTS)
    assert isinstance(event, UsageEvent)
    assert event.subscription == "sub_1"
    assert event.id == "s a"


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        (None, Form.JSON),
        ("application/json", Form.JSON),
        ("application/x-www-form-urlencoded", Form.JSON),  # what curl says unless told
        ("APPLICATION/X-NDJSON; charset=utf-8", Form.LINES),
        ("application/cloudevents+json", Form.CLOUD_EVENTS),
        ("application/cloudevents-batch+json;charset=utf-8", Form.CLOUD_EVENTS),
    ],
)
def test_the_content_type_tells_the_form(content_type: str | None, form: Form) -> None:
    assert form_of(content_type) is form


def test_events_that_were_decoded_already_are_read_with_the_same_care() -> None:
    good: dict[str, Any] = {"id": "a", "type": "t", "customer": "c", "properties": {"x": Decimal("0.1")}}
    names, [event] = convert([good])
    assert names == ["a"]
    assert isinstance(event, UsageEvent)
    assert event.properties == {"x": Decimal("0.1")}
    names, events = convert([good, {**good, "id": 7}, 7, {**good, "odd": 1}, {"id": "b"}])
    assert names == ["a", None, None, "a", "b"]
    assert [isinstance(each, UsageEvent) for each in events] == [True, False, False, False, False]
    with pytest.raises(BatchTooLarge):
        convert([7] * 1001)
