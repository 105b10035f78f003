"""What promotional units take off usage before it is rated, and how a line says so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from domain.credits.unit_grant import TakingLine
from domain.invoices.invoice import Line, LineKind
from domain.invoices.rating import SegmentUsage
from domain.kernel.ids import MeterId, SegmentId, decode
from domain.kernel.money import exact_text

# What segments take of grants, by meter and by the grant's id.
Taken = Mapping[SegmentId, Mapping[MeterId, Mapping[str, Fraction]]]


def with_grants(usage: SegmentUsage, taken: Taken) -> SegmentUsage:
    """Return usage to be rated with what its segments take of grants."""
    return replace(usage, granted=granted_in([segment.id for segment in usage.segments], taken))


def granted_in(segment_ids: Iterable[SegmentId], taken: Taken) -> dict[MeterId, dict[str, Fraction]]:
    """Add up what segments take of grants, by meter and grant."""
    found: dict[MeterId, dict[str, Fraction]] = {}
    for segment_id in segment_ids:
        for meter_id, by_grant in taken.get(segment_id, {}).items():
            own = found.setdefault(meter_id, {})
            for grant_id, units in by_grant.items():
                own[grant_id] = own.get(grant_id, Fraction(0)) + units
    return found


def granted_by(derivation: Mapping[str, Any]) -> dict[str, Fraction]:
    """Read what a line took of grants from its derivation."""
    rows = derivation.get("granted", {}).get("grants", ())
    return {str(decode("grant", row["grant"])): Fraction(row["quantity"]) for row in rows}


def taking(lines: Sequence[Line]) -> list[TakingLine]:
    """Return the lines whose opening writes what is taken of grants: those that took, and later differences."""
    found = []
    for line in lines:
        own = line.identity
        if own.kind is LineKind.USAGE and own.segment_id and own.price_id:
            taken = {grant_id: Decimal(exact_text(units)) for grant_id, units in granted_by(line.derivation).items()}
            if taken or line.revision:
                found.append(TakingLine(line.id, own.segment_id, own.price_id, taken))
    return found
