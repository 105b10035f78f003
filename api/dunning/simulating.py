"""Simulate a policy against given outcomes, or against the cases there have been."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from domain.access.roles import system_principal
from domain.adapters import clock
from domain.config import Settings
from domain.db import Database, Tx
from domain.dunning.case import Case
from domain.dunning.definition import DunningPolicyMalformed, PolicyVersion, read_policy
from domain.dunning.policies import service as policies
from domain.dunning.policies.service import DunningPolicyNotFound
from domain.dunning.policy import Policy
from domain.dunning.reading import service as reading
from domain.dunning.simulation import (
    CARD,
    METHOD_KINDS,
    OUTCOMES_MAX,
    PAID,
    Failed,
    Happening,
    Happens,
    days_after,
    simulate,
)
from domain.dunning.store import StoredCase
from domain.kernel.call import Call
from domain.kernel.unreadable import UNREADABLE
from domain.kernel.values import dataclass
from domain.payments import store as payments
from domain.payments.attempt import Attempt, AttemptState
from domain.vault import Vault

HISTORY_MAX = 100
_VERSION = "@"


@dataclass(frozen=True, slots=True)
class Single:
    """One payment, and how its attempts end."""

    failed_at: datetime
    outcomes: Sequence[str]
    method_kind: str
    zone: str


@dataclass(frozen=True, slots=True)
class History:
    """The newest cases."""


async def print_simulation(
    settings: Settings | None,
    wish: Single | History,
    *,
    rules: Path | None,
    policy: str,
    echo: Callable[[str], None],
) -> None:
    """Print what rules, of a file or of a stored policy, would do. Nothing is written.

    Raises DunningPolicyMalformed, DunningPolicyNotFound, OutcomesMalformed, SimulationOutOfBounds, ZoneUnknown.
    """
    if settings is None:
        assert rules is not None, "rules come from a file or from the database"
        assert isinstance(wish, Single), "the history is in the database"
        _print_single(read_rules(rules), wish, echo)
        return
    async with _reading(settings) as (tx, call):
        chosen = read_rules(rules) if rules is not None else await _stored(tx, call, policy)
        if isinstance(wish, Single):
            _print_single(chosen, wish, echo)
        else:
            await _print_history(tx, call, chosen, echo)


def read_rules(path: Path) -> Policy:
    """Read rules from a JSON file. Raises DunningPolicyMalformed."""
    try:
        given: Any = msgspec.json.decode(path.read_bytes())
    except (OSError, *UNREADABLE) as error:
        raise DunningPolicyMalformed(f"{path.name} cannot be read as JSON") from error
    if not isinstance(given, dict):
        raise DunningPolicyMalformed(f"{path.name} holds no object")
    return read_policy(given)


def lines_of(failed_at: datetime, calendar: Sequence[Happens]) -> list[str]:
    """Write a calendar, a line each: the instant, how long after the failure, and what happens."""
    return [
        f"{each.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC  {days_after(failed_at, each.at):>9}  {each.what:<8}{each.about}"
        for each in calendar
    ]


def _print_single(policy: Policy, wish: Single, echo: Callable[[str], None]) -> None:
    failed = Failed(wish.failed_at, wish.outcomes, wish.method_kind, wish.zone)
    for line in lines_of(wish.failed_at, simulate(policy, failed)):
        echo(line)


async def _print_history(tx: Tx, call: Call, policy: Policy, echo: Callable[[str], None]) -> None:
    cases = await reading.list_cases(tx, call, limit=HISTORY_MAX)
    attempts = await payments.list_attempts_of(tx, [(each.customer_id, each.invoice_id) for each in cases])
    methods = await payments.methods_by_id(
        tx, {each.method_id for tries in attempts.values() for each in tries if each.method_id}, scope=None
    )
    ends: dict[str, int] = {}
    for case in cases:
        tries = tries_of(case.case, attempts[case.invoice_id])
        first = next((each for each in tries if each.method_id in methods), None)
        tried = methods[first.method_id].kind if first is not None and first.method_id is not None else CARD
        kind = tried if tried in METHOD_KINDS else CARD
        calendar = simulate(policy, Failed(case.case.first_failed_at, outcomes_of(tries), kind))
        end = next((each for each in calendar if each.what is Happening.END), None)
        word = end.about if end is not None else "open"
        ends[word] = ends.get(word, 0) + 1
        day, owed = f"{case.case.first_failed_at:%Y-%m-%d}", f"{case.amount.major:>12} {case.amount.currency}"
        echo(f"{day}  {owed}  {_told(case, calendar)}")
    summed = ", ".join(f"{count} {word}" for word, count in sorted(ends.items())) or "none"
    echo(f"{len(cases)} cases: {summed}")


def _told(case: StoredCase, calendar: Sequence[Happens]) -> str:
    end = next((each for each in calendar if each.what is Happening.END), None)
    tries = sum(each.what is Happening.ATTEMPT for each in calendar)
    after = f"{end.about} after {days_after(case.case.first_failed_at, end.at)}" if end is not None else "open"
    return f"was {case.case.state}; would be {after}, {tries} attempts"


_ANSWERED = frozenset(
    (AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.ACTION_REQUIRED, AttemptState.RETURNED)
)


def tries_of(case: Case, newest_first: Sequence[Attempt]) -> list[Attempt]:
    """Return the attempts that a case is about, the oldest first: one that began anew is not about those before."""
    tries = [each for each in newest_first if each.ended_at is None or each.ended_at >= case.first_failed_at]
    return tries[::-1]


def outcomes_of(tries: Sequence[Attempt]) -> list[str]:
    """Return how the attempts of a case ended, the oldest first; what was not tried ends as the last one did."""
    found = [PAID if each.state is AttemptState.SUCCEEDED else _code(each) for each in tries if each.state in _ANSWERED]
    first = next((index for index, outcome in enumerate(found) if outcome != PAID), None)
    return found[first:][:OUTCOMES_MAX] if first is not None else ["generic_decline"]


def _code(attempt: Attempt) -> str:
    decline = attempt.decline
    return (decline.decline_code or decline.code or "generic_decline") if decline else "authentication_required"


async def _stored(tx: Tx, call: Call, name: str) -> Policy:
    """Return the rules of a stored policy: the newest version of a name, or the one that is asked for."""
    wanted, _, number = name.partition(_VERSION)
    versions: list[PolicyVersion] = [each for each in await policies.list_policies(tx, call) if each.name == wanted]
    found = next((each for each in versions if number in {"", str(each.number)}), None)
    if found is None:
        raise DunningPolicyNotFound
    return found.policy


@asynccontextmanager
async def _reading(settings: Settings) -> AsyncIterator[tuple[Tx, Call]]:
    """Open a transaction on the database of the settings."""
    db = Database(settings.database_url, Vault(*settings.master_keys()), pool_size=1)
    try:
        async with db.transaction() as tx:
            yield tx, Call(clock.new_id(), clock.now(), system_principal("dunning"), clock.new_id)
    finally:
        await db.close()
