"""Top-ups of wallets: ordered by staff or customers, made by themselves, canceled and paid back."""

from collections.abc import Mapping
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing, reading
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.problems import AnyProblem
from api.graphql.scalars import MoneyInput, money_from
from api.graphql.top_up_views import (
    AutomaticTopUp,
    AutomaticTopUpRemoved,
    AutomaticTopUpSaved,
    OngoingBalance,
    TopUp,
    TopUpSaved,
    WalletPayBack,
    ongoing_of,
    rule_of,
    top_up_of,
)
from api.graphql.wallet_views import WalletSaved
from api.graphql.wallets import again_of, load_wallet
from domain.access.roles import Permission
from domain.contracts.prepaying import service as prepaying
from domain.credits.top_up import AUTOMATIC_DEFAULT
from domain.customers.service import CustomerNotFound
from domain.db import Tx
from domain.invoices.credit_note import CreditKind
from domain.invoices.topping import service
from domain.kernel.ids import TopUpId, WalletGrantId, WalletId, decode

CustomerArgument = Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")]
_KINDS = {WalletPayBack.REFUND: CreditKind.REFUND, WalletPayBack.CUSTOMER_CREDIT: CreditKind.CUSTOMER_CREDIT}


@strawberry.input(description="What is to be bought into a wallet.")
class TopUpWalletInput:
    """Input of topUpWallet."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    wallet_id: strawberry.ID = strawberry.field(description="`wal_…`")
    amount: MoneyInput = strawberry.field(
        description="At least what the payment provider charges, such as 0.50 USD; in the wallet's currency."
    )
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which top-up is not wanted any more.")
class CancelTopUpInput:
    """Input of cancelTopUp."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    id: strawberry.ID = strawberry.field(description="`top_…`")


@strawberry.input(description="When a wallet is topped up by itself, and by how much.")
class SetAutomaticTopUpInput:
    """Input of setAutomaticTopUp."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    wallet_id: strawberry.ID = strawberry.field(description="`wal_…`")
    threshold: MoneyInput = strawberry.field(
        description="It is made once what is left is no more than this, unbilled usage taken off."
    )
    amount: MoneyInput | None = strawberry.field(description="By so much; or `target`.", default=None)
    target: MoneyInput | None = strawberry.field(description="Up to so much; or `amount`.", default=None)
    count_max: int = strawberry.field(
        description="Within 24 hours at most so often, 1 to 100.", default=AUTOMATIC_DEFAULT
    )


@strawberry.input(description="Which wallet is not topped up by itself any more.")
class RemoveAutomaticTopUpInput:
    """Input of removeAutomaticTopUp."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    wallet_id: strawberry.ID = strawberry.field(description="`wal_…`")


