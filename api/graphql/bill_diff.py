"""Why an invoice differs from the one before it."""

import strawberry

from api.graphql import ids
from api.graphql.enums import name_enum
from api.graphql.permissions import guarded_type
from api.graphql.scalars import Money, money_of
from domain.access.roles import Permission
from domain.invoices.billdiff import diff as diffs

name_enum(
    diffs.Cause,
    "BillDiffCause",
    "What a part of the difference comes from.",
    PLAN="Fees of another plan or interval, fees that one of the two has not, and what another plan's prices make of "
    "the earlier usage.",
    PRICE="What another price of the same plan makes of the earlier quantity.",
    USAGE="What another quantity makes at the later price; what rounding leaves is here.",
    PRORATION="Changes inside a fee period, short fee periods, and corrections of earlier invoices.",
    DISCOUNTS="What coupons take off.",
    TAX="Tax on top of the amounts; tax that prices contain moves with them.",
    OTHER="One-off charges.",
    CREDITS="What balances and credit notes pay of the total.",
)


@guarded_type(Permission.INVOICE_READ, "One thing that changed from one invoice to the next.")
class BillDiffChange:
    """A change."""

    description: str = strawberry.field(description="For people.")
    amount: Money = strawberry.field(description="What it adds to the later invoice; negative takes off.")


@guarded_type(Permission.INVOICE_READ, "What one cause adds to the later invoice.")
class BillDiffPart:
    """A part."""

    cause: diffs.Cause = strawberry.field(description="Where it comes from.")
    amount: Money = strawberry.field(description="What all its changes add up to; negative takes off.")
    changes: list[BillDiffChange] = strawberry.field(description="The ten largest of them, the largest first.")


@guarded_type(Permission.INVOICE_READ, "Why an invoice differs from the one before it.")
class BillDiff:
    """A comparison."""

    previous_id: strawberry.ID = strawberry.field(
        description="`inv_…` of the newest invoice opened before it, not void, that bills one of its subscriptions."
    )
    previous_number: str | None = strawberry.field(description="Its number.")
    previous_total: Money = strawberry.field(description="Its total.")
    difference: Money = strawberry.field(description="The total less the previous total.")
    parts: list[BillDiffPart] = strawberry.field(
        description="They add up to `difference` exactly; causes that changed nothing are left out."
    )
    credits: BillDiffPart = strawberry.field(
        description="How much more or less balances and credit notes leave to be collected; no part of the totals."
    )
    due_difference: Money = strawberry.field(
        description="The difference of what is to be collected: `difference` plus `credits`."
    )


def diff_of(value: diffs.BillDiff) -> BillDiff:
    """Wrap a comparison."""
    return BillDiff(
        previous_id=ids.id_of("invoice", value.before.id),
        previous_number=value.before.number,
        previous_total=money_of(value.before.total),
        difference=money_of(value.difference),
        parts=[_part_of(part) for part in value.parts],
        credits=_part_of(value.credits),
        due_difference=money_of(value.due_difference),
    )


def _part_of(value: diffs.Part) -> BillDiffPart:
    return BillDiffPart(
        cause=value.cause,
        amount=money_of(value.amount),
        changes=[BillDiffChange(description=each.description, amount=money_of(each.amount)) for each in value.changes],
    )
