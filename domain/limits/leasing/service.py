"""Read the limits of a subscription, and lease parts of them: the only place where more is granted.

One grant is one transaction under a lock of the customer: leases of others first, then usage, then the condition
used + leased + asked <= bound, then the lease. See docs/decisions/0012-leases.md.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from uuid import UUID

from domain.db import Database, Tx
from domain.kernel.call import Call
from domain.kernel.ids import CustomerId, SubscriptionId
from domain.limits import store as limits_store
from domain.limits.account import Account, Basis, Line, allowances_of, is_paid, passed_now
from domain.limits.book import Book
from domain.limits.drawer import BOOKS_MAX, Drawer, Drawers, Judged, judge
from domain.limits.explanation import Decision, decision_of
from domain.limits.judging import Answer, Code, permit, refusal, refusing
from domain.limits.lease import LEASE_FOR, LeaseKey, Share
from domain.limits.leasing import store
from domain.limits.override import OVERRIDES_MAX, in_force
from domain.limits.passing import service as passing
from domain.limits.request import AccessSuspended, Asking, MovedError, NothingSubscribed, Place
from domain.limits.reservation import Earlier
from domain.plans.plan import Catalogue
from domain.subscriptions import service as subscriptions
from domain.subscriptions.subscription import AccessState, Status
from domain.usage import service as usage

# Others answer a recall within this time, or do not live any more.
RECALL_POLLS = 10
RECALL_POLL_S = 0.05
# Leases that are renewed in one statement.
RENEW_MAX = 2_000
# No usage period is longer: how far back its first segment may end.
PERIOD_MAX = timedelta(days=32)
_WITHOUT_ENTITLEMENTS = {Status.PAUSED, Status.UNPAID}
_NOTHING = Fraction(0)


class Leases:
    """One process's leases, by subscription."""

    def __init__(self, db: Database, catalogue: Callable[[], Awaitable[Catalogue]], holder: UUID) -> None:
        self._db = db
        self._catalogue = catalogue
        self.holder = holder
        self._drawers = Drawers()
        self._commits = 0
        self._moved: dict[CustomerId, int] = {}

    def note_moved(self, customers: Collection[CustomerId]) -> None:
        """Note that a commit of this process has moved what customers have used."""
        self._commits += 1
        new = dict.fromkeys(customers, self._commits)
        self._moved.update(new)
        if len(self._moved) > BOOKS_MAX:
            # The others are forgotten: where any of them was counted, its next check looks once more.
            self._moved = new

    def is_behind(self, drawer: Drawer, place: Place, at: datetime) -> bool:
        """Whether a check is to look for what this process has recorded since its book was read."""
        return drawer.is_behind(self._moved.get(place.customer_id, 0), at)

    def drawer(self, subscription_id: SubscriptionId) -> Drawer:
        """Return the drawer of a subscription."""
        return self._drawers.take(subscription_id)

    def find_book(self, subscription_id: SubscriptionId) -> Book | None:
        """Return the book of a subscription, or None where this process has none."""
        drawer = self._drawers.find(subscription_id)
        return drawer.book if drawer else None

    async def ask(
        self, call: Call, drawer: Drawer, asking: Asking, *, look: Callable[[Earlier | None], bool] | None = None
    ) -> Answer:
        """Ask the database, and recall what others leave idle once before it says no. The drawer is locked.

        `look` is given what is stored of the reservation, before anything else, and says whether that answers for the
        request where there is no room for it: then nobody is asked for what is idle, and the refusal is not kept. It
        may refuse itself. A request that takes finds what it asked for in the book afterwards.
        Raises MovedError, NothingSubscribed, AccessSuspended.
        """
        catalogue = await self._catalogue()
        answer = await self._ask(call, drawer, asking, catalogue, recalls=True, look=look)
        if answer is None:
            # Meanwhile others may recall what is idle here: two that wait for one another would wait in vain.
            drawer.lock.release()
            try:
                await self._wait_for_recalled(call, asking)
            finally:
                await drawer.lock.acquire()
            answer = await self._ask(call, drawer, asking, catalogue, recalls=False, look=look)
        assert answer is not None, "the second answer is an answer"
        return answer

    async def read(self, call: Call, place: Place) -> Account:
        """Read a subscription's limits. Raises MovedError, NothingSubscribed, AccessSuspended."""
        catalogue = await self._catalogue()
        async with self._db.transaction() as tx:
            return await self._read(tx, call, place, catalogue, None)

    async def _ask(
        self,
        call: Call,
        drawer: Drawer,
        asking: Asking,
        catalogue: Catalogue,
        *,
        recalls: bool,
        look: Callable[[Earlier | None], bool] | None = None,
    ) -> Answer | None:
        """Judge in one transaction, and lease what is asked for. None: others were asked for what they leave idle."""
        place = asking.place
        before, is_answered = drawer.book, False
        commit = self._moved.get(place.customer_id, 0)
        drawer.catch_up(commit, call.at)
        async with self._db.transaction() as tx:
            if asking.takes:
                earlier = await store.lock_customer(tx, place.customer_id, asking.reservation_id, at=call.at)
                is_answered = look is not None and look(earlier)
            number = drawer.begin_look()
            shares, known = (before.shares, before.account) if before else ({}, None)
            judged = judge(await self._read(tx, call, place, catalogue, known), shares, asking)
            is_partial = known is not None and judged.book.account.basis is known.basis
            if judged.by is not None and is_partial:
                # Plan and overrides may have changed since they were read: no is said by fresh facts only.
                judged = judge(await self._read(tx, call, place, catalogue, None), shares, asking)
                is_partial = False
            book, asks, held, by, code = judged
            asks_others = recalls and code is Code.LIMIT_REACHED and not is_answered
            if asks_others and await self._recall(tx, call, asking, book):
                return None
            wanted = book.wanted(asks, place.now) if asking.takes and by is None else {}
            told = await self._save(tx, call, book, asks, wanted) if asking.takes else {}
            if by is None:
                answer = permit(book.account, asks, held, place.now)
            else:
                answer, decision = _refuse(call, asking, catalogue, judged)
                await limits_store.insert_decisions(tx, [] if is_answered else [decision])
        self._note(call, drawer, book, wanted, told)
        drawer.counted = commit
        if not is_partial:
            drawer.note_look(number, () if recalls else asks)
        return answer

    async def refused(
        self, call: Call, drawer: Drawer, asking: Asking, *, since: int
    ) -> tuple[Answer, Decision] | None:
        """Refuse by what was told to another request that waited, or None: see `Drawer.refused`. The drawer is locked.

        The decision is to be kept before the answer is given.
        """
        judged = drawer.refused(asking, call.at, since=since)
        return None if judged is None else _refuse(call, asking, await self._catalogue(), judged)

    async def _save(
        self, tx: Tx, call: Call, book: Book, asks: Mapping[str, Fraction], wanted: Mapping[str, Fraction]
    ) -> dict[str, Fraction]:
        """Write leases: what is held, and what is wanted beside it; what was free goes back or is part of that."""
        told: dict[str, Fraction] = {}
        for key in asks:
            share = book.share(key)
            share.drop_free()
            # What was held on a lease that has ended is backed again only by a grant that counted it.
            if key in wanted or (not share.is_lost(call.at) and (share.held or share.told)):
                told[key] = share.held + wanted.get(key, _NOTHING)
        amounts = {book.spot(key): amount for key, amount in told.items()}
        account = book.account
        await store.save_leases(
            tx,
            account.customer_id,
            account.subscription_id,
            amounts,
            holder=self.holder,
            expires_at=call.at + LEASE_FOR,
        )
        return told

    @staticmethod
    def _note(
        call: Call, drawer: Drawer, book: Book, wanted: Mapping[str, Fraction], told: Mapping[str, Fraction]
    ) -> None:
        """Put into the book what was committed."""
        drawer.book = book
        for key, amount in told.items():
            book.share(key).grant(wanted.get(key, _NOTHING), amount, call.at + LEASE_FOR, call.at)

    async def _read(self, tx: Tx, call: Call, place: Place, catalogue: Catalogue, known: Account | None) -> Account:
        """Read everything that decides: leases before usage, so that what becomes usage meanwhile is not missed.

        Of an account that is `known`, still fresh and of the same version of the subscription only these are read.
        """
        leased, version = await store.list_leased(
            tx, place.customer_id, place.subscription_id, besides=self.holder, at=call.at
        )
        account = known
        if account is None or not (account.is_fresh(*_seen(place, call)) and account.basis.running.version == version):
            account = await self._account(tx, call, place, catalogue)
        running = account.basis.running
        used = await usage.current_usage(tx, place.customer_id, running, segments=account.basis.segments)
        lines = [replace(line, used=line.allowance.used_in(used)) for line in account.lines.values()]
        if passed_now(lines):
            own = [line.allowance for line in lines]
            at = None if place.now == call.at else place.now
            noted = await passing.passings(tx, catalogue, account.basis, own, used, at=at)
            lines = [replace(line, passed_at=noted.get(line.key)) for line in lines]
        return replace(account, counted_at=call.at).with_lines(lines, leased)

    async def _account(self, tx: Tx, call: Call, place: Place, catalogue: Catalogue) -> Account:
        """Read a subscription's limits, without what was used of them."""
        basis = await self._basis(tx, place)
        running = basis.running
        overrides = await limits_store.list_overrides(tx, place.customer_id, limit=OVERRIDES_MAX)
        own = in_force(overrides, running.product_id, place.now)
        found = allowances_of(catalogue, running, own)
        passings = await passing.noted(tx, running, found)
        return Account(
            place.customer_id,
            place.subscription_id,
            running.epoch,
            catalogue.plan_of_version(running.plan_version_id).key,
            running.currency,
            is_paid(catalogue, running),
            catalogue.product_by_id(running.product_id).key,
            running.period,
            call.at,
            call.at,
            {each.key: Line(each, _NOTHING, _NOTHING, passings.get(each.key)) for each in found},
            basis,
            running.access,
        )

    @staticmethod
    async def _basis(tx: Tx, place: Place) -> Basis:
        """Return the subscription with the usage period that business time is in, renewed already or not."""
        found = await subscriptions.find_subscription(tx, place.subscription_id, scope=place.customer_id)
        if found is not None and found.is_live and found.access is AccessState.SUSPENDED:
            raise AccessSuspended
        if found is None or not found.is_live or found.status in _WITHOUT_ENTITLEMENTS:
            raise NothingSubscribed
        segments = await subscriptions.segments_of(tx, [found.id], ending_after=place.now - PERIOD_MAX)
        segment = next((each for each in segments[found.id] if place.now in each.during), None)
        if found.epoch != place.epoch or segment is None:
            raise MovedError
        own = tuple(each for each in segments[found.id] if each.period == segment.period)
        return Basis(replace(found, period=segment.period), own)

    async def _recall(self, tx: Tx, call: Call, asking: Asking, book: Book) -> bool:
        """Ask others for what they leave idle, where that could help."""
        asks = asking.asks_of(book.account)
        if refusing(book.account, asks, book.held(asks), asking.place.now, alone=True) is not None:
            return False
        keys = [key for key in asks if book.account.lines[key].leased]
        place = asking.place
        asked = await store.save_recalled(
            tx, place.customer_id, place.subscription_id, keys, besides=self.holder, at=call.at
        )
        return asked > 0

    async def _wait_for_recalled(self, call: Call, asking: Asking) -> None:
        """Wait until the others have answered, a bounded time: those that are gone do not."""
        place = asking.place
        for _ in range(RECALL_POLLS):
            await asyncio.sleep(RECALL_POLL_S)
            async with self._db.transaction() as tx:
                if not await store.count_awaited(
                    tx, place.customer_id, place.subscription_id, besides=self.holder, at=call.at
                ):
                    return

    async def recalled(self) -> list[LeaseKey]:
        """Return the leases that somebody needs."""
        if not self._drawers.busy:
            return []
        async with self._db.driver() as driver:
            return await store.list_recalled(driver, self.holder)

    async def answer_recalls(self, recalled: Sequence[LeaseKey], at: datetime) -> None:
        """Let go of what is idle of leases that somebody needs."""
        shares: dict[LeaseKey, Share] = {}
        known = [self._drawers.find(each) for each in {each.subscription_id for each in recalled}]
        async with _locked([drawer for drawer in known if drawer is not None]) as drawers:
            for each in recalled:
                drawer = self._drawers.find(each.subscription_id)
                if drawer is not None and drawer not in drawers:
                    continue
                book = drawer.book if drawer else None
                share = book.shares.get((each.key, each.span_start_at)) if book else None
                # A lease that this process knows nothing of any more is given back whole.
                shares[each] = share or Share(expires_at=at + LEASE_FOR)
                shares[each].drop_free()
            await self._tell(shares, at)

    async def keep(self, at: datetime) -> None:
        """Renew leases that are in use, lower those of which something was used or is idle, forget empty ones."""
        async with _locked(self._drawers.busy) as drawers:
            books = [drawer.book for drawer in drawers if drawer.book is not None]
            due = [each for book in books for each in book.due(at).items()]
            for start in range(0, len(due), RENEW_MAX):
                await self._tell(dict(due[start : start + RENEW_MAX]), at)
            for book in books:
                book.forget_empty()

    async def give_back(self, at: datetime) -> None:
        """Return all that is free: this process holds no more."""
        for drawer in self._drawers:
            for share in drawer.book.shares.values() if drawer.book else ():
                share.drop_free()
        await self.keep(at)

    async def _tell(self, shares: Mapping[LeaseKey, Share], at: datetime) -> None:
        if not shares:
            return
        expires_at = at + LEASE_FOR
        amounts = {key: share.amount for key, share in shares.items()}
        async with self._db.transaction() as tx:
            kept = await store.renew_leases(tx, amounts, holder=self.holder, expires_at=expires_at, at=at)
        for key, share in shares.items():
            if key in kept:
                share.told, share.expires_at = amounts[key], expires_at
            else:
                share.lose()


@asynccontextmanager
async def _locked(drawers: Collection[Drawer]) -> AsyncIterator[list[Drawer]]:
    """Lock the drawers that nobody is being granted from; the others are told of by their grants."""
    free = [drawer for drawer in drawers if not drawer.lock.locked()]
    async with AsyncExitStack() as stack:
        for drawer in free:
            await stack.enter_async_context(drawer.lock)
        yield free


def _refuse(call: Call, asking: Asking, catalogue: Catalogue, judged: Judged) -> tuple[Answer, Decision]:
    """Say no with the numbers, and write down why."""
    book, asks, held, by, code = judged
    assert by is not None, "a limit refuses"
    assert code is not None, "and says why"
    now, decision = asking.place.now, call.new_id()
    answer = refusal(catalogue, book.account, asks, held, now, by=by, code=code, decision=decision)
    kept = decision_of(
        answer,
        at=call.at,
        asked_by=asking.asked_by,
        customer_id=asking.place.customer_id,
        subscription_id=asking.place.subscription_id,
        event_type=asking.estimate.event_type,
        reservation_id=asking.reservation_id,
    )
    return answer, kept


def _seen(place: Place, call: Call) -> tuple[int, datetime, datetime]:
    return place.epoch, call.at, place.now
