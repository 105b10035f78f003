"""`tollgate dunning simulate`."""

import json
from pathlib import Path

import pytest

from api.dunning.simulating import outcomes_of, tries_of
from domain.dunning.case import Case, CaseState
from domain.dunning.definition import DunningPolicyMalformed
from domain.dunning.policies.service import DunningPolicyNotFound
from domain.payments.attempt import AttemptState
from domain.payments.declines import Decline, DeclineClass
from tests import make
from tests.api import command
from tests.domain.payments.examples import attempt

_AT = "--failed-at=2026-03-01T10:00:00Z"


async def test_rules_of_a_file_need_no_database(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"retry_days": [3], "grace_days": 3, "after_last": "cancel", "last_notice_days": 1}))
    status, told = await command.run("", "dunning", "simulate", f"--rules={rules}", _AT)
    assert status == 0
    assert [line.split("UTC")[1].split() for line in told.splitlines()] == [
        ["0", "d", "attempt", "insufficient_funds"],
        ["0", "d", "mail", "payment_failed"],
        ["2", "d", "mail", "last_notice"],
        ["3", "d", "attempt", "insufficient_funds"],
        ["3", "d", "access", "suspended"],
        ["3", "d", "end", "cancel"],
        ["3", "d", "mail", "ended"],
    ]
    assert told.startswith("2026-03-01 10:00 UTC")


@pytest.mark.parametrize("written", ["no json", "[]", '{"retry_days": [0]}'])
async def test_rules_that_are_none_are_refused(tmp_path: Path, written: str) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(written)
    with pytest.raises(DunningPolicyMalformed):
        await command.run("", "dunning", "simulate", f"--rules={rules}", _AT)


async def test_a_stored_policy_is_found_by_name_and_version(database_url: str) -> None:
    asked = ("dunning", "simulate", "--outcomes=insufficient_funds,paid", _AT)
    for name in ("default", "default@1"):
        status, told = await command.run(database_url, *asked, f"--policy={name}")
        assert (status, told.splitlines()[-1].split()[-2:]) == (0, ["end", "paid"])
    with pytest.raises(DunningPolicyNotFound):
        await command.run(database_url, *asked, "--policy=default@2")
    status, told = await command.run(database_url, "dunning", "simulate", "--history")
    assert (status, told) == (0, "0 cases: none\n")


async def test_an_instant_without_an_offset_is_refused() -> None:
    status, told = await command.run("", "dunning", "simulate", "--failed-at=2026-03-01")
    assert (status, "with an offset" in told) == (2, True)


def test_the_outcomes_of_a_case_begin_with_its_first_failure() -> None:
    funds = Decline(DeclineClass.SOFT, "card_declined", "insufficient_funds")
    failed = attempt(AttemptState.FAILED, decline=funds)
    waits, paid = attempt(AttemptState.ACTION_REQUIRED), attempt(AttemptState.SUCCEEDED)
    assert outcomes_of([paid, failed, waits, paid]) == ["insufficient_funds", "authentication_required", "paid"]
    assert outcomes_of([paid]) == ["generic_decline"]


def test_a_case_that_began_anew_is_not_about_what_was_tried_before() -> None:
    case = Case(CaseState.OPEN, make.at("2026-03-05"), 0, None, None)
    before = attempt(AttemptState.FAILED, ended_at=make.at("2026-03-01"))
    returned = attempt(AttemptState.RETURNED, ended_at=make.at("2026-03-05"))
    waits = attempt(AttemptState.ACTION_REQUIRED)
    assert tries_of(case, [waits, returned, before]) == [returned, waits]
