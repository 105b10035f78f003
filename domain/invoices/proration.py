"""What a fee period bills as its subscription changes inside it: exact shares of time, and one rounding a line.

A fee is billed whole in advance. A change takes back what is left of the old fee and charges what is left of the new
one, each rounded by itself; a change of quantity alone charges the difference, rounded once. What is taken back never
exceeds what was billed for the same time: a credit leaves at least what the time that passed has cost, in whole minor
units, and no sum of changes is further below the exact one than half a unit for each amount.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from zoneinfo import ZoneInfo

from domain.kernel.money import round_half_up
from domain.kernel.period import Period
from domain.kernel.values import dataclass


class Basis(StrEnum):
    """What a share of time is counted in: true seconds, or local days, of which that of a change is the new state's."""

    SECOND = "second"
    DAY = "day"


class Turn(StrEnum):
    """How a stage of a fee period begins."""

    START = "start"
    PRICE = "price"  # another plan or version: what is left of the old fee is taken back
    QUANTITY = "quantity"  # the same price: only the difference is charged
    LEAVE = "leave"  # another grid goes on: what is left is taken back, and nothing is charged in this period


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of a fee period: its fee for a whole one, exact in minor units, and the share left where it begins."""

    turn: Turn
    fee: Fraction
    left: Fraction


@dataclass(frozen=True, slots=True)
class Part:
    """An amount in minor units, exact and as billed. They differ by the rounding, or by the cap of what was billed."""

    exact: Fraction
    minor: int


@dataclass(frozen=True, slots=True)
class Billed:
    """What one stage bills: a credit is negative. None where there is no such line."""

    credit: Part | None
    charge: Part | None


def prorate(stages: Sequence[Stage]) -> list[Billed]:
    """Return what each stage of one fee period bills, in order of time; the first is billed in advance."""
    found, billed_minor, consumed = list[Billed](), 0, Fraction(0)
    for number, stage in enumerate(stages):
        if number:
            before = stages[number - 1]
            consumed += before.fee * (before.left - stage.left)
            each = _turned(before, stage, billed_minor, consumed)
        else:
            each = Billed(None, _part(stage.fee * stage.left))
        billed_minor += sum(part.minor for part in (each.credit, each.charge) if part)
        found.append(each)
    return found


def _turned(before: Stage, stage: Stage, billed_minor: int, consumed: Fraction) -> Billed:
    if stage.turn is Turn.QUANTITY:
        difference = (stage.fee - before.fee) * stage.left
        least_minor = _floor(consumed + stage.fee * stage.left) - billed_minor
        minor = max(round_half_up(difference), min(least_minor, 0)) if difference < 0 else round_half_up(difference)
        return Billed(None, Part(difference, minor) if difference else None)
    unused = before.fee * stage.left
    credit_minor = max(min(round_half_up(unused), billed_minor - _floor(consumed)), 0)
    credit = Part(-unused, -credit_minor) if unused else None
    return Billed(credit, None if stage.turn is Turn.LEAVE else _part(stage.fee * stage.left))


def _part(exact: Fraction) -> Part:
    return Part(exact, round_half_up(exact))


def _floor(value: Fraction) -> int:
    return value.numerator // value.denominator


def share_left(at: datetime, end: datetime, whole: Period, zone: str, basis: Basis) -> Fraction:
    """Return the share of a whole fee period from an instant to the end of what is billed of it.

    By days, the local day of the instant counts whole, and that of the end not at all.
    """
    if basis is Basis.SECOND:
        return Period(at, end).share_of(whole)
    return Fraction(_days(at, end, zone), _days(whole.start, whole.end, zone))


def _days(start: datetime, end: datetime, zone: str) -> int:
    own = ZoneInfo(zone)
    return (end.astimezone(own).date() - start.astimezone(own).date()).days
