"""Every worked case of this folder through the runner, and what the runner says of cases that are wrong."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from api.conformance.case import Case, Malformed, load_cases, load_not_applicable
from api.conformance.compare import differences
from api.conformance.run import AREAS, Outcome, Verdict, check, run, tell

_HERE = Path(__file__).parent
# What passes in each area. A kind that is not looked for any more would pass unseen: these only ever grow.
_PASSED = {
    "aggregations": 36,
    "billing_dates": 87,
    "charge_models": 109,
    "credits_entitlements": 32,
    "dunning": 9,
    "idempotency": 14,
    "invoice_math": 42,
    "metrics": 34,
    "proration": 73,
    "requirements": 33,
}
_CASES = load_cases(_HERE)


@pytest.fixture(scope="module")
def pure() -> list[Case]:
    """Return the cases that need no database."""
    return [case for case in _CASES if case.area not in AREAS or case.kind not in AREAS[case.area].served]


def _failed(outcomes: Sequence[Outcome]) -> list[tuple[str, tuple[str, ...]]]:
    return [(outcome.case.id, outcome.why) for outcome in outcomes if outcome.verdict is Verdict.FAILED]


async def test_every_case_passes_that_the_domain_has_a_rule_for(database_url: str) -> None:
    outcomes = await check(_CASES, load_not_applicable(_HERE), database_url)
    assert _failed(outcomes) == []
    unknown = {(outcome.case.area, outcome.case.kind) for outcome in outcomes if outcome.verdict is Verdict.UNKNOWN}
    assert unknown == set()
    passed = Counter(outcome.case.area for outcome in outcomes if outcome.verdict is Verdict.PASSED)
    assert passed == _PASSED


def test_every_area_of_the_cases_is_accounted_for() -> None:
    assert {case.area for case in _CASES} == _PASSED.keys()


async def test_no_case_passes_with_another_figure(pure: list[Case]) -> None:
    """Change one expected figure of each pure case: the case must fail, naming that figure."""
    passing = [outcome.case for outcome in await check(pure, {}, "") if outcome.verdict is Verdict.PASSED]
    changed, keys = [], []
    for case in passing:
        for key, value in case.expect.items():
            other = _another(value)
            if other is not None and differences({key: other}, {key: value}, zone="UTC"):
                changed.append(Case(f"{case.id} {key}", case.area, case.given, {**case.expect, key: other}))
                keys.append(key)
    assert len(changed) > 200
    side_by_side = {name for area in AREAS.values() for names in area.other_methods.values() for name in names}
    for key, outcome in zip(keys, await check(changed, {}, ""), strict=True):
        if key not in side_by_side:
            assert outcome.verdict is Verdict.FAILED, outcome.case.id
            assert outcome.why[0].startswith(f"{key}:"), outcome.why


def _another(value: Any) -> Any:
    """Return a figure of the same type that differs from this one; None where there is none to try."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str) and value.replace(".", "", 1).removeprefix("-").isdecimal():
        return f"{value}1" if "." in value else f"{value}.1"
    return None


async def _judge(given: dict[str, Any], expect: dict[str, Any], **rules: str) -> Outcome:
    [outcome] = await check([Case("X-1", "charge_models", given, expect)], rules, "")
    return outcome


_PRICED = {"model": "standard", "unit_amount": "10", "units": "3"}


async def test_a_figure_that_nobody_answers_and_a_refusal_that_nobody_expects_fail() -> None:
    assert (await _judge(_PRICED, {"amount": "30"})).verdict is Verdict.PASSED
    assert (await _judge(_PRICED, {"amount": "30", "colour": "red"})).why == ("colour: expected red, not found",)
    refused = await _judge({**_PRICED, "unit_amount": "-1"}, {"amount": "-3"})
    assert refused.verdict is Verdict.FAILED
    assert refused.why[-1].startswith("refused: The definition cannot be published")
    broken = await _judge({"model": "standard"}, {"amount": "30"})
    assert (broken.verdict, broken.why) == (Verdict.FAILED, ("KeyError: 'unit_amount'",))


async def test_what_must_be_refused_is() -> None:
    open_end = [{"up_to": "10", "unit_amount": "1", "flat_amount": "0"}]
    expect = {"error": "no open tier", "source_amount": "10", "recommended": "refuse"}
    assert (await _judge({"model": "graduated", "tiers": open_end, "units": "12"}, expect)).verdict is Verdict.PASSED
    tiers = [{"up_to": None, "unit_amount": "1", "flat_amount": "0"}]
    bought = {"model": "graduated", "tiers": tiers, "units": "-1"}
    assert (await _judge(bought, {"error": "negative quantity"})).verdict is Verdict.PASSED
    assert (await _judge({**bought, "units": "1"}, {"error": "negative quantity"})).verdict is Verdict.FAILED


