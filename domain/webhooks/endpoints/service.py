"""Make, change, disable, enable and delete the merchant's endpoints, and roll their secrets."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from domain.access.roles import Permission
from domain.db import Database, Tx
from domain.journal import service as journal
from domain.kernel.call import Call, Environment, Forbidden
from domain.kernel.ids import EndpointId, encode
from domain.kernel.values import dataclass
from domain.webhooks import signature
from domain.webhooks.endpoint import (
    ENDPOINTS_MAX,
    DisabledBy,
    Endpoint,
    EndpointNotFound,
    EndpointState,
    EndpointsTooMany,
    Secret,
    check_name,
    check_overlap,
    disabled,
    enabled,
)
from domain.webhooks.endpoints import store
from domain.webhooks.event_kind import check_patterns
from domain.webhooks.payload import NEWEST, check_version
from domain.webhooks.port import WebhookSender
from domain.webhooks.queueing import store as lanes


@dataclass(frozen=True, slots=True)
class Change:
    """What to change of an endpoint; None leaves a part as it is."""

    name: str | None = None
    url: str | None = None
    events: Collection[str] | None = None
    schema_version: str | None = None


async def create_endpoint(
    db: Database,
    sender: WebhookSender,
    call: Call,
    *,
    environment: Environment,
    name: str,
    url: str,
    events: Collection[str],
    schema_version: str | None = None,
) -> tuple[Endpoint, str]:
    """Make an endpoint, which hears of what happens from now on, and return it with its secret, shown this once.

    Without a schema version it keeps the newest. Raises TargetRefused, EndpointRefused, EventPatternUnknown,
    EventPatternsTooMany, SchemaVersionUnknown, EndpointsTooMany, Forbidden.
    """
    _need_in(call, environment)
    new = Endpoint(
        id=EndpointId(call.new_id()),
        environment=environment,
        name=check_name(name),
        url=url,
        events=check_patterns(events),
        schema_version=check_version(schema_version or NEWEST),
        state=EndpointState.ENABLED,
        disabled_by=None,
        disabled_at=None,
        last_success_at=None,
        last_failure_at=None,
        created_at=call.at,
    )
    await sender.check(url)
    secret = signature.new_secret(secrets.token_bytes(signature.SECRET_BYTES))
    async with db.transaction() as tx:
        await store.lock_environment(tx, environment)
        if len(await store.list_endpoints(tx, environment=environment, limit=ENDPOINTS_MAX)) >= ENDPOINTS_MAX:
            raise EndpointsTooMany
        await store.insert_endpoint(tx, new)
        await store.insert_secret(tx, new.id, call.new_id(), Secret(secret, call.at, None))
        await _audit(tx, call, "create_webhook_endpoint", new)
    return new, secret


async def update_endpoint(
    db: Database, sender: WebhookSender, call: Call, endpoint_id: EndpointId, change: Change
) -> Endpoint:
    """Change an endpoint. What waits for it stays, and goes where it now points. Safe to repeat.

    Raises EndpointNotFound and as `create_endpoint`.
    """
    async with db.transaction() as tx:
        await get_endpoint(tx, call, endpoint_id, permission=Permission.WEBHOOK_WRITE)
    if change.url is not None:
        await sender.check(change.url)
    async with db.transaction() as tx:
        before = await _lock(tx, call, endpoint_id)
        after = replace(
            before,
            name=before.name if change.name is None else check_name(change.name),
            url=before.url if change.url is None else change.url,
            events=before.events if change.events is None else check_patterns(change.events),
            schema_version=check_version(change.schema_version or before.schema_version),
        )
        return await _save(tx, call, "update_webhook_endpoint", before, after)


async def disable_endpoint(tx: Tx, call: Call, endpoint_id: EndpointId) -> Endpoint:
    """Send nothing to an endpoint until it is enabled; what happens meanwhile waits. Safe to repeat.

    Raises EndpointNotFound, Forbidden.
    """
    before = await _lock(tx, call, endpoint_id)
    return await _save(tx, call, "disable_webhook_endpoint", before, disabled(before, DisabledBy.STAFF, call.at))


async def enable_endpoint(tx: Tx, call: Call, endpoint_id: EndpointId, *, from_now: bool = False) -> Endpoint:
    """Go on sending from where each customer's events stand, also those that are held. Safe to repeat.

    `from_now` leaves out all that waits. Raises EndpointNotFound, Forbidden.
    """
    before = await _lock(tx, call, endpoint_id)
    if from_now:
        await lanes.empty_lanes(tx, endpoint_id)
    else:
        await lanes.resume_lanes(tx, endpoint_id, at=call.at)
    facts = {"from_now": from_now}
    after = enabled(before)
    if after == before:
        await _audit(tx, call, "resume_webhook_endpoint", before, **facts)
        return before
    return await _save(tx, call, "enable_webhook_endpoint", before, after, **facts)


async def delete_endpoint(tx: Tx, call: Call, endpoint_id: EndpointId) -> Endpoint:
    """Delete an endpoint, its secrets and what waits for it, for ever; the log of deliveries stays for its time.

    Raises EndpointNotFound, Forbidden.
    """
    before = await _lock(tx, call, endpoint_id)
    await lanes.delete_lanes(tx, endpoint_id)
    await store.delete_secrets(tx, endpoint_id)
    return await _save(tx, call, "delete_webhook_endpoint", before, replace(before, deleted_at=call.at))


async def rotate_secret(tx: Tx, call: Call, endpoint_id: EndpointId, *, overlap_hours: int) -> tuple[Endpoint, str]:
    """Give an endpoint a new secret, shown this once; the one before signs beside it for some hours.

    Whatever signed before that one ends now. Raises EndpointNotFound, EndpointRefused, Forbidden.
    """
    overlap = check_overlap(overlap_hours)
    endpoint = await _lock(tx, call, endpoint_id)
    secret = signature.new_secret(secrets.token_bytes(signature.SECRET_BYTES))
    await store.save_rotation(tx, endpoint_id, at=call.at, until=call.at + overlap)
    await store.insert_secret(tx, endpoint_id, call.new_id(), Secret(secret, call.at, None))
    await _audit(tx, call, "rotate_webhook_secret", endpoint, overlap_hours=overlap_hours)
    return endpoint, secret


async def get_endpoint(
    tx: Tx, call: Call, endpoint_id: EndpointId, *, permission: Permission = Permission.WEBHOOK_READ
) -> Endpoint:
    """Return an endpoint. Raises EndpointNotFound, Forbidden."""
    need_merchant(call, permission)
    found = await store.find_endpoint(tx, endpoint_id)
    if found is None or call.principal.environment not in {None, found.environment}:
        raise EndpointNotFound
    return found


async def list_endpoints(tx: Tx, call: Call, *, environment: Environment | None = None) -> Sequence[Endpoint]:
    """Return the endpoints that the caller may see, oldest first, at most ENDPOINTS_MAX of each environment.

    Raises Forbidden.
    """
    need_merchant(call, Permission.WEBHOOK_READ)
    own = call.principal.environment
    if environment is not None and own not in {None, environment}:
        return []
    return await store.list_endpoints(tx, environment=environment or own, limit=2 * ENDPOINTS_MAX)


def need_merchant(call: Call, permission: Permission) -> None:
    """Refuse whoever lacks a permission, or may see one customer only: endpoints hear of all. Raises Forbidden."""
    call.need(permission)
    if call.scope is not None:
        raise Forbidden(permission)


def _need_in(call: Call, environment: Environment) -> None:
    need_merchant(call, Permission.WEBHOOK_WRITE)
    if call.principal.environment not in {None, environment}:
        raise Forbidden(Permission.WEBHOOK_WRITE)


async def _lock(tx: Tx, call: Call, endpoint_id: EndpointId) -> Endpoint:
    need_merchant(call, Permission.WEBHOOK_WRITE)
    found = await store.lock_endpoint(tx, endpoint_id)
    if found is None or call.principal.environment not in {None, found.environment}:
        raise EndpointNotFound
    return found


async def _save(tx: Tx, call: Call, action: str, before: Endpoint, after: Endpoint, **facts: Any) -> Endpoint:
    if after != before:
        await store.save_endpoint(tx, before, after)
        await _audit(tx, call, action, after, **facts)
    return after


async def _audit(tx: Tx, call: Call, action: str, about: Endpoint, **facts: Any) -> None:
    """Append who did it. The URL may hold a secret of the merchant's, and is left out."""
    shown = {"events": list(about.events), "schema_version": about.schema_version, "state": about.state}
    await journal.audit(tx, call, action, encode("webhook_endpoint", about.id), facts={**shown, **facts})
