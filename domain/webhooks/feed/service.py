"""Read what happened, in order and from any point on: the same events that endpoints are sent."""

from collections.abc import Sequence

from domain.access.roles import Permission
from domain.db import Tx
from domain.kernel.call import Call, Environment
from domain.kernel.values import dataclass
from domain.webhooks.event_kind import matches
from domain.webhooks.feed import store
from domain.webhooks.feed.store import Stretch
from domain.webhooks.payload import Event

PAGE_MAX = 1_000
# How many events are looked through for a page of some types, so that a rare type cannot make a page slow.
LOOKED_MAX = 5_000


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Some events in order. `after` is where the next page begins; `has_more` says that it may hold something."""

    events: Sequence[Event]
    after: int
    has_more: bool


async def read_feed(
    tx: Tx,
    call: Call,
    *,
    after: int = 0,
    limit: int = PAGE_MAX,
    patterns: Sequence[str] = (),
    environment: Environment | None = None,
) -> FeedPage:
    """Return the events after a number that the caller may see, oldest first, at most `limit` and PAGE_MAX.

    `patterns` are types or groups; none are all. A caller bound to a customer or an environment sees theirs. A page
    of few types, or one that ends before an event that cannot be read, may be shorter than there are events: go on
    from its `after` while `has_more`. Raises Forbidden.
    """
    call.need(Permission.FEED_READ)
    wanted = max(1, min(limit, PAGE_MAX))
    own = call.principal.environment
    if environment is not None and own not in {None, environment}:
        return FeedPage((), after, has_more=False)
    looked = LOOKED_MAX if patterns else wanted
    stretch = Stretch(after=after, customer_id=call.scope, environment=environment or own)
    found, unreadable = await store.list_events(tx, stretch, limit=looked + 1)
    events = [each for each in found[:looked] if not patterns or matches(patterns, each.name)]
    if len(events) > wanted:
        return FeedPage(events[:wanted], events[wanted - 1].number, has_more=True)
    if unreadable is not None:
        return FeedPage(events, unreadable.number, has_more=True)
    reached = found[:looked][-1].number if found else after
    return FeedPage(events, reached, has_more=len(found) > looked)
