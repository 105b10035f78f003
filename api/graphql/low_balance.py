"""From which balance of a wallet on its customer is mailed."""

from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing
from api.graphql.problems import AnyProblem
from api.graphql.scalars import MoneyInput, money_from
from api.graphql.wallet_views import WalletSaved
from api.graphql.wallets import load_wallet
from domain.access.roles import Permission
from domain.contracts.warning import service
from domain.kernel.ids import WalletId, decode


@strawberry.input(description="When a wallet's customer is mailed that it runs low.")
class SetLowBalanceWarningInput:
    """Input of setLowBalanceWarning."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    wallet_id: strawberry.ID = strawberry.field(description="`wal_…`")
    threshold: MoneyInput | None = strawberry.field(
        description="Once no more than this is left, unbilled usage taken off; 0 or more, in the wallet's currency. "
        "Null: never.",
        default=None,
    )


SetLowBalanceWarningResult = Annotated[
    WalletSaved | AnyProblem,
    strawberry.union("SetLowBalanceWarningResult", description="What became of setLowBalanceWarning."),
]


@strawberry.type
class LowBalanceMutation:
    """Changes of what wallets warn of."""

    @changing(
        Permission.ALERT_WRITE,
        "Have a wallet's customer mailed once for each fall of what is left in it to a threshold or below; the next "
        "mail comes only after it rose above. Safe to repeat.",
    )
    async def set_low_balance_warning(
        self,
        info: Info[Context, None],
        input: Annotated[SetLowBalanceWarningInput, strawberry.argument(description="Which wallet, and when.")],
    ) -> SetLowBalanceWarningResult:
        """Set it."""
        context, customer = info.context, ids.customer_id(input.customer_id)
        wallet = WalletId(decode("wallet", input.wallet_id))
        threshold = money_from(input.threshold) if input.threshold else None
        async with context.runtime.db.transaction() as tx:
            await service.warn_below(tx, context.call, customer, wallet, threshold)
            return WalletSaved(shown=await load_wallet(context, tx, customer, wallet))
