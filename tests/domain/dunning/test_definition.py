"""Policies as data."""

import json
from pathlib import Path

import pytest

from domain.dunning.cap import Cap
from domain.dunning.definition import DunningPolicyMalformed, check_name, read_policy, write_policy
from domain.dunning.policy import AfterLast, Mail, Policy

_MIGRATION = Path(__file__).resolve().parents[3] / "migrations/versions"


def test_a_policy_is_read_as_it_was_written_and_what_is_not_said_is_the_defaults() -> None:
    ours = Policy((1, 3), 0, 1, 9, AfterLast.FALL_BACK, None, frozenset({Mail.ENDED}), (Cap("visa", 24, 2),))
    assert read_policy(json.loads(json.dumps(write_policy(ours)))) == ours
    assert read_policy({}) == Policy()
    assert read_policy({"grace_days": 3}).retry_days == (2, 5, 7)


def test_the_default_policy_in_the_database_is_the_default_of_the_rules() -> None:
    [migration] = _MIGRATION.glob("*_dunning.py")
    text = migration.read_text()
    rules = text[text.index("'{") + 1 : text.index("}]}'") + 3]
    assert read_policy(json.loads(rules)) == Policy()


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        ({"retries": 3}, "retries is unknown"),
        ({"retry_days": [0]}, "retry_days is a whole number from 1 to 60"),
        ({"retry_days": [True]}, "retry_days is a whole number from 1 to 60"),
        ({"retry_days": list(range(1, 12))}, "retry_days is a list of at most 10"),
        ({"retry_days": "2,5"}, "retry_days is a list of at most 10"),
        ({"grace_days": 91}, "grace_days is a whole number from 0 to 90"),
        ({"debit_retries_max": 3}, "debit_retries_max is a whole number from 0 to 2"),
        ({"local_hour": 24}, "local_hour is a whole number from 0 to 23"),
        ({"after_last": "pray"}, "after_last is one of unpaid, cancel, fall_back, write_off"),
        ({"mails": ["poem"]}, "mails are some of payment_failed, retry_failed, access_restricted, last_notice, ended"),
        ({"caps": [{"brand": "visa", "hours": 24, "tries": 1}]}, "a cap has brand, hours, tries_max and automatic"),
        ({"caps": [{"brand": 7, "hours": 24, "tries_max": 1}]}, "a cap's brand is a text or null"),
        ({"caps": [{"hours": 24, "tries_max": 0}]}, "tries_max is a whole number from 1 to 100"),
    ],
)
def test_rules_out_of_bounds_are_refused_with_what_is_wrong(rules: dict[str, object], what: str) -> None:
    with pytest.raises(DunningPolicyMalformed) as refused:
        read_policy(rules)
    assert refused.value.what.startswith(what)


def test_a_name_is_short_and_printable() -> None:
    assert check_name("default") == "default"
    for name in ("", "x" * 61, "a\nb"):
        with pytest.raises(DunningPolicyMalformed):
            check_name(name)
