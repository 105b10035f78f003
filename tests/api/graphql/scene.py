"""Three customers with one of each thing, everyone who might try them, and every root field to try them with."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from graphql import (
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLUnionType,
    get_named_type,
)
from strawberry.types.base import StrawberryObjectDefinition

from api.graphql.permissions import PERMISSION, SIGNED_IN
from api.graphql.schema import schema
from domain.access.roles import CUSTOMER_KEY_SCOPES, KEY_SCOPES, Permission
from domain.alerts.raising.store import insert_alert
from domain.contracts import service as contracts
from domain.credits.grants import service as grants
from domain.credits.grants.service import Terms
from domain.customers import service as customers
from domain.db import Database
from domain.invoices import service as invoices
from domain.kernel.call import Call, Environment
from domain.kernel.ids import CustomerId, encode
from domain.limits.request import Wanted
from domain.subscriptions.schedule import Interval
from domain.subscriptions.subscription import Subscription
from domain.usage import service as usage
from domain.usage.event import UsageEvent
from tests import make
from tests.api.graphql.asking import (
    ARGUMENTS,
    IN_AN_ENVIRONMENT,
    INPUTS,
    OF_ANY_CUSTOMER,
    OF_EVERYONE,
    OF_LIVE,
    OF_NOBODY,
    OF_TEST,
    subscribed,
)
from tests.api.graphql.belongings import credits_of, followed_of, note_of
from tests.api.graphql.outgoing import outgoing_of, publish
from tests.api.graphql.selecting import selection
from tests.api.graphql.site import Site, direct_client, open_server
from tests.world import key_of, llm_call

CORE = schema._schema
OF_NOBODY_TOO = {"event_identity", "quarantined_event"}
# The process renews its leases and returns what is idle of them while it is tried.
MOVING_BY_ITSELF = "limit_lease"
# A key of everything that needs no customer of its own.
PRODUCT_SCOPES = KEY_SCOPES - {Permission.GATEWAY}
_OF_EVERYONE = {
    "policy": encode("dunning_policy", make.DEFAULT_POLICY),
    "rules": {"graceDays": 3},
    "outcomes": ["insufficient_funds"],
}
_PROPERTIES = {"provider": "gemini", "model": "gemini-2.5-pro", "input_tokens": 1_000}


def definitions() -> Iterator[StrawberryObjectDefinition]:
    """Give every object type that this code defines."""
    for concrete in schema.schema_converter.type_map.values():
        definition = concrete.definition
        if isinstance(definition, StrawberryObjectDefinition) and not (
            definition.is_input or definition.is_interface or definition.name.startswith("__")
        ):
            yield definition


def fields_of(definition: StrawberryObjectDefinition) -> dict[str, Any]:
    """Give a type's fields by their names in the schema."""
    return {schema.config.name_converter.get_graphql_name(field): field for field in definition.fields}


TYPES = {schema.config.name_converter.from_type(definition): definition for definition in definitions()}
ROOTS = {"Query": TYPES["Query"], "Mutation": TYPES["Mutation"], "Live": TYPES["Live"]}
FIELDS = {(root, name): field for root, definition in ROOTS.items() for name, field in fields_of(definition).items()}


def objects_of(output: GraphQLOutputType) -> tuple[GraphQLObjectType, ...]:
    """Give the object types that a field may lead to."""
    named = get_named_type(output)
    if isinstance(named, GraphQLUnionType):
        return tuple(named.types)
    return (named,) if isinstance(named, GraphQLObjectType) else ()


@dataclass(frozen=True)
class Target:
    """One customer, the ids of all that is theirs, and texts by which their rows are known."""

    customer_id: CustomerId
    environment: Environment
    ids: dict[str, Any]
    marks: tuple[str, ...]


@dataclass(frozen=True)
class Actor:
    """Somebody with a credential, as the system sees them."""

    name: str
    token: str
    permissions: frozenset[str]
    environment: str | None
    customer_id: str | None

    def sees(self, target: Target) -> bool:
        """Whether the actor may know that the customer exists."""
        own_environment = self.environment in {None, target.environment.name}
        return own_environment and self.customer_id in {None, target.ids["customer"]}

    @property
    def sees_everything(self) -> bool:
        """Whether the actor may see what belongs to no customer, or to all."""
        return self.environment is None and self.customer_id is None


@dataclass(frozen=True)
class Scene:
    """The served system, everyone in it and everyone they try."""

    server: Site
    actors: list[Actor]
    targets: dict[str, Target]

    def cases(self, root: str) -> Iterator[tuple[Actor, Target, str]]:
        """Give everyone who tries each field of a root about everyone; what is about nobody is tried once."""
        for actor in self.actors:
            for target in self.targets.values():
                for each, name in FIELDS:
                    is_about = name in INPUTS or any(value in target.ids for value in ARGUMENTS.get(name, {}).values())
                    if each == root and (is_about or target is self.targets["Ada"]):
                        yield actor, target, name

    async def rows(self) -> dict[str, str]:
        """Digest every table, to show that nothing was written."""
        async with self.server.runtime.db.transaction() as tx:
            driver = await tx.raw()
            names = await driver.fetch(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
                "AND relnamespace = 'public'::regnamespace ORDER BY relname"
            )
            digest = "SELECT '{0}', count(*) || md5(string_agg(t::text, '' ORDER BY t::text)) FROM {0} t"
            # An event of a customer that its sender may not see is kept for staff, and belongs to nobody.
            owned = " WHERE customer_id <> '00000000-0000-0000-0000-000000000000'"
            parts = [
                digest.format(name) + owned * (name in OF_NOBODY_TOO) for (name,) in names if name != MOVING_BY_ITSELF
            ]
            return {str(row[0]): str(row[1]) for row in await driver.fetch(" UNION ALL ".join(parts))}


