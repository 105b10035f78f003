"""Run every case of a directory and say per area what came out."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import field
from enum import StrEnum
from pathlib import Path

import asyncpg

from api.conformance import (
    aggregations,
    billing_dates,
    charge_models,
    credits_entitlements,
    dunning,
    idempotency,
    invoice_math,
    metrics,
    proration,
    requirements,
)
from api.conformance.case import Area, Case, Found, Malformed, NotBuilt, load_cases, load_not_applicable
from api.conformance.compare import differences
from api.conformance.system import System, open_system
from api.local.throwaway import temporary_servers
from domain.kernel.errors import DomainError
from domain.kernel.values import dataclass
from migrations.run import upgrade

AREAS: Mapping[str, Area] = {
    "charge_models": charge_models.AREA,
    "aggregations": aggregations.AREA,
    "idempotency": idempotency.AREA,
    "requirements": requirements.AREA,
    "billing_dates": billing_dates.AREA,
    "proration": proration.AREA,
    "invoice_math": invoice_math.AREA,
    "credits_entitlements": credits_entitlements.AREA,
    "dunning": dunning.AREA,
    "metrics": metrics.AREA,
}
_NO_AREA = Area({})
_DATABASE = "conformance"
# The list that belongs to this source tree, for directories that bring none of their own.
_OWN_VECTORS = Path(__file__).resolve().parents[2] / "tests" / "vectors"


class Verdict(StrEnum):
    """What became of a case."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"
    UNKNOWN = "unknown kind"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A case with its verdict; `why` says what differed, which rule excludes it, or what there is no rule for."""

    case: Case
    verdict: Verdict
    why: tuple[str, ...] = ()


@dataclass(slots=True)
class Summary:
    """How many cases of an area came out how, and what its unknown kinds are."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


def run(directory: Path, report: Callable[[str], None]) -> int:
    """Check a directory against throw-away servers, report line by line, and return 0 if nothing failed.

    1: a case failed. 2: the directory holds no readable cases. A kind that the domain has no rule for is reported and
    is neither passed nor failed.
    """

    async def checked() -> list[Outcome]:
        async with _database(cases) as url:
            return await check(cases, not_applicable, url)

    try:
        cases = load_cases(directory)
        not_applicable = load_not_applicable(directory) or load_not_applicable(_OWN_VECTORS)
    except Malformed as error:
        report(str(error))
        return 2
    return tell(asyncio.run(checked()), report)


@asynccontextmanager
async def _database(cases: Sequence[Case]) -> AsyncIterator[str]:
    """Give the URL of an empty, migrated database where a case needs one, else nothing."""
    if not any(case.kind in AREAS.get(case.area, _NO_AREA).served for case in cases):
        yield ""
        return
    with tempfile.TemporaryDirectory() as logs, temporary_servers(Path(logs)) as servers:
        connection = await asyncpg.connect(**servers.postgres.asyncpg_arguments())
        await connection.execute(f"CREATE DATABASE {_DATABASE}")
        await connection.close()
        url = servers.postgres.dsn(_DATABASE)
        await upgrade(url)
        yield url


async def check(cases: Sequence[Case], not_applicable: Mapping[str, str], url: str) -> list[Outcome]:
    """Run cases, in order. `url` is an empty, migrated database; without one, no case may need it."""
    if not url:
        return [await _outcome(case, not_applicable, None) for case in cases]
    async with open_system(url) as system:
        return [await _outcome(case, not_applicable, system) for case in cases]


async def _outcome(case: Case, not_applicable: Mapping[str, str], system: System | None) -> Outcome:
    if case.id in not_applicable:
        return Outcome(case, Verdict.NOT_APPLICABLE, (not_applicable[case.id],))
    area = AREAS.get(case.area, _NO_AREA)
    try:
        found = await _found(case, area, system)
    except NotBuilt as missing:
        return Outcome(case, Verdict.UNKNOWN, (f"{case.kind}: {missing}",))
    except Exception as fault:  # noqa: BLE001 -- one case that breaks must not hide what becomes of the others
        return Outcome(case, Verdict.FAILED, (f"{type(fault).__name__}: {fault}",))
    if found is None:
        return Outcome(case, Verdict.UNKNOWN, (case.kind,))
    zone, other_methods = str(case.given.get("timezone", "UTC")), area.other_methods.get(case.kind, frozenset())
    faults = differences(case.expect, found, zone=zone, other_methods=other_methods)
    return Outcome(case, Verdict.FAILED if faults else Verdict.PASSED, tuple(faults))


async def _found(case: Case, area: Area, system: System | None) -> Found | None:
    """Ask the domain; None where it has no rule for the kind. What it refuses is found as an error."""
    try:
        if case.kind in area.served:
            assert system is not None, "a case about what is stored has a database"
            return await area.served[case.kind](system, case.given)
        return area.kinds[case.kind](case.given) if case.kind in area.kinds else None
    except DomainError as refused:
        return {"error": refused.message}


def tell(outcomes: Sequence[Outcome], report: Callable[[str], None]) -> int:
    """Report the summary of each area, every failed case, every unknown kind, and the sum; return 0 or 1."""
    summaries: dict[str, Summary] = {}
    for outcome in outcomes:
        summary = summaries.setdefault(outcome.case.area, Summary())
        summary.verdicts[outcome.verdict] += 1
        if outcome.verdict is Verdict.UNKNOWN:
            summary.unknown.update(outcome.why)
    for area, summary in summaries.items():
        counts = ", ".join(f"{summary.verdicts[verdict]} {verdict}" for verdict in Verdict)
        report(f"{area}: {counts}")
        for outcome in outcomes:
            if outcome.case.area == area and outcome.verdict is Verdict.FAILED:
                report(f"  {outcome.case.id} {outcome.case.kind}: {'; '.join(outcome.why)}")
        for kind, count in sorted(summary.unknown.items()):
            report(f"  unknown: {kind} ({count})")
    total = sum((summary.verdicts for summary in summaries.values()), Counter[Verdict]())
    report(f"{total[Verdict.PASSED]} passed, {total[Verdict.FAILED]} failed")
    return 1 if total[Verdict.FAILED] else 0
