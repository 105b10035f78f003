"""Personal data: everything of one customer in a file, and its erasure."""

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.enums import name_enum
from api.graphql.fields import changing, reading
from api.graphql.permissions import guarded_type
from api.graphql.problems import AnyProblem
from api.graphql.scalars import BigInt
from domain.access.roles import Permission
from domain.privacy import export as rules
from domain.privacy import link as links
from domain.privacy.erasing import service as erasing
from domain.privacy.erasure import Erasure, ErasureReason, ErasureState
from domain.privacy.export import Export, ExportState
from domain.privacy.exporting import service as exporting

name_enum(
    ExportState,
    "ExportState",
    "Where an export stands.",
    RUNNING="It is being made.",
    READY="It can be fetched until `expiresAt`.",
    FAILED="It has more than 2,000,000 lines: export the customer at the terminal, with `tollgate privacy export`.",
)

name_enum(
    ErasureReason,
    "ErasureReason",
    "Why a customer is erased.",
    REQUESTED="The person asked for it.",
    UNUSED="Its data is not needed any more.",
    MISTAKE="It should not have been stored.",
)
name_enum(
    ErasureState,
    "ErasureState",
    "Where an erasure stands. Name, address and all that is sealed are gone in all of them.",
    CLEARING="Other rows are being cleared, and the customer is deleted at the payment provider.",
    RESTRICTED="What the law wants kept is kept until `keepUntil`.",
    ENDING="The retention is over: what was kept is being deleted.",
    DONE="Nothing is left.",
)


@guarded_type(Permission.PRIVACY_EXPORT, "A link to the file of an export.")
class ExportDownload:
    """A link."""

    url: str = strawberry.field(
        description="Whoever has it can fetch the file until `expiresAt`, without any credential. A path on this "
        "server, unless TOLLGATE_PUBLIC_URL says where it is reached."
    )
    expires_at: datetime = strawberry.field(description="15 minutes from now; ask again for another link.")


@guarded_type(Permission.PRIVACY_EXPORT, "Everything of one customer, as JSON Lines.")
class CustomerExport:
    """An export."""

    id: strawberry.ID = strawberry.field(description="`exp_…`")
    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    state: ExportState = strawberry.field(description="Where it stands.")
    requested_at: datetime = strawberry.field(description="When it was asked for; real time, as all here.")
    ended_at: datetime | None = strawberry.field(description="When it was ready, or failed.")
    expires_at: datetime | None = strawberry.field(description="When the file is deleted: 7 days after it was ready.")
    lines: BigInt = strawberry.field(description="Lines written so far.")
    bytes: BigInt = strawberry.field(description="Bytes written so far.")
    download: ExportDownload | None = strawberry.field(description="A link to the file, once it is ready.")


@strawberry.input(description="Whose data to export.")
class ExportCustomerInput:
    """Input of exportCustomer."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")


@guarded_type(Permission.PRIVACY_EXPORT, "The file is being made; customerExports says when it is ready.")
class CustomerExportStarted:
    """Success of exportCustomer."""

    export: CustomerExport = strawberry.field(description="As it now stands.")


@guarded_type(Permission.PRIVACY_ERASE, "That a customer was erased.")
class CustomerErasure:
    """An erasure."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    state: ErasureState = strawberry.field(description="Where it stands.")
    reason: ErasureReason = strawberry.field(description="Why it was erased.")
    requested_at: datetime = strawberry.field(description="When; real time, as all here.")
    cleared_at: datetime | None = strawberry.field(description="When everything that need not be kept was gone.")
    keep_until: datetime | None = strawberry.field(
        description="Until when invoices, their documents and the usage on them are kept; null: nothing has to be kept."
    )
    ended_at: datetime | None = strawberry.field(description="When what was kept was gone too.")


@strawberry.input(description="Whom to erase, and why.")
class EraseCustomerInput:
    """Input of eraseCustomer."""

    customer_id: strawberry.ID = strawberry.field(description="`cus_…`")
    reason: ErasureReason = strawberry.field(description="Why.")


@guarded_type(Permission.PRIVACY_ERASE, "Who the customer is, is gone. The rest is being cleared.")
class CustomerErasureStarted:
    """Success of eraseCustomer."""

    erasure: CustomerErasure = strawberry.field(description="As it now stands.")


