"""Act on one API request: contract, faults, idempotency key, then the operation in one transaction.

Operations run one at a time on the event loop and never wait inside, so every request sees a consistent state. The
answer under an idempotency key is committed together with what the request did.
"""

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from sandbox import clock, contract, contract_index, faults, forms, ids, objects
from sandbox.call import ROUTES, Call, Route
from sandbox.contract_shapes import accepted
from sandbox.errors import StripeError, malformed, not_implemented
from sandbox.faults import Plan
from sandbox.presenting import expand, present
from sandbox.replies import Reply, json_reply
from sandbox.store import Saved, Store

KEY_MAX = 255
LOG = logging.getLogger("sandbox")
assert objects.MODULES


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request to `/v1/…`; headers in lower case."""

    verb: str
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Checked:
    """A request that fits the contract and that the sandbox implements."""

    operation: str
    route: Route
    ids: Mapping[str, str]
    params: dict[str, Any]
    key: str | None
    fingerprint: str
    request_id: str


class Actor:
    """Acts on requests. `running` holds the idempotency keys of requests that have not been answered yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._running: set[str] = set()

    async def answer(self, request: Request) -> Reply:
        """Answer a request; refusals are answers too."""
        request_id = f"req_{ids.letters(14)}"
        headers = {"Request-Id": request_id, "Stripe-Version": contract_index.api_version()}
        try:
            reply = await self._checked(_check(request, request_id))
        except StripeError as error:
            reply = refusal(error)
        if request.headers.get("idempotency-key"):
            headers["Idempotency-Key"] = request.headers["idempotency-key"]
        return Reply(reply.status, reply.body, headers | dict(reply.headers), reply.dropped)

    async def _checked(self, checked: Checked) -> Reply:
        key = checked.key
        if key is None:
            return await self._suffer(checked)
        if key in self._running:
            raise StripeError(
                409,
                "idempotency_error",
                "There is currently another in-progress request using this Idempotent Key "
                f"(that probably means you submitted twice): {key}. Please try again later.",
                code="idempotency_key_in_use",
                begun=False,
            )
        self._running.add(key)
        try:
            return self._replay(checked, key) or await self._suffer(checked)
        finally:
            self._running.discard(key)

    def _replay(self, checked: Checked, key: str) -> Reply | None:
        saved = self._store.saved(key)
        if saved is None:
            return None
        if saved.fingerprint != checked.fingerprint:
            raise StripeError(
                400,
                "idempotency_error",
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{key}' if you meant to execute a different request.",
                begun=False,
            )
        headers = {"Idempotent-Replayed": "true", "Original-Request": saved.request_id}
        return Reply(saved.status, saved.body, headers)

    async def _suffer(self, checked: Checked) -> Reply:
        """Act, with whatever faults were ordered for this request."""
        verb_and_path = checked.operation
        path = verb_and_path.split(" ", 1)[1].format(**checked.ids)
        plan = faults.take(self._store, verb_and_path, path)
        await asyncio.sleep(plan.delay_s("before"))
        if plan.drops("before"):
            return Reply(200, b"", dropped=True)
        reply = self._act(checked, plan)
        await asyncio.sleep(plan.delay_s("after"))
        return Reply(reply.status, reply.body, reply.headers, dropped=plan.drops("after"))

    def _act(self, checked: Checked, plan: Plan) -> Reply:
        """Execute and save the answer in one transaction; undo what a refusal does not keep."""
        try:
            with self._store.transaction():
                reply = self._execute(checked, plan)
                self._save(checked, reply)
                return reply
        except StripeError as error:
            reply = refusal(error)
            if error.begun:
                with self._store.transaction():
                    self._save(checked, reply)
            return reply
        except Exception:
            LOG.exception("%s failed", checked.operation)
            reply = refusal(StripeError(500, "api_error", "An unexpected error occurred in the sandbox; see its log."))
            with self._store.transaction():
                self._save(checked, reply)
            return reply

    def _execute(self, checked: Checked, plan: Plan) -> Reply:
        early, late = plan.error("before"), plan.error("after")
        if early is not None:
            raise early
        params = checked.params
        call = Call(self._store, clock.now(), params, checked.ids, checked.request_id, checked.key)
        try:
            shown = present(self._store, checked.route.handler(call))
            expand(self._store, shown, params.get("expand", []))
            reply = json_reply(200, shown)
        except StripeError as error:
            if not error.keep:
                raise
            reply = refusal(error)
        return reply if late is None else refusal(late)

    def _save(self, checked: Checked, reply: Reply) -> None:
        if checked.key is not None:
            saved = Saved(checked.fingerprint, reply.status, reply.body, checked.request_id)
            self._store.save(checked.key, saved, clock.now())


def refusal(error: StripeError) -> Reply:
    """Make the answer of a refusal."""
    return json_reply(error.status, error.body(), error.headers)


def _check(request: Request, request_id: str) -> Checked:
    found = contract_index.match(request.verb, request.path)
    if found is None:
        raise malformed(
            f"Unrecognized request URL ({request.verb}: {request.path}). "
            "Please see https://docs.stripe.com or we can help at https://support.stripe.com/.",
        )
    operation, path_ids = found
    given = forms.pairs(request.query) + forms.pairs(_text(request.body))
    params = contract.check(forms.decode(given), accepted(operation))
    route = ROUTES.get((operation.verb, operation.path))
    name = f"{operation.verb.upper()} {operation.path}"
    if route is None:
        raise not_implemented(name)
    for param in params:
        if param not in route.takes and param != "expand":
            raise not_implemented(f"the parameter {param} of {name}")
    digest = hashlib.sha256(msgspec.json.encode([name, path_ids, sorted(given)])).hexdigest()
    return Checked(name, route, path_ids, params, _key(request), digest, request_id)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise malformed("Invalid form body: it must be UTF-8.") from error


def _key(request: Request) -> str | None:
    """Give the idempotency key of a POST; other verbs are idempotent by themselves and their keys are ignored."""
    key = request.headers.get("idempotency-key")
    if not key or request.verb != "POST":
        return None
    if len(key) > KEY_MAX:
        raise malformed(f"Idempotency keys can be at most {KEY_MAX} characters long.")
    return key
