"""Jobs about prepaid wallets."""

from domain.contracts.prepaying import service as prepaying
from domain.credits.wallets.keeping import service as keeping
from domain.invoices.topping import service as topping
from domain.journal import jobs
from domain.journal import service as journal
from domain.journal.staging import service as staging
from domain.journal.store import StoredJob
from domain.kernel.call import Call
from domain.payments.lapsing import service as lapsing
from domain.runtime import Runtime


async def carry_wallet(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.CarryWallet) -> None:
    """Book what came due of a wallet, in one transaction with the job's end.

    The wallet is held first: whoever stages a job about it holds it too, and waits for a job of the same key that ends.
    """
    async with runtime.db.transaction() as tx:
        await keeping.hold(tx, job.customer_id)
        await journal.finish(tx, call, stored)
        await keeping.carry(tx, call, job.customer_id, job.wallet_id)


async def check_wallets(runtime: Runtime, call: Call, stored: StoredJob, job: jobs.CheckWallets) -> None:
    """Top wallets up that have run low.

    Whoever moved a wallet and found this job waiting has staged none, and holds the wallet: it is waited for before
    anything is read. Those that come later stage the next one, and wait for nothing that this one holds.
    """
    async with runtime.db.transaction() as tx:
        await keeping.hold(tx, job.customer_id)
        await staging.begin(tx, stored)
    async with runtime.db.transaction() as tx:
        await prepaying.check(tx, call, job.customer_id)
        await staging.drop(tx, stored)
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
