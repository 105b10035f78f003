"""Post entries in the transaction of their cause, and add them up."""

from collections.abc import Sequence
from datetime import datetime

from domain.db import Tx
from domain.kernel.call import Call, Environment
from domain.kernel.ids import CustomerId, EntryId
from domain.kernel.money import Money
from domain.kernel.period import Period
from domain.ledger import store
from domain.ledger.account import Account, Books, Posting, check_balanced
from domain.ledger.filter import EVERY_ENTRY, EntryFilter, check

# A page of 100, and the row that tells whether another follows.
ENTRIES_MAX = 101
EXPORT_PAGE = 1_000


async def post(
    tx: Tx,
    call: Call,
    now: datetime,
    *,
    customer_id: CustomerId,
    environment: Environment,
    reason: str,
    about: str,
    lines: Sequence[Posting],
) -> bool:
    """Append a balanced entry at business time `now`. False where this reason is posted for this row already.

    Raises EntryUnbalanced. The database checks the balance once more when the transaction commits.
    """
    check_balanced(lines)
    values = {
        "customer_id": customer_id,
        "id": call.new_id(),
        "environment": environment,
        "at": now,
        "posted_at": call.at,
        "reason": reason,
        "about": about,
    }
    return await store.insert_entry(tx, values, lines)


async def balances(
    tx: Tx, customer_id: CustomerId, *, before: datetime | None = None
) -> Sequence[tuple[Account, Money]]:
    """Return what one customer's entries add up to, by currency and account: receivable is what they owe.

    `before` asks for the balance just before an instant of business time; None is all of them.
    """
    return await store.sum_by_account(tx, scope=customer_id, environment=None, before=before)


async def has_posted(tx: Tx, customer_id: CustomerId, reason: str) -> bool:
    """Whether anything was ever posted to a customer's books for a reason, such as invoice_opened."""
    return await store.has_entry(tx, customer_id, reason)


async def trial_balance(
    tx: Tx, environment: Environment, *, before: datetime | None = None
) -> Sequence[tuple[Account, Money]]:
    """Return what all entries of the live or the test books add up to; for each currency the sum is zero.

    `before` as in `balances`; each customer has a business time of their own.
    """
    return await store.sum_by_account(tx, scope=None, environment=environment, before=before)


async def check_books(tx: Tx, environment: Environment) -> Books:
    """Add up the books of one environment, and look at each entry alone. Reads all entries; changes nothing."""
    balances_of_all = await store.sum_by_account(tx, scope=None, environment=environment)
    return Books(environment, tuple(balances_of_all), await store.count_unbalanced(tx, environment))


async def list_entries_after(
    tx: Tx, *, environment: Environment, period: Period, after: EntryId | None = None
) -> Sequence[store.Entry]:
    """Return the next EXPORT_PAGE entries of a period in business time, as they were posted, for an export.

    `after` is the id of the last one seen.
    """
    return await store.list_entries_after(tx, environment=environment, period=period, after=after, limit=EXPORT_PAGE)


async def list_entries(
    tx: Tx,
    *,
    scope: CustomerId | None,
    environment: Environment,
    wanted: EntryFilter = EVERY_ENTRY,
    before: EntryId | None = None,
    limit: int = ENTRIES_MAX,
) -> Sequence[store.Entry]:
    """Return entries with their lines, newest first, at most ENTRIES_MAX; `before` is the id of the last one seen.

    Raises EntryFilterRefused.
    """
    check(wanted)
    return await store.list_entries(
        tx, wanted, scope=scope, environment=environment, before=before, limit=min(limit, ENTRIES_MAX)
    )
