"""Prepaid wallets: what is in them, what moved, and what staff give or take."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing, reading
from api.graphql.once import KEY_DESCRIPTION, Wish, once
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.problems import AnyProblem
from api.graphql.scalars import MoneyInput, money_from
from api.graphql.wallet_views import Wallet, WalletMove, WalletSaved, move_of, wallet_of
from domain.access.roles import Permission
from domain.credits import wallet as rules
from domain.credits.unit_grant import Refill
from domain.credits.wallet import PROMOTIONAL_PRIORITY_DEFAULT, WALLET_PRIORITY_DEFAULT, WalletNotFound
from domain.credits.wallets import service
from domain.credits.wallets.reading import service as wallets
from domain.credits.wallets.service import GrantTerms
from domain.customers.service import CustomerNotFound
from domain.db import Tx
from domain.kernel.ids import CustomerId, ProductId, WalletGrantId, WalletId, decode
from domain.kernel.money import CurrencyMismatch


@strawberry.input(description="A wallet that is to be opened, empty.")
class CreateWalletInput:
    """Input of createWallet."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    name: str = strawberry.field(description="1 to 200 characters; for people.")
    currency: str = strawberry.field(description="ISO 4217; it pays invoices of this currency only.")
    priority: int = strawberry.field(
        description="0 to 100; invoices draw on a smaller one first.", default=WALLET_PRIORITY_DEFAULT
    )
    product_ids: list[strawberry.ID] = strawberry.field(
        description="`prod_…` whose lines it pays, at most 100; any without one.", default_factory=list
    )
    kinds: list[rules.PayableKind] = strawberry.field(
        description="Kinds of lines that it pays; any without one.", default_factory=list
    )
    valid_days: int | None = strawberry.field(
        description="For so many days from its payment a top-up can be used, 1 to 3650; for ever without one.",
        default=None,
    )
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Credit that is given away.")
class GrantWalletCreditInput:
    """Input of grantWalletCredit."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    wallet_id: strawberry.ID = strawberry.field(description="`wal_…`")
    name: str = strawberry.field(description="1 to 200 characters; for people.")
    amount: MoneyInput = strawberry.field(description="Above 0, in the wallet's currency.")
    priority: int = strawberry.field(
        description="0 to 100; a smaller one burns first, by default before what was paid for.",
        default=PROMOTIONAL_PRIORITY_DEFAULT,
    )
    effective_at: datetime | None = strawberry.field(description="Now or later; now without one.", default=None)
    expires_at: datetime | None = strawberry.field(
        description="The first instant at which nothing is left of it; never without one.", default=None
    )
    rollover_max: MoneyInput | None = strawberry.field(
        description="At most so much outlives a month of the wallet; all of it without one.", default=None
    )
    rollover_min: MoneyInput | None = strawberry.field(
        description="A month of the wallet begins with at least so much.", default=None
    )
    refill: Refill | None = strawberry.field(description="How often it is filled up to its amount.", default=None)
    idempotency_key: str = strawberry.field(description=KEY_DESCRIPTION)


@strawberry.input(description="Which grant is to end.")
class VoidWalletCreditInput:
    """Input of voidWalletCredit."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    wallet_id: strawberry.ID = strawberry.field(description="`wal_…`")
    grant_id: strawberry.ID = strawberry.field(description="`wgr_…`")


CreateWalletResult = Annotated[
    WalletSaved | AnyProblem, strawberry.union("CreateWalletResult", description="What became of createWallet.")
]
GrantWalletCreditResult = Annotated[
    WalletSaved | AnyProblem,
    strawberry.union("GrantWalletCreditResult", description="What became of grantWalletCredit."),
]
VoidWalletCreditResult = Annotated[
    WalletSaved | AnyProblem,
    strawberry.union("VoidWalletCreditResult", description="What became of voidWalletCredit."),
]


async def load_wallet(context: Context, tx: Tx, customer_id: CustomerId, wallet_id: WalletId) -> Wallet:
    """Load one wallet as it now is."""
    return wallet_of(await wallets.load_wallet(tx, context.call, customer_id, wallet_id))


@strawberry.type
class WalletQuery:
    """Queries about wallets."""

    @reading(Permission.CREDIT_READ, "A customer's wallets, in the order in which invoices draw on them.")
    async def wallets(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
    ) -> list[Wallet] | None:
        """List them; null for an unknown customer."""
        try:
            async with info.context.runtime.db.transaction() as tx:
                found = await wallets.list_wallets(tx, info.context.call, ids.customer_id(customer_id))
        except CustomerNotFound:
            return None
        return [wallet_of(each) for each in found]

    @reading(Permission.CREDIT_READ, "What moved in a wallet, newest first; null for an unknown one.")
    async def wallet_moves(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
        wallet_id: Annotated[strawberry.ID, strawberry.argument(description="`wal_…`")],
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[WalletMove] | None:
        """Load a page."""
        context, owner, wanted = info.context, ids.customer_id(customer_id), _wallet_id(wallet_id)

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, WalletMove]]:
            async with context.runtime.db.transaction() as tx:
                currency, found = await wallets.list_moves(tx, context.call, owner, wanted, before=last, limit=limit)
            return [(each.id, move_of(each, currency)) for each in found]

        try:
            return await page(context, first, after, load)
        except (CustomerNotFound, WalletNotFound):
            return None


