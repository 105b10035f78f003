"""The books, for staff: what customers owe, what was earned, and every entry behind it."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import reading
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import guarded_type
from api.graphql.ranges import InstantRange, range_of
from api.graphql.scalars import Money, money_of
from domain.access.roles import Permission
from domain.customers import service as customers
from domain.customers.service import EnvironmentRefused
from domain.db import Tx
from domain.kernel.call import Call, Environment
from domain.kernel.ids import CustomerId, EntryId
from domain.kernel.money import Money as Amount
from domain.ledger import service, store
from domain.ledger.account import Account, Posting
from domain.ledger.filter import EntryFilter

name_enum(
    Account,
    "Account",
    "Where money stands. Receivable, cash, disputed, bad debt and promotion grow by debits, the others by credits.",
    RECEIVABLE="What customers owe.",
    REVENUE="What was earned.",
    TAX_PAYABLE="What is owed to the state.",
    CASH="What was collected.",
    CUSTOMER_CREDIT="What is owed to customers.",
    BAD_DEBT="What was given up.",
    PREPAID="What customers have paid ahead and not used.",
    PREPAID_PENDING="What customers have ordered to pay ahead and not paid yet, or whose payment is disputed.",
    PROMOTION="What was given away and paid invoices.",
    BREAKAGE="What was paid ahead and never used.",
    DISPUTED="What banks hold until disputes are decided.",
    UNAPPLIED_CASH="What came from customers and has paid no invoice yet: transfers, and what no invoice could take.",
)


@guarded_type(Permission.LEDGER_READ, "What the lines of an account add up to in one currency.")
class Balance:
    """A balance."""

    account: Account = strawberry.field(description="Which account.")
    balance: Money = strawberry.field(description="Debits above zero, credits below.")


@guarded_type(Permission.LEDGER_READ, "All books of an environment, added up.")
class TrialBalance:
    """A trial balance."""

    balances: list[Balance] = strawberry.field(description="Each account and currency.")
    differences: list[Money] = strawberry.field(description="What a currency adds up to where that is not zero.")
    unbalanced_entries: int = strawberry.field(description="Entries that are not whole or not balanced.")
    holds: bool = strawberry.field(description="Whether there is neither.")


@guarded_type(Permission.LEDGER_READ, "One line of a ledger entry.")
class LedgerLine:
    """A line."""

    account: Account = strawberry.field(description="Which account.")
    amount: Money = strawberry.field(description="A debit above zero, a credit below.")


@guarded_type(Permission.LEDGER_READ, "What was booked at once: its lines add up to zero. It is never changed.")
class LedgerEntry:
    """An entry."""

    id: strawberry.ID = strawberry.field(description="`led_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    at: datetime = strawberry.field(description="When, in the customer's business time.")
    reason: str = strawberry.field(description="Why, such as invoice_opened.")
    about: str = strawberry.field(description="The id of the row that caused it.")
    lines: list[LedgerLine] = strawberry.field(description="Two or more.")


def _line_of(value: Posting) -> LedgerLine:
    return LedgerLine(account=value.account, amount=money_of(value.amount))


def _entry_of(value: store.Entry) -> LedgerEntry:
    return LedgerEntry(
        id=ids.id_of("entry", value.id),
        customer_id=ids.id_of("customer", value.customer_id),
        at=value.at,
        reason=value.reason,
        about=value.about,
        lines=[_line_of(line) for line in value.lines],
    )


async def _scope(tx: Tx, call: Call, environment: Environment, customer_id: CustomerId | None) -> CustomerId | None:
    """Return whose entries to read. Raises EnvironmentRefused, CustomerNotFound."""
    if call.principal.environment not in {None, environment}:
        raise EnvironmentRefused(environment=str(call.principal.environment))
    wanted = customer_id or call.scope
    if wanted is not None:
        await customers.load_customer(tx, call, wanted)
    return wanted


EnvironmentOf = Annotated[Environment, strawberry.argument(description="Whose books: live and test are kept apart.")]
CustomerOf = Annotated[strawberry.ID | None, strawberry.argument(description="Those of one customer, `cus_…`.")]


Before = Annotated[
    datetime | None,
    strawberry.argument(description="The balance just before an instant of business time; null: of all entries."),
]


@strawberry.type
class LedgerQuery:
    """Queries of the books."""

    @reading(Permission.LEDGER_READ, "Whether the books of an environment hold. Reads every entry of it.")
    async def trial_balance(self, info: Info[Context, None], environment: EnvironmentOf) -> TrialBalance | None:
        """Add all of them up; null for one who reads one customer's books only."""
        async with info.context.runtime.db.transaction() as tx:
            if await _scope(tx, info.context.call, environment, None) is not None:
                return None
            found = await service.check_books(tx, environment)
        return TrialBalance(
            balances=[Balance(account=account, balance=money_of(amount)) for account, amount in found.balances],
            differences=[money_of(Amount(minor, currency)) for currency, minor in found.differences.items()],
            unbalanced_entries=found.unbalanced,
            holds=found.hold,
        )

    @reading(
        Permission.LEDGER_READ,
        "The balance of each account and currency, of all customers or of one. For each currency they add up to zero.",
    )
    async def ledger_balances(
        self,
        info: Info[Context, None],
        environment: EnvironmentOf,
        customer_id: CustomerOf = None,
        before: Before = None,
    ) -> list[Balance]:
        """Add them up."""
        wanted = ids.customer_id(customer_id) if customer_id is not None else None
        async with info.context.runtime.db.transaction() as tx:
            scope = await _scope(tx, info.context.call, environment, wanted)
            if scope is None:
                found = await service.trial_balance(tx, environment, before=before)
            else:
                found = await service.balances(tx, scope, before=before)
        return [Balance(account=account, balance=money_of(amount)) for account, amount in found]

    @reading(Permission.LEDGER_READ, "Ledger entries, newest first.")
    async def ledger_entries(
        self,
        info: Info[Context, None],
        *,
        environment: EnvironmentOf,
        customer_id: CustomerOf = None,
        account: Annotated[Account | None, strawberry.argument(description="Those with a line of it.")] = None,
        at: Annotated[InstantRange | None, strawberry.argument(description="When they were booked.")] = None,
        first: First = PAGE_DEFAULT,
        after: After = None,
    ) -> Connection[LedgerEntry]:
        """List a page."""
        customer = ids.customer_id(customer_id) if customer_id is not None else None
        wanted = EntryFilter(account, range_of(at))

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, LedgerEntry]]:
            async with info.context.runtime.db.transaction() as tx:
                scope = await _scope(tx, info.context.call, environment, customer)
                before = EntryId(last) if last else None
                found = await service.list_entries(
                    tx, scope=scope, environment=environment, wanted=wanted, before=before, limit=limit
                )
            return [(entry.id, _entry_of(entry)) for entry in found]

        return await page(info.context, first, after, load)
