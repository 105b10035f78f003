"""A dunning policy as data: written and read as JSON, within bounds, in versions that never change once active."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.dunning.cap import Cap
from domain.dunning.policy import AfterLast, Mail, Policy
from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import PolicyId
from domain.kernel.values import dataclass

NAME_LENGTH_MAX = 60
RETRIES_MAX = 10
REMINDERS_MAX = 10
DAYS_MAX = 60
GRACE_DAYS_MAX = 90
DEBIT_RETRIES_MAX = 2
CAPS_MAX = 20
CAP_HOURS_MAX = 60 * 24
CAP_TRIES_MAX = 100
DEFAULT = "default"


class PolicyState(StrEnum):
    """Only an active version is followed by new cases; a case keeps the version that it was opened under."""

    DRAFT = "draft"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(eq=False)
class DunningPolicyMalformed(DomainError):
    """That is no dunning policy: {what}."""

    code = "dunning_policy_malformed"
    kind = Kind.INVALID
    what: str


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One version of a policy. `number` counts the versions of a name."""

    id: PolicyId
    name: str
    number: int
    state: PolicyState
    policy: Policy
    created_at: datetime
    activated_at: datetime | None


def write_policy(policy: Policy) -> dict[str, Any]:
    """Write a policy as JSON values."""
    return {
        "retry_days": list(policy.retry_days),
        "grace_days": policy.grace_days,
        "debit_retries_max": policy.debit_retries_max,
        "local_hour": policy.local_hour,
        "after_last": policy.after_last.value,
        "last_notice_days": policy.last_notice_days,
        "mails": sorted(policy.mails),
        "caps": [asdict(cap) for cap in policy.caps],
        "due_reminder_days": list(policy.due_reminder_days),
        "overdue_reminder_days": list(policy.overdue_reminder_days),
    }


def read_policy(given: Mapping[str, Any]) -> Policy:
    """Read a policy; what is not said is the default's. Raises DunningPolicyMalformed."""
    default = Policy()
    unknown = sorted(given.keys() - write_policy(default).keys())
    if unknown:
        raise DunningPolicyMalformed(f"{', '.join(unknown)} is unknown")
    values = write_policy(default) | dict(given)
    return Policy(
        retry_days=_days("retry_days", values["retry_days"], RETRIES_MAX),
        grace_days=_whole("grace_days", values["grace_days"], 0, GRACE_DAYS_MAX),
        debit_retries_max=_whole("debit_retries_max", values["debit_retries_max"], 0, DEBIT_RETRIES_MAX),
        local_hour=_optional("local_hour", values["local_hour"], 0, 23),
        after_last=_after_last(values["after_last"]),
        last_notice_days=_optional("last_notice_days", values["last_notice_days"], 1, DAYS_MAX),
        mails=frozenset(_mail(each) for each in _listed("mails", values["mails"], len(Mail))),
        caps=tuple(_cap(each) for each in _listed("caps", values["caps"], CAPS_MAX)),
        due_reminder_days=_days("due_reminder_days", values["due_reminder_days"], REMINDERS_MAX),
        overdue_reminder_days=_days("overdue_reminder_days", values["overdue_reminder_days"], REMINDERS_MAX),
    )


def check_name(name: str) -> str:
    """Return a policy's name. Raises DunningPolicyMalformed."""
    if not (1 <= len(name) <= NAME_LENGTH_MAX and name.isprintable()):
        raise DunningPolicyMalformed(f"its name has 1 to {NAME_LENGTH_MAX} printable characters")
    return name


def _days(name: str, given: Any, most: int) -> tuple[int, ...]:
    return tuple(_whole(name, each, 1, DAYS_MAX) for each in _listed(name, given, most))


def _listed(name: str, given: Any, most: int) -> Sequence[Any]:
    if not isinstance(given, list | tuple) or len(given) > most:
        raise DunningPolicyMalformed(f"{name} is a list of at most {most}")
    return given


def _whole(name: str, given: Any, least: int, most: int) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
        raise DunningPolicyMalformed(f"{name} is a whole number from {least} to {most}")
    return given


def _optional(name: str, given: Any, least: int, most: int) -> int | None:
    return None if given is None else _whole(name, given, least, most)


def _after_last(given: Any) -> AfterLast:
    if given not in list(AfterLast):
        raise DunningPolicyMalformed(f"after_last is one of {', '.join(AfterLast)}")
    return AfterLast(given)


def _mail(given: Any) -> Mail:
    if given not in list(Mail):
        raise DunningPolicyMalformed(f"mails are some of {', '.join(Mail)}")
    return Mail(given)


def _cap(given: Any) -> Cap:
    if not isinstance(given, Mapping) or given.keys() - {"brand", "hours", "tries_max", "automatic"}:
        raise DunningPolicyMalformed("a cap has brand, hours, tries_max and automatic")
    brand, automatic = given.get("brand"), given.get("automatic", False)
    if not (brand is None or isinstance(brand, str)) or not isinstance(automatic, bool):
        raise DunningPolicyMalformed("a cap's brand is a text or null, and automatic is true or false")
    hours = _whole("hours", given.get("hours"), 1, CAP_HOURS_MAX)
    return Cap(brand, hours, _whole("tries_max", given.get("tries_max"), 1, CAP_TRIES_MAX), automatic)
