"""Whether a request still fits under a limit, decided as a whole (SEMANTICS 5.2)."""

from datetime import datetime
from fractions import Fraction

from domain.kernel.errors import DomainError, Kind
from domain.kernel.money import exact_text
from domain.kernel.values import dataclass
from domain.limits.policy import Limit, bound, is_in_grace
from domain.limits.status import LimitState, state_of


@dataclass(eq=False)
class LimitReached(DomainError):
    """{what}: {asked} more would pass {bound}; {used} of {limit} are used. Upgrade the plan or use less."""

    code = "limit_reached"
    kind = Kind.LIMIT_REACHED
    what: str
    asked: str
    used: str
    limit: str
    bound: str


@dataclass(eq=False)
class AskedBelowZero(DomainError):
    """{asked} cannot be asked of a limit. Ask for 0 or more; what is given back needs no permission."""

    code = "asked_below_zero"
    kind = Kind.INVALID
    asked: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a limit says to a request.

    `state` is where usage stands once it was allowed, or blocked. `used_after` counts the request only where it is
    allowed: a refused one takes nothing. `bound` None: nothing is ever refused.
    """

    is_allowed: bool
    state: LimitState
    used_after: Fraction
    bound: Fraction | None


def decide(limit: Limit, used: Fraction, asked: Fraction, *, passed_at: datetime | None, at: datetime) -> Answer:
    """Say whether `asked` more may be used at an instant, all of it or nothing, and where usage then stands.

    `used` is what the whole usage period counts so far, holds included. `passed_at` is the first instant of the period
    with more than the limit. Raises AskedBelowZero.
    """
    if asked < 0:
        raise AskedBelowZero(exact_text(asked))
    upto = bound(limit, in_grace=is_in_grace(limit, passed_at, at))
    after = used + asked
    if upto is not None and after > upto:
        return Answer(is_allowed=False, state=LimitState.BLOCKED, used_after=used, bound=upto)
    return Answer(is_allowed=True, state=state_of(limit, after, upto), used_after=after, bound=upto)


def need_room(
    limit: Limit, used: Fraction, asked: Fraction, *, passed_at: datetime | None, at: datetime, what: str
) -> Answer:
    """Decide as `decide` does, and refuse loudly. `what` names the limit to the customer. Raises LimitReached."""
    answer = decide(limit, used, asked, passed_at=passed_at, at=at)
    if not answer.is_allowed:
        assert limit.amount is not None, "what is refused has a limit"
        assert answer.bound is not None, "and a bound"
        numbers = [exact_text(each) for each in (asked, used, limit.amount, answer.bound)]
        raise LimitReached(what, *numbers)
    return answer
