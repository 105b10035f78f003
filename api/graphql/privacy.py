"""Personal data: everything of one customer in a file."""

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


def _signed(context: Context, value: Export) -> ExportDownload:
    """Sign a link from now on."""
    runtime = context.runtime
    link = links.sign(runtime.export_key, value.id, runtime.now())
    return ExportDownload(url=f"{runtime.settings.public_url.rstrip('/')}{link.path}", expires_at=link.expires_at)


@strawberry.type
class PrivacyQuery:
    """Queries about exports."""

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
