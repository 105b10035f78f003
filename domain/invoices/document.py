"""The words on an invoice: descriptions of lines, and the order in which they stand."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.invoices.invoice import Line, LineKind
from domain.kernel.period import Period

DESCRIPTION_LENGTH_MAX = 500
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EVERY = {"month": "monthly", "year": "yearly"}
_SHOWN = (LineKind.USAGE, LineKind.CAP, LineKind.PRORATION, LineKind.FEE, LineKind.ONE_OFF, LineKind.TOP_UP)
_ORDER = {kind: number for number, kind in enumerate(_SHOWN)}
_NO_VALUE = "(none)"
# What is of no subscription stands last.
_NONE = UUID(int=2**128 - 1)
_ADJUSTMENT = "Adjustment: "
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
# The lines of an invoice share a few periods.
_PERIODS_KEPT = 1_024


def day_text(at: datetime, zone: str) -> str:
    """Write an instant as the customer's local day: 1 Jan 2026."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"


@lru_cache(maxsize=_PERIODS_KEPT)
def period_text(period: Period, zone: str) -> str:
    """Write a period from its first local day to the day on which the next one starts."""
    return f"{day_text(period.start, zone)} – {day_text(period.end, zone)}"  # noqa: RUF001 - an en dash joins a range


def periods_text(periods: Sequence[Period], zone: str) -> str:
    """Write the times of one line: the plan may have been another one between them."""
    return ", ".join(period_text(period, zone) for period in periods)


def describe_fee(product: str, plan: str, interval: str, period: Period, zone: str) -> str:
    """Describe a fee: LLM Pro, monthly fee, 1 Jan 2026 to 1 Feb 2026."""
    return _cut(f"{product} {plan}, {_EVERY[interval]} fee, {period_text(period, zone)}")


def describe_unused(fee: str) -> str:
    """Describe what a change leaves unused of a fee, which is taken back."""
    return _cut(f"Unused: {fee}")


def describe_quantity(fee: str, before: int, after: int) -> str:
    """Describe a change of quantity inside a fee period."""
    return _cut(f"{fee}, quantity {before} to {after}")


def describe_usage(product: str, meter: str, values: Sequence[str], periods: Sequence[Period], zone: str) -> str:
    """Describe usage by its dimension values in the meter's order, or by the meter where the line sums them up."""
    what = " / ".join(value or _NO_VALUE for value in values) or meter
    return _cut(f"{product} usage: {what}, {periods_text(periods, zone)}")


def describe_cap(product: str, periods: Sequence[Period], zone: str) -> str:
    """Describe what a monthly cost cap takes off."""
    return _cut(f"{product}: above the monthly cost cap, not charged, {periods_text(periods, zone)}")


def describe_charge(text: str, period: Period | None, zone: str) -> str:
    """Describe a one-off charge in the words of staff, with its service period where it has one."""
    return _cut(f"{text}, {period_text(period, zone)}" if period else text)


def describe_adjustment(description: str) -> str:
    """Describe a later difference of a line that was billed before."""
    return _cut(_ADJUSTMENT + description.removeprefix(_ADJUSTMENT))


def dimension_key(dimensions: Mapping[str, str]) -> str:
    """Return the short text by which a combination of dimensions is told from others; empty without dimensions.

    It is a digest, because values may be longer than an index entry; the values themselves are in the derivation.
    """
    if not dimensions:
        return ""
    return hashlib.blake2b(_CANONICAL.encode(dict(dimensions)).encode(), digest_size=16).hexdigest()


def in_order(lines: Iterable[Line]) -> list[Line]:
    """Order lines as they are shown: by subscription and service period, a cap after the usage it is taken off."""
    return sorted(
        lines,
        key=lambda line: (
            line.identity.subscription_id or _NONE,
            line.period,
            _ORDER[line.identity.kind],
            line.identity.price_id or line.identity.subscription_id or _NONE,
            line.description.removeprefix(_ADJUSTMENT),
            line.revision,
            line.id,
        ),
    )


def _cut(text: str) -> str:
    return text if len(text) <= DESCRIPTION_LENGTH_MAX else f"{text[: DESCRIPTION_LENGTH_MAX - 1]}…"
