"""Begin a comparison, or go on with the one under way, carry it to its end, and report what it found."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from api.local import demo
from api.seed import operator_call, operator_database
from api.verify import settings_at_home
from domain.adapters.stripe import StripeGateway
from domain.config import Settings
from domain.kernel.values import dataclass
from domain.payments.port import PaymentGateway
from domain.payments.reconciling import service
from domain.payments.reconciling.finding import Finding, Outcome
from domain.payments.reconciling.run import Run

# What a report prints; the rest is in the query driftFindings.
SHOWN_MAX = 100


@dataclass(frozen=True, slots=True)
class Report:
    """A comparison that came to its end, what it healed, and what of its environment needs a person.

    Of each the newest SHOWN_MAX are here, and how many there are in all.
    """

    run: Run
    healed: Sequence[Finding]
    waiting: Sequence[Finding]
    healed_count: int
    waiting_count: int

    def as_json(self) -> dict[str, Any]:
        """Write it for programs."""
        return {
            "environment": self.run.environment,
            "compared": self.run.compared,
            "window_start": self.run.window_start,
            "window_end": self.run.window_end,
            "healed_count": self.healed_count,
            "needs_person_count": self.waiting_count,
            "healed": [_facts(each) for each in self.healed],
            "needs_person": [_facts(each) for each in self.waiting],
        }


def settings_of(given: Settings) -> Settings:
    """Complete settings by those of the running system: without a Stripe key of one's own, its sandbox is asked.

    Raises LocalStackError where nothing runs.
    """
    whole = settings_at_home(given)
    if given.stripe_secret_key or not whole.dev:
        return whole
    return replace(whole, stripe_api_base=demo.read(given.home).sandbox_url or "")


async def reconcile(settings: Settings, *, tell: Callable[[str], None]) -> Report:
    """Compare everything now; `tell` is told of each stage. Raises StripeKeyMalformed, GatewayUnavailable."""
    gateway = StripeGateway(
        settings.stripe_secret_key,
        api_base=settings.stripe_api_base or None,
        calls_per_s=settings.stripe_calls_per_s,
    )
    try:
        return await _reconcile(settings, gateway, tell)
    finally:
        await gateway.close()


async def _reconcile(settings: Settings, gateway: PaymentGateway, tell: Callable[[str], None]) -> Report:
    async with operator_database(settings) as db:
        async with db.transaction() as tx:
            run = await service.start(tx, operator_call(), gateway, trigger="command")
        told = None
        while run.ended_at is None:
            if run.stage is not told:
                told = run.stage
                tell(f"comparing: {run.stage.replace('_', ' ')}")
            run = await service.go_on(db, gateway, operator_call(), run.id, steps=1)
        async with db.transaction() as tx:
            call = operator_call()
            healed = await service.list_findings(
                tx, call, outcome=Outcome.HEALED, run_id=run.id, before=None, limit=SHOWN_MAX
            )
            waiting = await service.list_findings(
                tx,
                call,
                environment=run.environment,
                outcome=Outcome.OPEN,
                run_id=None,
                before=None,
                limit=SHOWN_MAX,
            )
            counts = await service.count_healed(tx, run), await service.count_waiting(tx, run)
        return Report(run, healed, waiting, *counts)


def report(found: Report) -> Iterator[str]:
    """Write what was compared, healed, and is left to a person, a line each."""
    yield f"{found.run.compared:,} compared, {found.healed_count:,} healed, {found.waiting_count:,} need a person"
    for word, findings in (("healed", found.healed), ("person", found.waiting)):
        for each in findings:
            since = f"{each.first_seen_at:%Y-%m-%d}"
            yield f"  {word}  {each.kind}  {each.about}  ours: {each.ours}  theirs: {each.theirs}  since {since}"
    if found.healed_count > len(found.healed) or found.waiting_count > len(found.waiting):
        yield f"  the newest {SHOWN_MAX} of each; all of them: driftFindings"


def _facts(each: Finding) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "about": each.about,
        "ours": each.ours,
        "theirs": each.theirs,
        "first_seen_at": each.first_seen_at,
        "last_seen_at": each.last_seen_at,
    }
