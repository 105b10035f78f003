"""Jobs about prepaid wallets."""

from domain.contracts.prepaying import service as prepaying
from domain.credits.wallets.keeping import service as keeping
from domain.invoices.topping import service as topping
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.payments.lapsing import service as lapsing
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


async def lapse_top_up(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.LapseTopUp) -> None:
    """End a top-up that waits for its customer's bank; one whose money may still come is looked at again."""
    again_at = await lapsing.lapse_top_up(
        runtime.db, runtime.gateway, call, customer_id=job.customer_id, top_up_id=job.top_up_id
    )
    async with runtime.db.transaction() as tx:
        await journal.finish(tx, call, stored)
        if again_at is not None:
            await topping.stage_lapse(tx, call, job.customer_id, job.top_up_id, again_at)
    await runtime.wakeups.publish([job.customer_id])
