"""GET /v1/events: what happened, in order, for whoever would rather ask than be told."""

from api.rest.reads import Asked, ParameterRefused, Read
from domain.access.roles import Permission
from domain.webhooks.event_kind import PATTERNS_MAX, check_patterns
from domain.webhooks.feed import service
from domain.webhooks.payload import NEWEST, check_version, document_of

LIMIT_DEFAULT, LIMIT_MAX = 100, service.PAGE_MAX
AFTER_MAX = 10**18 - 1
_TYPES_LENGTH_MAX = 2_000


async def _page(asked: Asked) -> object:
    after = asked.whole("after", 0, least=0, most=AFTER_MAX)
    limit = asked.whole("limit", LIMIT_DEFAULT, least=1, most=LIMIT_MAX)
    version = check_version(asked.text("version") or NEWEST)
    async with asked.serving.runtime.db.transaction() as tx:
        found = await service.read_feed(tx, asked.call, after=after, limit=limit, patterns=_patterns(asked))
    return {
        "events": [document_of(each, version) for each in found.events],
        "after": found.after,
        "has_more": found.has_more,
    }


def _patterns(asked: Asked) -> list[str]:
    """Read the types asked for: a misspelt one would find nothing for ever.

    Raises ParameterRefused, EventPatternUnknown.
    """
    sent = asked.text("types") or ""
    wanted = [each.strip() for each in sent[:_TYPES_LENGTH_MAX].split(",") if each.strip()]
    if len(sent) > _TYPES_LENGTH_MAX or len(wanted) > PATTERNS_MAX:
        raise ParameterRefused("types", f"at most {PATTERNS_MAX} types or groups of events, with commas")
    return list(check_patterns(wanted)) if wanted else []


FEED = Read("/v1/events", Permission.FEED_READ, _page)
