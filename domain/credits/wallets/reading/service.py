"""Read wallets: what is left in them now, what was granted to them, and what moved."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from domain.access.roles import Permission
from domain.credits.prepaid import PrepaidDifference, differences
from domain.credits.purse import Purse, carried
from domain.credits.wallet import Wallet, WalletGrant, WalletNotFound
from domain.credits.wallets import store
from domain.credits.wallets.store import StoredMove
from domain.customers import service as customers
from domain.customers.store import Sight
from domain.db import Tx
from domain.kernel.call import Call, Environment
from domain.kernel.ids import CustomerId, WalletId
from domain.kernel.money import Money
from domain.kernel.values import dataclass
from domain.ledger import service as ledger

GRANTS_SHOWN_MAX = 100
# A page of 100, and the row that tells whether another follows.
MOVES_PAGE_MAX = 101


@dataclass(frozen=True, slots=True)
class Standing:
    """A wallet as it is now, whatever a worker has booked of it, and its newest GRANTS_SHOWN_MAX grants."""

    purse: Purse
    shown: tuple[WalletGrant, ...]

    @property
    def wallet(self) -> Wallet:
        """The wallet."""
        return self.purse.wallet


async def list_wallets(tx: Tx, call: Call, customer_id: CustomerId) -> list[Standing]:
    """Return a customer's wallets in the order in which invoices draw on them. Raises Forbidden, CustomerNotFound."""
    call.need(Permission.CREDIT_READ)
    now = await customers.business_now(tx, call, customer_id)
    found = await store.list_wallets(tx, customer_id)
    if not found:
        return []
    ids, since = [each.id for each in found], min(each.carried_to for each in found)
    living: defaultdict[WalletId, list[WalletGrant]] = defaultdict(list)
    for grant in await store.list_grants(tx, customer_id, ids, living_at=since):
        living[grant.wallet_id].append(grant)
    shown = await store.newest_grants_of(tx, customer_id, ids, limit=GRANTS_SHOWN_MAX)
    purses = [carried(Purse(each, tuple(living[each.id])), now)[0] for each in found]
    return [_standing(purse, shown[purse.wallet.id]) for purse in purses]


async def load_wallet(tx: Tx, call: Call, customer_id: CustomerId, wallet_id: WalletId) -> Standing:
    """Return one wallet. Raises Forbidden, CustomerNotFound, WalletNotFound."""
    for found in await list_wallets(tx, call, customer_id):
        if found.wallet.id == wallet_id:
            return found
    raise WalletNotFound


def _standing(purse: Purse, shown: Collection[WalletGrant]) -> Standing:
    """Show the grants with their balances now."""
    balances = {each.id: each.balance_minor for each in purse.grants}
    return Standing(
        purse, tuple(replace(each, balance_minor=balances.get(each.id, each.balance_minor)) for each in shown)
    )


async def list_moves(
    tx: Tx, call: Call, customer_id: CustomerId, wallet_id: WalletId, *, before: UUID | None, limit: int
) -> tuple[str, list[StoredMove]]:
    """Return a wallet's currency and moves, newest first, at most MOVES_PAGE_MAX; `before` is the last one seen.

    Raises Forbidden, CustomerNotFound, WalletNotFound.
    """
    call.need(Permission.CREDIT_READ)
    await customers.load_customer(tx, call, customer_id)
    wallet = await store.find_wallet(tx, wallet_id, sight=Sight(customer_id))
    if wallet is None:
        raise WalletNotFound
    limit = max(0, min(limit, MOVES_PAGE_MAX))
    return wallet.currency, await store.moves_of(tx, customer_id, wallet_id, before=before, limit=limit)


async def prepaid_total(tx: Tx, environment: Environment) -> list[Money]:
    """Return what is left of all that was paid for: what the account of prepaid money has to hold. For operators."""
    return [Money(minor, currency) for currency, minor in (await store.sum_prepaid(tx, environment)).items()]


async def prepaid_differences(tx: Tx, environment: Environment) -> list[PrepaidDifference]:
    """Return the currencies in which the account of prepaid money is not what is left in wallets. For operators.

    Two statements: the caller reads one state of the database.
    """
    balances = await ledger.trial_balance(tx, environment)
    return differences(balances, await prepaid_total(tx, environment))