async def test_unknown_kinds_and_excluded_cases_are_neither_passed_nor_failed() -> None:
    unknown = await _judge({"model": "barter"}, {"amount": "1"})
    assert (unknown.verdict, unknown.why) == (Verdict.UNKNOWN, ("barter",))
    excluded = await _judge(_PRICED, {"amount": "31"}, **{"X-1": "10: not part of the product"})
    assert (excluded.verdict, excluded.why) == (Verdict.NOT_APPLICABLE, ("10: not part of the product",))


def test_the_report_has_a_line_for_each_area_and_ends_with_the_sum() -> None:
    said: list[str] = []
    outcomes = [
        Outcome(Case("A-1", "letters", {"kind": "a"}, {}), Verdict.PASSED),
        Outcome(Case("A-2", "letters", {"kind": "a"}, {}), Verdict.FAILED, ("amount: expected 1, found 2",)),
        Outcome(Case("A-3", "letters", {"kind": "z"}, {}), Verdict.UNKNOWN, ("z",)),
        Outcome(Case("B-1", "numbers", {"kind": "b"}, {}), Verdict.NOT_APPLICABLE, ("10",)),
    ]
    assert tell(outcomes, said.append) == 1
    assert said == [
        "letters: 1 passed, 1 failed, 0 not applicable, 1 unknown kind",
        "  A-2 a: amount: expected 1, found 2",
        "  unknown: z (1)",
        "numbers: 0 passed, 0 failed, 1 not applicable, 0 unknown kind",
        "1 passed, 1 failed",
    ]
    assert tell(outcomes[:1], said.append) == 0
    assert said[-1] == "1 passed, 0 failed"


def test_a_directory_of_pure_cases_runs_without_a_database(tmp_path: Path) -> None:
    case = {"id": "X-1", "area": "charge_models", "given": _PRICED, "expect": {"amount_minor": 3000}}
    (tmp_path / "cases.json").write_text(json.dumps([case]), encoding="utf-8")
    said: list[str] = []
    assert run(tmp_path, said.append) == 0
    assert said[-1] == "1 passed, 0 failed"


def test_cases_about_what_is_stored_get_a_database_of_their_own(tmp_path: Path) -> None:
    [case] = [case for case in _CASES if case.id == "ID-012"]
    entry = {"id": case.id, "area": case.area, "given": case.given, "expect": case.expect}
    (tmp_path / "cases.json").write_text(json.dumps([entry]), encoding="utf-8")
    said: list[str] = []
    assert run(tmp_path, said.append) == 0
    assert said[-1] == "1 passed, 0 failed"


@pytest.mark.parametrize("text", ["{}", "[1]", "[{}]", "[", '[{"id": "1", "area": "a", "given": 1, "expect": {}}]'])
def test_a_file_that_holds_no_cases_is_said_to(tmp_path: Path, text: str) -> None:
    (tmp_path / "cases.json").write_text(text, encoding="utf-8")
    said: list[str] = []
    assert run(tmp_path, said.append) == 2
    assert said[0].startswith("cases.json")


def test_an_empty_directory_and_an_id_that_is_there_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        load_cases(tmp_path)
    case = {"id": "X-1", "area": "a", "given": {}, "expect": {}}
    (tmp_path / "cases.json").write_text(json.dumps([case, case]), encoding="utf-8")
    with pytest.raises(Malformed, match="twice"):
        load_cases(tmp_path)


def test_what_does_not_apply_names_a_case_and_the_rule_that_excludes_it() -> None:
    assert load_not_applicable(_HERE).keys() <= {case.id for case in _CASES}
    assert all(load_not_applicable(_HERE).values())


def test_recorded_figures_of_sources_are_not_asserted_and_numbers_are_compared_by_value() -> None:
    found = {"amount": 3, "half_rounded2": "0.125", "exact": "1/3", "when": None}
    expect = {
        "amount": "3.0",
        "half_rounded2": "0.13",
        "exact": "0.3333",
        "when": None,
        "source_amount": "4",
        "wrong_amount": "5",
        "rounded_difference_would_give": 6,
        "reason": "7",
    }
    assert differences(expect, found, zone="UTC") == []
    assert differences({"when": "0"}, found, zone="UTC") == ["when: expected 0, found None"]
