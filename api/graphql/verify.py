"""Explain and verify: a line's quantities by the hour, and an invoice beside what its stored events come to."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.permissions import guarded_type
from api.graphql.scalars import BigInt, Json, exact
from domain.access.roles import Permission
from domain.invoices import service as invoices
from domain.invoices.verification import Difference, LineCheck, Outcome, TotalCheck, Verification
from domain.invoices.verifying import service

name_enum(
    Outcome,
    "VerificationOutcome",
    "What a recomputation from the stored events shows.",
    EQUAL="It is what its events come to.",
    DIFFERENT="It is not; the differences say where.",
    ARCHIVED="Nothing differs, but events were dropped when their time was over: it cannot be recomputed any more.",
)


@guarded_type(Permission.INVOICE_READ, "What a line's meter counted in one hour.")
class LineHour:
    """An hour."""

    at: datetime = strawberry.field(description="When it begins, a full hour of the customer's zone.")
    quantity: Decimal = strawberry.field(description="In the line's unit, exact.")
    events: BigInt = strawberry.field(description="How many events were counted.")
    digest: str = strawberry.field(
        description="Sum of the events' digests modulo 2^256, in hexadecimal; the line's is the sum of its hours'."
    )


@guarded_type(Permission.INVOICE_READ, "Where what is stored is not what was recomputed.")
class VerificationDifference:
    """A difference."""

    field: str = strawberry.field(description="What differs, such as amount_minor or derivation.digest.")
    stored: str = strawberry.field(description="As it is stored.")
    recomputed: str = strawberry.field(description="As it was recomputed.")


@guarded_type(Permission.INVOICE_READ, "A line of an invoice beside its recomputation.")
class LineVerification:
    """A checked line."""

    line_id: strawberry.ID = strawberry.field(description="`line_…`")
    description: str = strawberry.field(description="For people.")
    outcome: Outcome = strawberry.field(description="What the recomputation shows.")
    differences: list[VerificationDifference] = strawberry.field(description="Empty unless it is DIFFERENT.")
    with_later: bool = strawberry.field(
        description="Events came in at the moment of its derivation: verified together with its later adjustments."
    )


@guarded_type(Permission.INVOICE_READ, "A stored total that is not the sum of its events.")
class TotalVerification:
    """A total that differs."""

    segment_id: strawberry.ID = strawberry.field(description="`seg_…`")
    meter: str = strawberry.field(description="The meter's key.")
    dimensions: Json = strawberry.field(description="Names and values; empty for the sum over all combinations.")
    differences: list[VerificationDifference] = strawberry.field(description="At least one.")


@guarded_type(Permission.INVOICE_READ, "An invoice beside what was recomputed from its stored events.")
class InvoiceVerification:
    """A verification."""

    invoice_id: strawberry.ID = strawberry.field(description="`inv_…`")
    outcome: Outcome = strawberry.field(description="DIFFERENT where anything is, else ARCHIVED where anything is.")
    events: BigInt = strawberry.field(description="How many events were recounted.")
    lines: list[LineVerification] = strawberry.field(description="Every line, in the order of the invoice.")
    totals: list[TotalVerification] = strawberry.field(description="Those that differ.")
    sums: list[VerificationDifference] = strawberry.field(
        description="Where the invoice's subtotal or tax is not that of its lines."
    )


def _differences(found: tuple[Difference, ...]) -> list[VerificationDifference]:
    return [VerificationDifference(field=e.field, stored=e.stored, recomputed=e.recomputed) for e in found]


def _line(check: LineCheck) -> LineVerification:
    return LineVerification(
        line_id=ids.id_of("line", check.line.id),
        description=check.line.description,
        outcome=check.outcome,
        differences=_differences(check.differences),
        with_later=check.with_later,
    )


def _total(check: TotalCheck) -> TotalVerification:
    return TotalVerification(
        segment_id=ids.id_of("segment", check.segment_id),
        meter=check.meter,
        dimensions=Json(dict(check.dimensions)),
        differences=_differences(check.differences),
    )


def verification_of(found: Verification) -> InvoiceVerification:
    """Wrap a verification."""
    return InvoiceVerification(
        invoice_id=ids.id_of("invoice", found.invoice.id),
        outcome=found.outcome,
        events=BigInt(found.events),
        lines=[_line(check) for check in found.lines],
        totals=[_total(check) for check in found.totals],
        sums=_differences(found.sums),
    )


@strawberry.type
class VerifyQuery:
    """Queries that explain and verify."""

    @reading(
        Permission.INVOICE_READ,
        "What a usage line counted hour by hour, late events included; empty for a fee or a cap; null for no line.",
    )
    async def line_hours(
        self,
        info: Info[Context, None],
        invoice_id: Annotated[strawberry.ID, strawberry.argument(description="`inv_…`")],
        line_id: Annotated[strawberry.ID, strawberry.argument(description="`line_…`, one of its lines.")],
    ) -> list[LineHour] | None:
        """Read the stored hours."""
        context, wanted = info.context, ids.invoice_id(invoice_id)
        # Read before: whoever holds a connection waits for no other one.
        catalogue = await context.loaders.catalogue()
        async with context.runtime.db.transaction() as tx:
            invoice = await invoices.find_invoice(tx, context.call, wanted)
            lines = await invoices.lines_by_invoice_ids(tx, [wanted], scope=context.call.scope) if invoice else {}
            line = next((each for each in lines.get(wanted, ()) if ids.id_of("line", each.id) == line_id), None)
            if line is None:
                return None
            hours = await service.hours_of_line(tx, line, catalogue)
        return [
            LineHour(at=each.at, quantity=exact(each.quantity), events=BigInt(each.events), digest=each.digest)
            for each in hours
        ]

    @reading(
        Permission.INVOICE_READ,
        "Recompute every line of an invoice from its stored events and say whether it is equal; null for no invoice.",
    )
    async def verify_invoice(
        self, info: Info[Context, None], id: Annotated[strawberry.ID, strawberry.argument(description="`inv_…`")]
    ) -> InvoiceVerification | None:
        """Verify one."""
        context, wanted = info.context, ids.invoice_id(id)
        async with context.runtime.db.transaction() as tx:
            if await invoices.find_invoice(tx, context.call, wanted) is None:
                return None
            return verification_of(await service.verify_invoice(tx, context.call, wanted))
