"""The answer to one request about several limits at once: all of it, or the first limit that refuses it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from uuid import UUID

import msgspec

from domain.kernel.money import exact_text
from domain.kernel.period import Period
from domain.kernel.values import dataclass
from domain.limits.account import Account, Line
from domain.limits.fitting import cheapest_fit, offers_of, with_kept
from domain.limits.policy import Limit
from domain.limits.status import LimitState, state_of
from domain.limits.sum import Sum, sum_of
from domain.plans.plan import Catalogue
from domain.subscriptions.subscription import AccessState

# From here on a limit is worth a warning.
WARNING_PERCENT = 80
# Holds of others return within this time; a level may fall at any time.
RETRY_S = 60
_NOTHING = Fraction(0)
_OVERDUE = "A payment is overdue, so the limits of the free plan apply and nothing may be added until it is paid."
_SECOND, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)
_ACTIVE, _WARNING, _BLOCKED = "active", "warning", LimitState.BLOCKED.value


class Code(StrEnum):
    """Why a request was refused."""

    LIMIT_REACHED = "limit_reached"
    USAGE_UNPRICED = "usage_unpriced"


class Standing(msgspec.Struct, frozen=True, gc=False):
    """A limit as it stands beside a request. `held` is what reservations hold. `state` is a word for people.

    `limit` and `bound` None: unlimited, and nothing is ever refused. `resets_at` None: it carries over. `after` is what
    is used, held and asked together; None where it is unlimited or refuses.
    """

    key: str
    name: str
    unit: str
    limit: Fraction | None
    bound: Fraction | None
    used: Fraction
    held: Fraction
    asked: Fraction
    state: str
    resets_at: datetime | None
    period: Period
    after: Sum | None = None

    @property
    def period_s(self) -> int:
        """The length of the usage period in whole seconds."""
        return self.period.length // _SECOND


@dataclass(frozen=True, slots=True)
class PlanName:
    """A plan, as it is offered to a customer."""

    key: str
    name: str


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What became of a request. `decision` is the id under which it is kept, where it is.

    `refused` is the limit that refused it, `code` why, and `plan` the cheapest plan that would have allowed it.
    `now` is business time; None where no limit was looked at. `is_overdue`: it was refused by the limits of the free
    plan, because a payment is owed for longer than its grace.
    """

    standings: tuple[Standing, ...]
    now: datetime | None = None
    decision: UUID | None = None
    refused: Standing | None = None
    code: Code | None = None
    plan: PlanName | None = None
    is_overdue: bool = False

    @property
    def is_allowed(self) -> bool:
        """Whether all of it may be used."""
        return self.refused is None

    @property
    def message(self) -> str:
        """Say to a customer why not, and what helps."""
        assert self.refused is not None, "only a refusal is explained"
        said = _message(self.refused, self.code, self.plan)
        return f"{_OVERDUE} {said}" if self.is_overdue else said

    @property
    def retry_after_s(self) -> int:
        """The seconds until asking again may help: the reset, or sooner where only holds are in the way."""
        assert self.refused is not None, "only a refusal is waited for"
        stands = self.refused
        until_reset = self.resets_in_s(stands)
        fits_without_holds = stands.bound is None or stands.used + stands.asked <= stands.bound
        return min(until_reset, RETRY_S) if fits_without_holds else until_reset

    def resets_in_s(self, standing: Standing) -> int:
        """Return the started seconds until a limit starts anew, at least 1; a level is looked at again in a minute."""
        if standing.resets_at is None or self.now is None:
            return RETRY_S
        return max(1, -((self.now - standing.resets_at) // _SECOND))


def refusing(
    account: Account, asks: Mapping[str, Fraction], held: Mapping[str, Fraction], now: datetime, *, alone: bool = False
) -> Line | None:
    """Return the first limit that does not allow what is asked beside what is held, or None.

    `held` is what this process holds; what others have leased counts too, unless it is judged as if there were none
    (`alone`). A level above its limit stays: only what adds to it is refused.
    """
    for key, asked in asks.items():
        line = account.lines[key]
        if line.allowance.carries and not asked:
            continue
        upto = line.bound_at(now)
        if upto is None:
            continue
        leased = _NOTHING if alone else line.leased
        if not sum_of(line.used, held.get(key, _NOTHING), leased, asked).is_within(upto):
            return line
    return None


def standing_of(
    account: Account, line: Line, asked: Fraction, held: Fraction, now: datetime, *, allowed: bool
) -> Standing:
    """Describe a limit beside a request; where it is allowed, the state is the one after it."""
    allowance, upto = line.allowance, line.bound_at(now)
    if line.leased:
        held += line.leased
    amount = allowance.limit.amount
    word, after = _BLOCKED, None
    if allowed and amount is None:
        # Nothing need be added up to say that an unlimited one is active.
        word = _ACTIVE
    elif allowed and amount is not None:
        after = sum_of(line.used, held, asked)
        word = _word(allowance.limit, amount, after, upto)
    return Standing(
        allowance.key,
        allowance.name,
        allowance.unit,
        amount,
        upto,
        line.used,
        held,
        asked,
        word,
        account.resets_at(line),
        account.period,
        after,
    )


def _word(limit: Limit, amount: Fraction, used: Sum, upto: Fraction | None) -> str:
    """Say for people where usage stands after what was allowed."""
    if not used.is_part_of(amount, WARNING_PERCENT):
        return _ACTIVE
    state = state_of(limit, used.exact, upto)
    return _WARNING if state is LimitState.OK else state.value


def permit(account: Account, asks: Mapping[str, Fraction], held: Mapping[str, Fraction], now: datetime) -> Answer:
    """Allow a request; `held` is what this process holds without it."""
    standings = [
        standing_of(account, account.lines[key], asked, held.get(key, _NOTHING), now, allowed=True)
        for key, asked in asks.items()
    ]
    return Answer(tuple(standings), now)


def refusal(
    catalogue: Catalogue,
    account: Account,
    asks: Mapping[str, Fraction],
    held: Mapping[str, Fraction],
    now: datetime,
    *,
    by: Line,
    code: Code,
    decision: UUID,
) -> Answer:
    """Refuse a request, and name the cheapest plan that would have allowed it."""
    standings = tuple(
        standing_of(account, account.lines[key], asked, held.get(key, _NOTHING), now, allowed=key != by.key)
        for key, asked in asks.items()
    )
    own = next((each for each in standings if each.key == by.key), None)
    if own is None:
        own = standing_of(account, by, _NOTHING, held.get(by.key, _NOTHING), now, allowed=False)
    plan = None
    if code is Code.LIMIT_REACHED and account.access is AccessState.FULL:
        plan = _plan_for(catalogue, account, {each.key: each.used + each.held + each.asked for each in standings})
    return Answer(standings, now, decision, own, code, plan, is_overdue=account.access is not AccessState.FULL)


def _plan_for(catalogue: Catalogue, account: Account, needs: Mapping[str, Fraction]) -> PlanName | None:
    product_id = catalogue.product(account.product).id
    kept = {
        key: line.allowance.limit.amount for key, line in account.lines.items() if line.allowance.override is not None
    }
    fit = cheapest_fit(with_kept(offers_of(catalogue, product_id, account.currency), kept), needs)
    if fit.plan is None or fit.plan == account.plan:
        return None
    found = catalogue.plan(account.product, fit.plan)
    return PlanName(found.key, found.name)


def _message(stands: Standing, code: Code | None, plan: PlanName | None) -> str:
    if code is Code.USAGE_UNPRICED:
        return (
            f"{stands.name}: what this would cost cannot be said, because it has no price or no upper bound. "
            "Name a model with a price, and state how much may be used at most."
        )
    assert stands.limit is not None, "what refuses has a limit"
    held = f" and {_shown(stands.held, stands)} held for requests under way" if stands.held else ""
    reset = f" The limit starts anew on {_minute(stands.resets_at)}." if stands.resets_at is not None else ""
    offer = f" The plan {plan.name} would allow it." if plan is not None else ""
    return (
        f"{stands.name}: {_shown(stands.asked, stands)} more would pass {_shown(stands.bound or _NOTHING, stands)}; "
        f"{_shown(stands.used, stands)} of {_shown(stands.limit, stands)} are used{held}.{reset}{offer}"
    )


def _shown(amount: Fraction, stands: Standing) -> str:
    """Write an amount for people: commas between thousands, and the currency behind money, whose unit it is."""
    whole, point, rest = exact_text(amount).partition(".")
    grouped = f"{int(whole):,}{point}{rest}" if "/" not in whole else whole
    return f"{grouped} {stands.unit}" if stands.unit.isupper() else grouped


def _minute(at: datetime) -> str:
    """Write an instant in UTC by the minute, never one that is too early."""
    full = at.astimezone(UTC).replace(second=0, microsecond=0)
    return f"{full if full == at else full + _MINUTE:%Y-%m-%d at %H:%M} UTC"
