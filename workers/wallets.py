"""Jobs about prepaid wallets."""

from domain.contracts.prepaying import service as prepaying
from domain.credits.wallets.keeping import service as keeping
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.runtime import Runtime


async def carry_wallet(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.CarryWallet) -> None:
    """Book what came due of a wallet, in one transaction with the job's end."""
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
        await keeping.carry(tx, call, job.customer_id, job.wallet_id)


async def check_wallets(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.CheckWallets) -> None:
    """Top wallets up that have run low. The job ends first, so that the next one can be staged."""
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
        await prepaying.check(tx, call, job.customer_id)
    await runtime.wakeups.publish([job.customer_id])