EraseCustomerResult = Annotated[
    CustomerErasureStarted | AnyProblem,
    strawberry.union("EraseCustomerResult", description="What became of eraseCustomer."),
]
ExportCustomerResult = Annotated[
    CustomerExportStarted | AnyProblem,
    strawberry.union("ExportCustomerResult", description="What became of exportCustomer."),
]


def _export_of(context: Context, value: Export) -> CustomerExport:
    return CustomerExport(
        id=ids.id_of("export", value.id),
        customer_id=ids.id_of("customer", value.customer_id),
        state=value.state,
        requested_at=value.requested_at,
        ended_at=value.ended_at,
        expires_at=value.expires_at,
        lines=BigInt(value.lines),
        bytes=BigInt(value.bytes),
        download=_signed(context, value) if rules.is_open(value, context.call.at) else None,
    )


def _erasure_of(value: Erasure) -> CustomerErasure:
    return CustomerErasure(
        customer_id=ids.id_of("customer", value.customer_id),
        state=value.state,
        reason=value.reason,
        requested_at=value.requested_at,
        cleared_at=value.cleared_at,
        keep_until=value.keep_until,
        ended_at=value.ended_at,
    )


def _signed(context: Context, value: Export) -> ExportDownload:
    """Sign a link from now on."""
    runtime = context.runtime
    link = links.sign(runtime.export_keys[0], value.id, runtime.now())
    return ExportDownload(url=f"{runtime.settings.public_url.rstrip('/')}{link.path}", expires_at=link.expires_at)


@strawberry.type
class PrivacyQuery:
    """Queries about exports and erasures."""

    @reading(Permission.PRIVACY_ERASE, "The erasure of a customer, or null. Staff only.")
    async def customer_erasure(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
    ) -> CustomerErasure | None:
        """Find it. Raises CustomerNotFound."""
        async with info.context.runtime.db.transaction() as tx:
            found = await erasing.find_erasure(tx, info.context.call, ids.customer_id(customer_id))
        return _erasure_of(found) if found is not None else None

    @reading(Permission.PRIVACY_EXPORT, "The newest 20 exports of a customer, newest first. Staff only.")
    async def customer_exports(
        self,
        info: Info[Context, None],
        customer_id: Annotated[strawberry.ID, strawberry.argument(description="`cus_…`")],
    ) -> list[CustomerExport]:
        """List them. Raises CustomerNotFound."""
        async with info.context.runtime.db.transaction() as tx:
            found = await exporting.list_exports(tx, info.context.call, ids.customer_id(customer_id))
        return [_export_of(info.context, each) for each in found]


@strawberry.type
class PrivacyMutation:
    """Changes about personal data."""

    @changing(
        Permission.PRIVACY_EXPORT,
        "Write everything of a customer to a file: what it is, its usage, invoices with their documents, payments, "
        "mails and the audit log, one JSON object a line. While one is made, that is returned. Staff only, audited.",
    )
    async def export_customer(
        self,
        info: Info[Context, None],
        input: Annotated[ExportCustomerInput, strawberry.argument(description="Whose.")],
    ) -> ExportCustomerResult:
        """Ask for it."""
        async with info.context.runtime.db.transaction() as tx:
            found = await exporting.request(tx, info.context.call, ids.customer_id(input.customer_id))
        return CustomerExportStarted(export=_export_of(info.context, found))

    @changing(
        Permission.PRIVACY_ERASE,
        "Erase a customer for good: who it is at once, all else by a job, here and at the payment provider. Refused, "
        "with what to do first, while it has a live subscription, money is owed, or a payment is under way. "
        "Invoices, with their documents and usage, are kept restricted as long as the law wants. Staff only, audited; "
        "safe to repeat. It cannot be undone: export the customer first where it wants its data.",
    )
    async def erase_customer(
        self,
        info: Info[Context, None],
        input: Annotated[EraseCustomerInput, strawberry.argument(description="Whom, and why.")],
    ) -> EraseCustomerResult:
        """Erase it."""
        async with info.context.runtime.db.transaction() as tx:
            found = await erasing.request(
                tx,
                info.context.call,
                ids.customer_id(input.customer_id),
                input.reason,
                retention_years=info.context.runtime.settings.retention_years,
            )
        return CustomerErasureStarted(erasure=_erasure_of(found))
