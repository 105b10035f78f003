"""The output limit of a caller's plan, remembered for some seconds: it stands in the way of each call."""

from datetime import datetime, timedelta

from api.context import Serving
from domain.db import DATABASE_ERRORS
from domain.kernel.ids import CustomerId
from domain.limits import service as limits
from tollgate_meter.request import OUTPUT_LIMIT
from tollgate_meter.tolls import EVENT_TYPE

REMEMBERED_FOR = timedelta(seconds=5)
REMEMBERED_MAX = 10_000


class OutputLimits:
    """What plans say, by customer; bounded."""

    def __init__(self) -> None:
        self._known: dict[CustomerId, tuple[datetime, int]] = {}

    async def of(self, serving: Serving, customer_id: CustomerId) -> int:
        """Return the tokens that a call gets which states no limit: those of the plan, else those of the meter.

        While the database is out of reach it is what was known last; whether the call may be made is asked elsewhere.
        """
        at = serving.runtime.now()
        read_at, known = self._known.get(customer_id, (None, OUTPUT_LIMIT))
        if read_at is not None and at - read_at < REMEMBERED_FOR:
            return known
        try:
            catalogue = await serving.runtime.catalogue()
            async with serving.runtime.db.transaction() as tx:
                found = await limits.output_limit(tx, catalogue, customer_id, EVENT_TYPE)
        except DATABASE_ERRORS:
            return known
        self._remember(customer_id, at, OUTPUT_LIMIT if found is None else found)
        return self._known[customer_id][1]

    def _remember(self, customer_id: CustomerId, at: datetime, limit: int) -> None:
        self._known.pop(customer_id, None)
        while len(self._known) >= REMEMBERED_MAX:
            del self._known[next(iter(self._known))]
        self._known[customer_id] = (at, limit)
