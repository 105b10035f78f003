"""Kinds of events have public names; whatever has none gets one, with its ids alone."""

import pytest

from domain.webhooks.event_kind import (
    KINDS,
    EventPatternsTooMany,
    EventPatternUnknown,
    check_patterns,
    kind_of,
    matches,
)


def test_names_and_own_types_are_each_used_once() -> None:
    assert len({kind.name for kind in KINDS}) == len({kind.told for kind in KINDS}) == len(KINDS)


def test_a_known_type_has_its_line() -> None:
    kind = kind_of("payment_failed", {})
    assert (kind.name, kind.facts) == ("payment.failed", ("invoice_id", "attempt_id", "decline_class"))


def test_an_unknown_type_is_told_with_ids_alone() -> None:
    kind = kind_of("refund_sent", {"refund_id": "re_1", "note": "private", "attempt_id": "att_1"})
    assert (kind.name, kind.facts) == ("refund.sent", ("attempt_id", "refund_id"))


@pytest.mark.parametrize(
    ("patterns", "is_wanted"),
    [
        (["*"], True),
        (["invoice.*"], True),
        (["invoice.paid"], True),
        (["invoice.opened", "payment.*"], False),
        ([], False),
    ],
)
def test_a_pattern_is_a_type_a_group_or_everything(patterns: list[str], *, is_wanted: bool) -> None:
    assert matches(patterns, "invoice.paid") is is_wanted


def test_patterns_are_kept_in_order_and_once() -> None:
    assert check_patterns(["payment.*", "invoice.paid", "payment.*"]) == ("payment.*", "invoice.paid")
    assert check_patterns(["*"]) == ("*",)


@pytest.mark.parametrize("pattern", ["", "invoice", "invoice.", "invoice.gone", "none.*", "*.*", "invoice.*.*"])
def test_a_pattern_that_names_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(EventPatternUnknown):
        check_patterns([pattern])


def test_the_number_of_patterns_is_bounded() -> None:
    with pytest.raises(EventPatternsTooMany):
        check_patterns([])
    with pytest.raises(EventPatternsTooMany):
        check_patterns([f"invoice.{number}" for number in range(51)])