@strawberry.input(description="What is to be paid back.")
class PayBackWalletCreditInput:
    """Input of payBackWalletCredit."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    wallet_id: strawberry.ID = strawberry.field(description="`wal_…`")
    grant_id: strawberry.ID = strawberry.field(description="`wgr_…` that was paid for.")
    kind: WalletPayBack = strawberry.field(description="What becomes of it.")
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


TopUpWalletResult = Annotated[
    TopUpSaved | AnyProblem, strawberry.union("TopUpWalletResult", description="What became of topUpWallet.")
]
CancelTopUpResult = Annotated[
    TopUpSaved | AnyProblem, strawberry.union("CancelTopUpResult", description="What became of cancelTopUp.")
]
SetAutomaticTopUpResult = Annotated[
    AutomaticTopUpSaved | AnyProblem,
    strawberry.union("SetAutomaticTopUpResult", description="What became of setAutomaticTopUp."),
]
RemoveAutomaticTopUpResult = Annotated[
    AutomaticTopUpRemoved | AnyProblem,
    strawberry.union("RemoveAutomaticTopUpResult", description="What became of removeAutomaticTopUp."),
]
PayBackWalletCreditResult = Annotated[
    WalletSaved | AnyProblem,
    strawberry.union("PayBackWalletCreditResult", description="What became of payBackWalletCredit."),
]


@strawberry.type
class TopUpQuery:
    """Queries about top-ups."""

    @reading(Permission.CREDIT_READ, "A customer's top-ups, the newest first, at most 100; null for an unknown one.")
    async def top_ups(self, info: Info[Context, None], customer_id: CustomerArgument) -> list[TopUp] | None:
        """List them."""
        try:
            async with info.context.runtime.db.transaction() as tx:
                found = await prepaying.list_top_ups(tx, info.context.call, ids.customer_id(customer_id))
        except CustomerNotFound:
            return None
        return [top_up_of(each) for each in found]

    @reading(
        Permission.CREDIT_READ, "Which wallets of a customer are topped up by themselves; null for an unknown one."
    )
    async def automatic_top_ups(
        self, info: Info[Context, None], customer_id: CustomerArgument
    ) -> list[AutomaticTopUp] | None:
        """List them."""
        try:
            async with info.context.runtime.db.transaction() as tx:
                found = await prepaying.list_rules(tx, info.context.call, ids.customer_id(customer_id))
        except CustomerNotFound:
            return None
        return [rule_of(rule, currency) for rule, currency in found]

    @reading(
        Permission.INVOICE_READ,
        "What is left in a customer's wallets once usage and drafts that are not billed yet are taken off; null for an "
        "unknown one.",
    )
    async def ongoing_balances(
        self, info: Info[Context, None], customer_id: CustomerArgument
    ) -> list[OngoingBalance] | None:
        """Work them out."""
        try:
            async with info.context.runtime.db.transaction() as tx:
                found = await prepaying.list_ongoing(tx, info.context.call, ids.customer_id(customer_id))
        except CustomerNotFound:
            return None
        return [ongoing_of(each) for each in found]


@strawberry.type
class TopUpMutation:
    """Changes of top-ups."""

    @changing(
        Permission.PAYMENT_WRITE,
        "Buy credit into a wallet: an invoice is opened and collected, and what was paid can be used. "
        "Once per idempotency key.",
    )
    async def top_up_wallet(
        self,
        info: Info[Context, None],
        input: Annotated[TopUpWalletInput, strawberry.argument(description="What is bought.")],
    ) -> TopUpWalletResult:
        """Order it."""
        context, customer = info.context, ids.customer_id(input.customer_id)
        wallet = WalletId(decode("wallet", input.wallet_id))

        async def act(tx: Tx) -> tuple[TopUpSaved, Mapping[str, str]]:
            made = await service.order(tx, context.call, customer, wallet, money_from(input.amount))
            return TopUpSaved(shown=top_up_of(made)), {"top_up": str(made.id)}

        async def again(tx: Tx, kept: Mapping[str, str]) -> TopUpSaved:
            found = await service.load_top_up(tx, context.call, customer, TopUpId(ids.uuid_of(kept["top_up"])))
            return TopUpSaved(shown=top_up_of(found))

        wish = Wish(context, "topUpWallet", input.idempotency_key, customer, strawberry.asdict(input))
        return await once(wish, act, again)

    @changing(Permission.PAYMENT_WRITE, "Take back a top-up that is not paid; its invoice is void. Safe to repeat.")
    async def cancel_top_up(
        self,
        info: Info[Context, None],
        input: Annotated[CancelTopUpInput, strawberry.argument(description="Which one.")],
    ) -> CancelTopUpResult:
        """Cancel it."""
        customer, top_up_id = ids.customer_id(input.customer_id), TopUpId(decode("top_up", input.id))
        async with info.context.runtime.db.transaction() as tx:
            return TopUpSaved(shown=top_up_of(await service.cancel(tx, info.context.call, customer, top_up_id)))

    @changing(
        Permission.PAYMENT_WRITE,
        "Have a wallet topped up by itself from now on, one at a time; a paused rule goes on. Safe to repeat.",
    )
    async def set_automatic_top_up(
        self,
        info: Info[Context, None],
        input: Annotated[SetAutomaticTopUpInput, strawberry.argument(description="When and by how much.")],
    ) -> SetAutomaticTopUpResult:
        """Save it."""
        threshold = money_from(input.threshold)
        async with info.context.runtime.db.transaction() as tx:
            rule = await prepaying.save_rule(
                tx,
                info.context.call,
                ids.customer_id(input.customer_id),
                WalletId(decode("wallet", input.wallet_id)),
                threshold=threshold,
                amount=money_from(input.amount) if input.amount else None,
                target=money_from(input.target) if input.target else None,
                count_max=input.count_max,
            )
        return AutomaticTopUpSaved(shown=rule_of(rule, threshold.currency))

    @changing(Permission.PAYMENT_WRITE, "Top a wallet up by itself no more. Safe to repeat.")
    async def remove_automatic_top_up(
        self,
        info: Info[Context, None],
        input: Annotated[RemoveAutomaticTopUpInput, strawberry.argument(description="Which one.")],
    ) -> RemoveAutomaticTopUpResult:
        """Remove it."""
        customer, wallet = ids.customer_id(input.customer_id), WalletId(decode("wallet", input.wallet_id))
        async with info.context.runtime.db.transaction() as tx:
            await prepaying.remove_rule(tx, info.context.call, customer, wallet)
        return AutomaticTopUpRemoved(wallet_id=ids.id_of("wallet", wallet))

    @changing(
        Permission.CREDIT_WRITE,
        "Pay back what is left of a grant that was paid for, by a credit note on its invoice. "
        "Once per idempotency key.",
    )
    async def pay_back_wallet_credit(
        self,
        info: Info[Context, None],
        input: Annotated[PayBackWalletCreditInput, strawberry.argument(description="What, and how.")],
    ) -> PayBackWalletCreditResult:
        """Pay it back."""
        context, customer = info.context, ids.customer_id(input.customer_id)
        wallet, grant = WalletId(decode("wallet", input.wallet_id)), decode("wallet_grant", input.grant_id)

        async def act(tx: Tx) -> tuple[WalletSaved, Mapping[str, str]]:
            await service.pay_back(tx, context.call, customer, wallet, WalletGrantId(grant), kind=_KINDS[input.kind])
            return WalletSaved(shown=await load_wallet(context, tx, customer, wallet)), {"wallet": str(wallet)}

        wish = Wish(context, "payBackWalletCredit", input.idempotency_key, customer, strawberry.asdict(input))
        return await once(wish, act, again_of(context, customer))
