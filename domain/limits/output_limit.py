"""How much a call may write at most that says nothing of it itself: a number of the plan (SEMANTICS 5.5)."""

from domain.plans.plan import PlanVersion

KEY = "output_limit"


def output_limit_of(version: PlanVersion) -> int | None:
    """Return the tokens that a plan version names; None where it names none."""
    for each in version.entitlements:
        if each.key == KEY and each.kind == "feature" and each.amount is not None:
            return int(each.amount)
    return None