@strawberry.type
class WalletMutation:
    """Changes of wallets by staff."""

    @changing(Permission.CREDIT_WRITE, "Open an empty wallet of a customer. Once per idempotency key.")
    async def create_wallet(
        self,
        info: Info[Context, None],
        input: Annotated[CreateWalletInput, strawberry.argument(description="What it is.")],
    ) -> CreateWalletResult:
        """Create it."""
        context, customer = info.context, ids.customer_id(input.customer_id)

        async def act(tx: Tx) -> tuple[WalletSaved, Mapping[str, str]]:
            made = await service.create_wallet(
                tx,
                context.call,
                customer,
                name=input.name,
                currency=input.currency,
                priority=input.priority,
                product_ids=[ProductId(decode("product", each)) for each in input.product_ids],
                kinds=input.kinds,
                valid_days=input.valid_days,
            )
            return WalletSaved(shown=await load_wallet(context, tx, customer, made.id)), {"wallet": str(made.id)}

        wish = Wish(context, "createWallet", input.idempotency_key, customer, strawberry.asdict(input))
        return await once(wish, act, again_of(context, customer))

    @changing(Permission.CREDIT_WRITE, "Give credit away into a wallet. Once per idempotency key.")
    async def grant_wallet_credit(
        self,
        info: Info[Context, None],
        input: Annotated[GrantWalletCreditInput, strawberry.argument(description="What is given.")],
    ) -> GrantWalletCreditResult:
        """Grant it."""
        context, customer, wallet = info.context, ids.customer_id(input.customer_id), _wallet_id(input.wallet_id)

        async def act(tx: Tx) -> tuple[WalletSaved, Mapping[str, str]]:
            await service.grant(tx, context.call, customer, wallet, _terms(input))
            return WalletSaved(shown=await load_wallet(context, tx, customer, wallet)), {"wallet": str(wallet)}

        wish = Wish(context, "grantWalletCredit", input.idempotency_key, customer, strawberry.asdict(input))
        return await once(wish, act, again_of(context, customer))

    @changing(
        Permission.CREDIT_WRITE,
        "Take what is left of a grant now, without paying it back: of what was paid for it is breakage. "
        "Safe to repeat.",
    )
    async def void_wallet_credit(
        self,
        info: Info[Context, None],
        input: Annotated[VoidWalletCreditInput, strawberry.argument(description="Which one.")],
    ) -> VoidWalletCreditResult:
        """Void it."""
        context, customer, wallet = info.context, ids.customer_id(input.customer_id), _wallet_id(input.wallet_id)
        grant_id = WalletGrantId(decode("wallet_grant", input.grant_id))
        async with context.runtime.db.transaction() as tx:
            await service.void_grant(tx, context.call, customer, wallet, grant_id)
            return WalletSaved(shown=await load_wallet(context, tx, customer, wallet))


def _wallet_id(text: str) -> WalletId:
    return WalletId(decode("wallet", text))


def again_of(context: Context, customer: CustomerId) -> Callable[[Tx, Mapping[str, str]], Awaitable[WalletSaved]]:
    """Return what a repeated call resolves to: the wallet as it now is."""

    async def again(tx: Tx, kept: Mapping[str, str]) -> WalletSaved:
        wallet_id = WalletId(ids.uuid_of(kept["wallet"]))
        return WalletSaved(shown=await load_wallet(context, tx, customer, wallet_id))

    return again


def _terms(input: GrantWalletCreditInput) -> GrantTerms:
    """Read what is granted. Raises CurrencyMismatch."""
    amount = money_from(input.amount)
    return GrantTerms(
        name=input.name,
        amount=amount,
        priority=input.priority,
        effective_at=input.effective_at,
        expires_at=input.expires_at,
        rollover_max_minor=_bound(input.rollover_max, amount.currency),
        rollover_min_minor=_bound(input.rollover_min, amount.currency) or 0,
        refill=input.refill,
    )


def _bound(given: MoneyInput | None, currency: str) -> int | None:
    """Read a bound in minor units, which are those of the grant's currency. Raises CurrencyMismatch."""
    if given is None:
        return None
    bound = money_from(given)
    if bound.currency != currency:
        raise CurrencyMismatch(currency, bound.currency)
    return bound.minor