def found_in(answer: Any, actor: Actor, scene: Scene) -> list[str]:
    """Give the texts in an answer that this actor must never see."""
    text = json.dumps(answer)
    hidden = [mark for target in scene.targets.values() if not actor.sees(target) for mark in target.marks]
    return [mark for mark in hidden if mark in text]


def is_shown(actor: Actor, root: str, name: str, target: Target) -> bool:
    """Whether an actor may do this with this target, by the rules and not by the code under test."""
    permission = FIELDS[root, name].metadata[PERMISSION]
    if permission != SIGNED_IN and permission not in actor.permissions:
        return False
    in_its_environment = actor.environment in {None, target.environment.name}
    for names, is_so in (
        (OF_EVERYONE, actor.sees_everything),
        (OF_TEST, actor.customer_id is None and actor.environment in {None, "TEST"}),
        (OF_LIVE, actor.customer_id is None and actor.environment in {None, "LIVE"}),
        (OF_ANY_CUSTOMER | OF_NOBODY, True),
        (IN_AN_ENVIRONMENT, actor.customer_id is None and in_its_environment),
    ):
        if name in names:
            return is_so
    return actor.sees(target)


def document_of(root: str, name: str, target: Target) -> tuple[str, dict[str, Any]]:
    """Write the document that asks for all there is to a field of Query or Live."""
    root_type = CORE.type_map[root]
    assert isinstance(root_type, GraphQLObjectType)
    field = root_type.fields[name]
    given = {
        argument: value[1:] if value.startswith("=") else target.ids[value]
        for argument, value in ARGUMENTS.get(name, {}).items()
    }
    heads = ", ".join(f"${argument}: {field.args[argument].type}" for argument in given)
    uses = ", ".join(f"{argument}: ${argument}" for argument in given)
    kind = "subscription" if root == "Live" else "query"
    head, use = (f"({heads})", f"({uses})") if given else ("", "")
    return f"{kind}{head} {{ {name}{use} {selection(field.type, 4)} }}", given


@asynccontextmanager
async def open_scene(database: Database) -> AsyncIterator[Scene]:
    """Make the three customers and everyone who tries them."""
    async with open_server(database) as server:
        await server.world.seed()
        targets = {
            "Ada": await _furnish(server, "Ada", Environment.TEST),
            "Bob": await _furnish(server, "Bob", Environment.TEST),
            "Liv": await _furnish(server, "Liv", Environment.LIVE),
        }
        await publish(server)
        ada = targets["Ada"].customer_id
        tokens = {
            **{f"staff {role}": server.staff(role) for role in ("admin", "finance", "support", "viewer")},
            **{f"member {role}": server.member(ada, role) for role in ("owner", "billing_admin", "viewer")},
            "key of usage": await server.key("usage:write", product="llm"),
            "key of Ada": await server.key(*CUSTOMER_KEY_SCOPES, customer_id=ada, product="llm"),
            "key of live": await server.key(*PRODUCT_SCOPES, environment=Environment.LIVE, product="llm"),
            "key of test": await server.key(*PRODUCT_SCOPES, environment=Environment.TEST, product="llm"),
        }
        # Thousands of questions are asked, and the network would be a third of the work. Sockets go through it.
        async with direct_client(server.app, server.host) as client:
            direct = replace(server, client=client)
            yield Scene(direct, [await _actor(direct, name, token) for name, token in tokens.items()], targets)


async def _actor(server: Site, name: str, token: str) -> Actor:
    viewer = (await server.read("{ viewer { permissions environment customerId } }", token))["viewer"]
    return Actor(name, token, frozenset(viewer["permissions"]), viewer["environment"], viewer["customerId"])


# The ids by which something of a target is recognised in an answer.
_TOLD = (
    "customer",
    "subscription",
    "invoice",
    "note",
    "quarantined",
    "decision",
    "alert",
    "applied",
    "dunning",
    "dispute",
    "unapplied",
    "received",
    "grant",
    "wallet",
    "walletGrant",
    "topUp",
    "bought",
    "start",
    "oneOff",
    "method",
)


