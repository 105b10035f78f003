"""Deny by default: the schema is walked, then every field is asked for by everyone about everyone.

Three customers have one of each thing: Ada and Bob in test, Liv in live. Whoever may not see one of them must neither
be shown anything of theirs nor change a row, whatever field they try.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphql import GraphQLObjectType, is_required_argument

from api.graphql.permissions import PERMISSION, SIGNED_IN
from api.local.throwaway import TemporaryServers
from domain.access.roles import Permission
from tests.api.graphql.asking import ARGUMENTS, INPUTS
from tests.api.graphql.scene import (
    CORE,
    FIELDS,
    ROOTS,
    TYPES,
    Scene,
    codes_of,
    document_of,
    fields_of,
    found_in,
    is_shown,
    mutation_of,
    objects_of,
    open_scene,
)
from tests.api.graphql.socket_client import open_socket
from tests.databases import fresh_database

NOT_SHOWN = {"forbidden", "customer_not_found", "subscription_not_found", "environment_refused"}


@pytest.fixture(scope="module")
async def scene(servers: TemporaryServers, template: str) -> AsyncIterator[Scene]:
    """Make the three customers and everyone who tries them, once for this file."""
    async with fresh_database(servers, "permissions", template) as database, open_scene(database) as made:
        yield made


def test_every_field_of_every_type_names_its_permission() -> None:
    known = {*Permission, SIGNED_IN}
    unnamed = [
        f"{name}.{field}"
        for name, definition in TYPES.items()
        for field, strawberry_field in fields_of(definition).items()
        if (strawberry_field.metadata or {}).get(PERMISSION) not in known
    ]
    assert not unnamed


def covers(asked: frozenset[str], needed: str) -> bool:
    """Whether one who holds what was asked for may see what needs a permission; writing a thing shows that thing."""
    return needed == SIGNED_IN or needed in asked or f"{needed.partition(':')[0]}:write" in asked


def test_an_object_is_reached_only_through_fields_that_ask_for_what_its_type_needs() -> None:
    waiting: list[tuple[str, frozenset[str], str]] = [(root, frozenset(), root) for root in ROOTS]
    seen: set[tuple[str, frozenset[str]]] = set()
    faults = []
    while waiting:
        name, asked, path = waiting.pop()
        if (name, asked) in seen:
            continue
        seen.add((name, asked))
        fields = fields_of(TYPES[name])
        graphql_type = CORE.type_map[name]
        assert isinstance(graphql_type, GraphQLObjectType)
        for field, strawberry_field in fields.items():
            needed = strawberry_field.metadata[PERMISSION]
            if strawberry_field.base_resolver is None and not covers(asked, needed):
                faults.append(f"{path}.{field} needs {needed}; only {sorted(asked)} was asked for")
            below = asked | {needed}
            waiting += [(each.name, below, f"{path}.{field}") for each in objects_of(graphql_type.fields[field].type)]
    assert not faults
    assert {name for name, _ in seen} == set(TYPES), "every type is reached"


def test_every_root_field_is_tried_below() -> None:
    mutations = {name for root, name in FIELDS if root == "Mutation"}
    assert not mutations - set(INPUTS), "give each mutation its input in tests/api/graphql/scene.py"
    for root, name in FIELDS:
        if root != "Mutation":
            root_type = CORE.type_map[root]
            assert isinstance(root_type, GraphQLObjectType)
            arguments = root_type.fields[name].args
            required = {each for each, argument in arguments.items() if is_required_argument(argument)}
            assert required <= set(ARGUMENTS.get(name, {})), f"give {name} its arguments in tests/api/graphql/scene.py"


async def test_what_may_not_be_read_is_not_shown(scene: Scene) -> None:
    before = await scene.rows()
    shown = hidden = 0
    for actor, target, name in scene.cases("Query"):
        document, given = document_of("Query", name, target)
        answer = await scene.server.run(document, actor.token, **given)
        where = f"{actor.name} reads {name} of {target.ids['customer']}: {json.dumps(answer)[:500]}"
        assert not found_in(answer, actor, scene), where
        if is_shown(actor, "Query", name, target):
            shown += 1
            # What lies deeper may need more; the field itself was not refused.
            assert not [error for error in answer.get("errors", []) if error["path"] == [name]], where
        else:
            hidden += 1
            assert codes_of(answer) <= NOT_SHOWN | {"endpoint_not_found"}, where
            assert not (answer.get("data") or {}).get(name), where
    assert await scene.rows() == before
    assert (shown > 100, hidden > 100) == (True, True)


async def test_what_may_not_be_changed_stays_as_it_is(scene: Scene) -> None:
    before = await scene.rows()
    cases = [(*case, is_shown(case[0], "Mutation", case[2], case[1])) for case in scene.cases("Mutation")]
    refused = [case[:3] for case in cases if not case[3]]
    for number, (actor, target, name) in enumerate(refused):
        answer = await scene.server.run(mutation_of(name), actor.token, input=INPUTS[name](target.ids, number))
        where = f"{actor.name} does {name} to {target.ids['customer']}: {json.dumps(answer)[:500]}"
        assert not found_in(answer, actor, scene), where
        assert "data" in answer, where
        assert_refused(answer["data"][name], where)
    assert await scene.rows() == before

    allowed = [case[:3] for case in cases if case[3]]
    for number, (actor, target, name) in enumerate(allowed, len(refused)):
        answer = await scene.server.run(mutation_of(name), actor.token, input=INPUTS[name](target.ids, number))
        where = f"{actor.name} does {name} to {target.ids['customer']}: {json.dumps(answer)[:500]}"
        assert not found_in(answer, actor, scene), where
        # What lies deeper in the result may need more than the mutation.
        assert codes_of(answer) <= {"forbidden"}, where
        assert ((answer["data"] or {}).get(name) or {}).get("code") not in NOT_SHOWN, where
    assert await scene.rows() != before
    assert (len(refused) > 100, len(allowed) > 50) == (True, True)


def assert_refused(result: dict[str, Any], where: str) -> None:
    """Check that a mutation says no, or, for events, which are answered one by one, says it about each of them.

    Of events in quarantine, those that the caller may not see are not looked at.
    """
    if "results" in result:
        assert {each["reason"] for each in result["results"]} == {"unknown_customer"}, where
    elif "resolvedIds" in result:
        assert (result["resolvedIds"], result["kept"], result["lastId"]) == ([], [], None), where
    else:
        assert result["code"] in NOT_SHOWN | {
            "key_refused",
            "key_not_found",
            "key_records_nothing",
            "reservation_not_found",
            "alert_not_found",
            "dunning_case_not_found",
            "invoice_not_found",
            "credit_note_not_found",
            "unapplied_payment_not_found",
            "recorded_payment_not_found",
            "endpoint_not_found",
            "staff_alert_not_found",
            "mail_not_found",
            "scheduled_start_not_found",
        }, where


async def test_what_may_not_be_watched_is_not_shown(scene: Scene) -> None:
    for actor, target, name in scene.cases("Live"):
        document, given = document_of("Live", name, target)
        async with open_socket(scene.server.host, actor.token) as socket:
            message = await socket.next(await socket.start(document, **given))
        payload = message["payload"]
        where = f"{actor.name} watches {name} of {target.ids['customer']}: {json.dumps(message)[:500]}"
        assert not found_in(message, actor, scene), where
        if is_shown(actor, "Live", name, target):
            assert (payload.get("data") or {}).get(name) or payload["errors"][0]["path"] != [name], where
        else:
            assert codes_of(payload) <= NOT_SHOWN, where
            assert not (payload.get("data") or {}).get(name), where
