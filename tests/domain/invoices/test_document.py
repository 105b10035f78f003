"""The words on an invoice."""

from domain.invoices import document
from domain.kernel.period import Period
from tests import make

_JANUARY = Period(make.at("2026-01-01"), make.at("2026-02-01"))


def test_usage_summed_over_its_dimensions_is_named_by_its_meter() -> None:
    assert document.describe_usage("Edge", "Requests", [], [_JANUARY], "UTC") == (
        "Edge usage: Requests, 1 Jan 2026 – 1 Feb 2026"  # noqa: RUF001 - a range
    )


def test_a_dimension_that_events_left_out_is_said_to_be_missing() -> None:
    assert "openai / (none)," in document.describe_usage("LLM", "Cost", ["openai", ""], [_JANUARY], "UTC")


def test_a_cap_says_that_it_is_not_charged() -> None:
    assert document.describe_cap("LLM", [_JANUARY], "UTC") == (
        "LLM: above the monthly cost cap, not charged, 1 Jan 2026 – 1 Feb 2026"  # noqa: RUF001 - a range
    )


def test_an_adjustment_of_an_adjustment_is_named_once() -> None:
    once = document.describe_adjustment("usage")
    assert (once, document.describe_adjustment(once)) == ("Adjustment: usage", "Adjustment: usage")


def test_long_values_are_cut_to_the_bound() -> None:
    text = document.describe_usage("LLM", "Cost", ["x" * 200] * 5, [_JANUARY], "UTC")
    assert len(text) == document.DESCRIPTION_LENGTH_MAX
    assert text.endswith("…")


def test_a_dimension_key_tells_combinations_apart_whatever_their_order_and_length() -> None:
    key = document.dimension_key({"provider": "gemini", "model": "pro"})
    assert key == document.dimension_key({"model": "pro", "provider": "gemini"})
    assert key != document.dimension_key({"provider": "gemini,model=pro", "model": ""})
    assert len(document.dimension_key({"provider": "x" * 200})) == 32
    assert document.dimension_key({}) == ""
