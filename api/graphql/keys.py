"""API keys, and who the caller is."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry.types import Info

from api.graphql import ids
from api.graphql.context import Context
from api.graphql.fields import changing, reading
from api.graphql.paging import PAGE_DEFAULT, After, Connection, First, page
from api.graphql.permissions import SIGNED_IN, guarded_type, public_type
from api.graphql.problems import AnyProblem
from domain.access import credentials, service
from domain.access.roles import Permission
from domain.customers.erasing import service as erasing
from domain.kernel.call import Environment, PrincipalKind
from domain.kernel.ids import KeyId


@public_type("Who asks, and what they may do.")
class Viewer:
    """The caller."""

    kind: PrincipalKind = strawberry.field(description="What sort of caller.")
    role: str = strawberry.field(description="A person's role; key for an API key.")
    permissions: list[str] = strawberry.field(description="Such as invoice:read, sorted.")
    permissions_withheld: list[str] = strawberry.field(
        description="What a sign-in with a second factor would add to them (`amr` of the token), sorted."
    )
    customer_id: strawberry.ID | None = strawberry.field(
        description="The only customer the caller sees, if bound to one."
    )
    environment: Environment | None = strawberry.field(
        description="The only environment the caller sees, if bound to one."
    )


@guarded_type(Permission.KEY_READ, "An API key without its secret.")
class ApiKey:
    """An API key."""

    id: strawberry.ID = strawberry.field(description="`key_…`")
    environment: Environment = strawberry.field(description="It sees customers of this environment only.")
    name: str = strawberry.field(description="What staff call it.")
    prefix: str = strawberry.field(description="The visible start of the secret.")
    scopes: list[str] = strawberry.field(description="Its permissions, sorted.")
    product: str | None = strawberry.field(description="Whose usage it reports.")
    customer_id: strawberry.ID | None = strawberry.field(description="The only customer it may see, if bound to one.")
    source: str = strawberry.field(description="Source of the events sent with it; a successor takes it over.")
    created_at: datetime = strawberry.field(description="Real time.")
    expires_at: datetime | None = strawberry.field(description="From this instant on it is refused.")
    revoked_at: datetime | None = strawberry.field(description="From this instant on it was refused.")


def key_of(value: credentials.ApiKey) -> ApiKey:
    """Wrap an API key."""
    return ApiKey(
        id=ids.id_of("key", value.id),
        environment=value.environment,
        name=value.name,
        prefix=value.prefix,
        scopes=sorted(value.scopes),
        product=value.product,
        customer_id=ids.id_of("customer", value.customer_id) if value.customer_id else None,
        source=value.source,
        created_at=value.created_at,
        expires_at=value.expires_at,
        revoked_at=value.revoked_at,
    )


@guarded_type(Permission.KEY_WRITE, "The key was made. Its secret is shown this once.")
class ApiKeyCreated:
    """Success of createApiKey."""

    key: ApiKey = strawberry.field(description="The key.")
    secret: str = strawberry.field(description="Send it as `Authorization: Bearer …`. It is not stored.")


@guarded_type(Permission.KEY_WRITE, "The key is refused, everywhere within 10 seconds.")
class ApiKeyRevoked:
    """Success of revokeApiKey."""

    key: ApiKey = strawberry.field(description="The key.")


@strawberry.input(description="A new API key.")
class CreateApiKeyInput:
    """Input of createApiKey."""

    name: str = strawberry.field(description="What staff call it: 1 to 100 printable characters.")
    environment: Environment = strawberry.field(description="It sees customers of this environment only.")
    scopes: list[str] = strawberry.field(
        description="Permissions, such as usage:write; at least one, and never key:write."
    )
    product: str | None = strawberry.field(description="Needed for usage:write: whose usage it reports.", default=None)
    customer_id: strawberry.ID | None = strawberry.field(description="Binds the key to one customer.", default=None)
    source: str | None = strawberry.field(
        description="Source of its events, 1 to 100 characters; give a predecessor's to replace it. Else its name.",
        default=None,
    )
    expires_at: datetime | None = strawberry.field(
        description="From this instant on it is refused; never, unless told.", default=None
    )


@strawberry.input(description="Which key to revoke.")
class RevokeApiKeyInput:
    """Input of revokeApiKey."""

    id: strawberry.ID = strawberry.field(description="`key_…`")


CreateApiKeyResult = Annotated[
    ApiKeyCreated | AnyProblem, strawberry.union("CreateApiKeyResult", description="What became of createApiKey.")
]
RevokeApiKeyResult = Annotated[
    ApiKeyRevoked | AnyProblem, strawberry.union("RevokeApiKeyResult", description="What became of revokeApiKey.")
]


@strawberry.type
class KeyQuery:
    """Queries about access."""

    @reading(SIGNED_IN, "Who the caller is and what they may do.")
    async def viewer(self, info: Info[Context, None]) -> Viewer:
        """Tell the caller's own rights."""
        who = info.context.call.principal
        return Viewer(
            kind=who.kind,
            role=who.role,
            permissions=sorted(who.permissions),
            permissions_withheld=sorted(who.withheld),
            customer_id=ids.id_of("customer", who.customer_id) if who.customer_id else None,
            environment=who.environment,
        )

    @reading(Permission.KEY_READ, "API keys, newest first, revoked ones too.")
    async def api_keys(
        self, info: Info[Context, None], first: First = PAGE_DEFAULT, after: After = None
    ) -> Connection[ApiKey]:
        """List a page."""

        async def load(last: UUID | None, limit: int) -> list[tuple[UUID, ApiKey]]:
            async with info.context.runtime.db.transaction() as tx:
                found = await service.list_keys(tx, info.context.call, after=KeyId(last) if last else None, limit=limit)
            return [(key.id, key_of(key)) for key in found]

        return await page(info.context, first, after, load)


@strawberry.type
class KeyMutation:
    """Changes of access."""

    @changing(Permission.KEY_WRITE, "Make an API key. Its secret is shown once.")
    async def create_api_key(
        self,
        info: Info[Context, None],
        input: Annotated[CreateApiKeyInput, strawberry.argument(description="The new key.")],
    ) -> CreateApiKeyResult:
        """Make it."""
        runtime = info.context.runtime
        if input.product is not None:
            (await runtime.catalogue()).product(input.product)
        customer_id = ids.customer_id(input.customer_id) if input.customer_id else None
        async with runtime.db.transaction() as tx:
            if customer_id is not None:
                await erasing.load_present(tx, info.context.call, customer_id)
            key, secret = await service.create_key(
                tx,
                info.context.call,
                name=input.name,
                environment=input.environment,
                scopes=input.scopes,
                product_key=input.product,
                customer_id=customer_id,
                source=input.source,
                expires_at=input.expires_at,
                pepper=runtime.settings.key_pepper.encode(),
            )
        return ApiKeyCreated(key=key_of(key), secret=secret)

    @changing(Permission.KEY_WRITE, "Revoke an API key, for ever. Safe to repeat.")
    async def revoke_api_key(
        self,
        info: Info[Context, None],
        input: Annotated[RevokeApiKeyInput, strawberry.argument(description="Which key.")],
    ) -> RevokeApiKeyResult:
        """Revoke it."""
        async with info.context.runtime.db.transaction() as tx:
            key = await service.revoke_key(tx, info.context.call, ids.key_id(input.id))
        return ApiKeyRevoked(key=key_of(key))
