"""Give back a job in the middle of which a worker is stopped."""

from domain.db import Tx
from domain.journal.returning import store
from domain.journal.store import StoredJob
from domain.kernel.call import Call


async def give_back(tx: Tx, call: Call, stored: StoredJob) -> None:
    """Offer a job again at once, as if it had not been begun: it has not failed, and has not ended its worker."""
    await store.save_job_given_back(tx, stored, at=call.at)