async def _furnish(server: Site, name: str, environment: Environment) -> Target:
    """Make a customer with one of each thing that a customer can have."""
    world = server.world
    is_test = environment is Environment.TEST
    async with server.runtime.db.transaction() as tx:
        if world.clock_id is None:
            world.clock_id = (await customers.create_clock(tx, world.call, name="w", now_at=make.at("2026-01-31"))).id
        made = await customers.create_customer(
            tx,
            world.call,
            environment=environment,
            name=f"{name} Personal",
            email=f"{name}@personal.example",
            external_id=f"external-{name}",
            clock_id=world.clock_id if is_test else None,
        )
    if is_test:
        await world.attach(made.id, "pm_card_visa")
    async with server.runtime.db.transaction() as tx:
        started = await contracts.subscribe(
            tx, world.call, customer_id=made.id, product_key="llm", plan_key="pro", interval=Interval.MONTH
        )
        [invoice] = await invoices.list_invoices(tx, world.call, customer_id=made.id)
        [line] = (await invoices.lines_by_invoice_ids(tx, [invoice.id], scope=made.id))[invoice.id]
    if is_test:
        await world.drain()
    call = llm_call(made, started.started_at, input_tokens=1_000)
    odd = llm_call(made, started.started_at, input_tokens=1_000, provider="none", note=f"odd-{name}")
    reporter = server.runtime.call(replace(key_of("llm"), environment=environment))
    ids: dict[str, Any] = {
        "customer": encode("customer", made.id),
        **await _ask(server, Wanted(encode("customer", made.id), "llm.call", _PROPERTIES), reporter),
        **subscribed(started),
        "quarantined": await _record(server, reporter, made.id, call, odd),
        "invoice": encode("invoice", invoice.id),
        "line": encode("line", line.id),
        "note": await note_of(server, invoice.id, line.id),
        "environment": environment.name,
        "clock": encode("clock", world.clock_id),
        "job": encode("job", made.id),
        "key": await _victim(server, environment),
        "alert": await _alert(server, started),
        **await _credits(server, name, started),
        **await followed_of(server, invoice),
        **await outgoing_of(server, environment, made.id),
        **_OF_EVERYONE,
    }
    own_words = (f"{name} Personal", f"{name}@personal", f"odd-{name}", f"external-{name}")
    return Target(made.id, environment, ids, (*(str(ids[each]) for each in _TOLD), call.id, *own_words))


async def _record(server: Site, reporter: Call, customer_id: CustomerId, *calls: UsageEvent) -> str:
    """Record a call with a price and one without, which waits in quarantine for it; return the id of the latter."""
    counted = await server.app.state.serving.recorder.record(reporter, calls)
    assert [verdict.status for verdict in counted] == ["counted", "counted"]
    async with server.runtime.db.transaction() as tx:
        [waiting] = await usage.list_quarantined(tx, server.world.call, customer_id=customer_id)
    return encode("event", waiting.id)


async def _ask(server: Site, wanted: Wanted, reporter: Call) -> dict[str, Any]:
    """Hold something for a customer and refuse something; return the ids of both, and what was asked for."""
    limits = server.app.state.serving.limits
    asker = replace(reporter, principal=replace(reporter.principal, permissions=KEY_SCOPES))
    held = await limits.reserve(asker, wanted, "held", expires_in_s=3_600)
    refused = await limits.check(asker, Wanted(wanted.customer, wanted.type, {**_PROPERTIES, "input_tokens": 10**9}))
    # What is held is written a moment later, and rows are compared.
    await limits.tick(server.runtime.now())
    return {
        "properties": wanted.properties,
        "reservation": held.reservation.name.text,
        "decision": encode("decision", refused.decision),
    }


async def _alert(server: Site, subscription: Subscription) -> str:
    """Raise an alert."""
    new = make.alert(subscription.customer_id, subscription.id)
    async with server.runtime.db.transaction() as tx:
        assert await insert_alert(tx, new)
    return encode("alert", new.id)


async def _credits(server: Site, name: str, subscription: Subscription) -> dict[str, str]:
    """Give a customer what a scene holds beside its invoice; return the ids."""
    return {**await credits_of(server, name, subscription), "grant": await _grant(server, subscription)}


async def _grant(server: Site, subscription: Subscription) -> str:
    """Give a subscription promotional units."""
    catalogue = await server.runtime.catalogue()
    async with server.runtime.db.transaction() as tx:
        made = await grants.create_grant(
            tx, server.world.call, subscription.id, Terms("calls", "Calls", Decimal(5)), catalogue
        )
    return encode("grant", made.id)


async def _victim(server: Site, environment: Environment) -> str:
    """Make a key that may be revoked."""
    made = await server.change(
        "createApiKey",
        "... on ApiKeyCreated { key { id } }",
        server.staff(),
        name="victim",
        environment=environment.name,
        scopes=["usage:read"],
    )
    return str(made["key"]["id"])


def codes_of(answer: Any) -> set[str]:
    """Give the codes of an answer's errors."""
    return {error["extensions"]["code"] for error in answer.get("errors", [])}


def mutation_of(name: str) -> str:
    """Write the document of a mutation, which selects all there is to its result."""
    assert CORE.mutation_type is not None
    field = CORE.mutation_type.fields[name]
    return f"mutation($input: {field.args['input'].type}) {{ {name}(input: $input) {selection(field.type, 3)} }}"
