"""The envelope: what is accepted, how it is identified, and when."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.usage.event import (
    POSITIONS,
    Envelope,
    UsageEvent,
    event_digest,
    identity_of,
    in_window,
    read_event,
    read_instant,
    read_number,
    row_id,
    row_ids_between,
)
from domain.usage.verdict import Reason, Status, Verdict
from tests import make

_NAME = "cus_01jb0000000000000000000000"


def _read(event_id: str = "e1", **fields: Any) -> Envelope:
    read = read_event(UsageEvent(event_id, **{"type": "llm.call", "customer": _NAME, **fields}))
    assert isinstance(read, Envelope)
    return read


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": ""}, Reason.TEXT_MALFORMED),
        ({"id": "x" * 256}, Reason.TEXT_MALFORMED),
        ({"id": "a\0b"}, Reason.TEXT_MALFORMED),
        ({"type": "\ud800"}, Reason.TEXT_MALFORMED),
        ({"type": "x" * 101}, Reason.TEXT_MALFORMED),
        ({"customer": "\udfff"}, Reason.CUSTOMER_MALFORMED),
        ({"subscription": ""}, Reason.SUBSCRIPTION_MALFORMED),
        ({"corrects": ""}, Reason.CORRECTS_MALFORMED),
        ({"corrects": "e\0"}, Reason.CORRECTS_MALFORMED),
        ({"type": "void"}, Reason.CORRECTS_MALFORMED),
        ({"occurred_at": "yesterday"}, Reason.TIMESTAMP_UNREADABLE),
        ({"properties": {f"p{n}": 1 for n in range(33)}}, Reason.TOO_MANY_PROPERTIES),
        ({"properties": {"": 1}}, Reason.TEXT_MALFORMED),
        ({"properties": {"a\0": 1}}, Reason.TEXT_MALFORMED),
        ({"properties": {"a": "\0"}}, Reason.TEXT_MALFORMED),
        ({"properties": {"a": "\ud800"}}, Reason.TEXT_MALFORMED),
        ({"properties": {"a": "x" * 1001}}, Reason.TEXT_MALFORMED),
        ({"properties": {"a": [1]}}, Reason.PROPERTY_NOT_SCALAR),
        ({"properties": {"a": {"b": 1}}}, Reason.PROPERTY_NOT_SCALAR),
        ({"properties": {"a": 0.1}}, Reason.PROPERTY_NOT_SCALAR),
        ({"properties": {"a": Decimal("1e400")}}, Reason.NUMBER_OUT_OF_RANGE),
        ({"properties": {"a": 10**20}}, Reason.NUMBER_OUT_OF_RANGE),
    ],
)
def test_what_is_not_well_formed_is_rejected_with_its_reason(fields: dict[str, Any], reason: Reason) -> None:
    event = UsageEvent(**{"id": "e1", "type": "llm.call", "customer": _NAME, **fields})
    read = read_event(event)
    assert isinstance(read, Verdict)
    assert (read.status, read.reason) == (Status.REJECTED, reason)
    assert read.message


def test_32_properties_the_longest_texts_and_a_written_escape_are_accepted() -> None:
    properties = {f"p{n:02}": None for n in range(29)} | {"text": "x" * 1000, "flag": True, "escape": "\\u0000"}
    assert _read("x" * 255, type="y" * 100, properties=properties).properties == properties


def test_numbers_are_kept_exactly_in_their_plain_form() -> None:
    assert read_number(Decimal("0.1")) == Decimal("0.1")
    assert str(read_number(Decimal("1.50"))) == "1.5"
    assert read_number(Decimal("2E+3")) == 2000
    assert type(read_number(Decimal("7.000"))) is int
    assert read_number(Decimal("-0.0")) == 0
    # 20 digits before the point and 18 after it are the most.
    assert read_number(10**20 - 1) == 10**20 - 1
    assert read_number(Decimal("99999999999999999999.999999999999999999")) is not None
    assert read_number(Decimal("1E-18")) == Decimal("1E-18")
    for refused in (10**20, Decimal("1E-19"), Decimal("1E+20"), Decimal("NaN"), Decimal("Infinity")):
        assert read_number(refused) is None


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-01-15T12:00:00Z", "2026-01-15T12:00"),
        ("2026-01-15T13:00:00+01:00", "2026-01-15T12:00"),
        ("2026-01-15T12:00:00.1234567Z", "2026-01-15T12:00:00.123456"),
        # 2026-01-15 is 20,468 days after 1970-01-01: 20,468 x 86,400 = 1,768,435,200; noon is 43,200 s later.
        (1768478400, "2026-01-15T12:00"),
        (Decimal("1768478400.123456"), "2026-01-15T12:00:00.123456"),
        (Decimal("1768478400.0000019"), "2026-01-15T12:00:00.000001"),
        (-1, "1969-12-31T23:59:59"),
    ],
)
def test_instants_are_read_exactly(written: object, instant: str) -> None:
    assert read_instant(written) == make.at(instant)


@pytest.mark.parametrize(
    "written",
    ["", "now", "2026-01-15", "2026-01-15T12:00:00", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00", "1768478400"],
)
def test_texts_that_name_no_instant_are_unreadable(written: str) -> None:
    assert read_instant(written) is None


@pytest.mark.parametrize("written", [True, 1.5, 10**13, Decimal("1E+400"), Decimal("NaN"), [], {}])
def test_values_that_name_no_instant_are_unreadable(written: object) -> None:
    assert read_instant(written) is None


def test_both_ends_of_the_window_belong_to_it() -> None:
    now, step = make.at("2026-03-15T12:00"), timedelta(microseconds=1)
    assert in_window(make.at("2026-02-08T12:00"), now)
    assert not in_window(make.at("2026-02-08T12:00") - step, now)
    assert in_window(make.at("2026-03-15T12:05"), now)
    assert not in_window(make.at("2026-03-15T12:05") + step, now)


def test_the_payload_digest_ignores_how_the_same_payload_is_written() -> None:
    first = _read(occurred_at="2026-01-15T12:00:00Z", properties={"a": Decimal("1.50"), "b": "x"})
    same = _read("e2", occurred_at="2026-01-15T13:00:00+01:00", properties={"b": "x", "a": Decimal("1.5")})
    assert first.payload_digest == same.payload_digest


@pytest.mark.parametrize(
    "fields",
    [
        {"properties": {"a": 2}},
        {"properties": {"a": "1"}},
        {"properties": {"a": True}},
        {"properties": {"a": 1, "b": None}},
        {"type": "edge.request"},
        {"subscription": "sub_x"},
        {"occurred_at": 0},
    ],
)
def test_any_other_payload_has_another_digest(fields: dict[str, Any]) -> None:
    assert _read(**{"properties": {"a": 1}, **fields}).payload_digest != _read(properties={"a": 1}).payload_digest


def test_identity_is_of_customer_source_and_id_together() -> None:
    one = identity_of("c", "s", "1")
    assert len(one) == 16
    assert one == identity_of("c", "s", "1")
    assert len({one, identity_of("d", "s", "1"), identity_of("c", "t", "1"), identity_of("c", "s", "2")}) == 4


def test_an_event_row_has_a_uuidv7_of_its_time_and_identity() -> None:
    made = row_id(make.at("2026-01-15T12:00"), identity_of("c", "s", "1"))
    # 1,768,478,400,000 milliseconds are 0x19bc19d3800.
    assert int.from_bytes(made[:6], "big") == 1_768_478_400_000
    assert made[6] >> 4 == 7
    assert made[8] >> 6 == 2
    assert made != row_id(make.at("2026-01-15T12:00"), identity_of("c", "s", "2"))


def test_event_rows_of_one_millisecond_are_in_the_order_in_which_they_were_sent() -> None:
    at = make.at("2026-01-15T12:00")
    made = [row_id(at, identity_of("c", "s", str(place)), place) for place in range(POSITIONS)]
    assert made == sorted(set(made))
    low, high = row_ids_between(at)
    assert low < made[0] < made[-1] < high < row_id(at + timedelta(milliseconds=1), bytes(16))


def test_the_event_digest_covers_what_was_counted_and_not_how_a_cost_is_written() -> None:
    at, identity = make.at("2026-01-15T12:00"), bytes(16)
    digest = event_digest(identity, at, b"{}", Decimal("0.10"))
    assert digest == event_digest(identity, at, b"{}", Decimal("0.1"))
    assert 0 <= digest < 2**256
    others = (
        event_digest(bytes([1] * 16), at, b"{}", Decimal("0.1")),
        event_digest(identity, make.at("2026-01-15T12:01"), b"{}", Decimal("0.1")),
        event_digest(identity, at, b'{"a":1}', Decimal("0.1")),
        event_digest(identity, at, b"{}", None),
    )
    assert digest not in others
