"""Everything of one customer in a file: asked for in GraphQL, made by a job, fetched by a link, or at the terminal."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from api.local.throwaway import TemporaryServers
from domain.customers import service as customers
from domain.privacy.export import tables_of
from domain.privacy.exporting import service as exporting
from domain.privacy.exporting import store
from domain.privacy.inventory import inventory
from domain.privacy.reading.store import read_page
from tests.api.command import run
from tests.api.graphql.scene import Scene, open_scene
from tests.databases import fresh_database

EXPORT = "... on CustomerExportStarted { export { id state lines download { url } } }"
LISTED = """query($customer: ID!) { customerExports(customerId: $customer) {
    id customerId state lines bytes endedAt expiresAt download { url expiresAt } } }"""


@pytest.fixture(scope="module")
async def scene(servers: TemporaryServers, template: str) -> AsyncIterator[Scene]:
    """Make three customers with one of each thing, once for this file."""
    async with fresh_database(servers, "exports", template) as database, open_scene(database) as made:
        yield made


async def made_for(scene: Scene, name: str) -> tuple[dict[str, Any], list[str]]:
    """Have a customer exported; return what is told of the export, and its lines."""
    server, customer = scene.server, scene.targets[name].ids["customer"]
    asked = (await server.change("exportCustomer", EXPORT, server.staff(), customerId=customer))["export"]
    assert (asked["state"], asked["lines"], asked["download"]) == ("RUNNING", 0, None)
    again = (await server.change("exportCustomer", EXPORT, server.staff(), customerId=customer))["export"]
    assert again["id"] == asked["id"], "while one is made, that one is returned"
    await server.world.drain()
    told = (await server.read(LISTED, server.staff(), customer=customer))["customerExports"][0]
    assert (told["id"], told["state"]) == (asked["id"], "READY")
    answer = await server.client.get(told["download"]["url"])
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="{customer}.jsonl"'
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.content) == told["bytes"]
    return told, answer.text.splitlines()


async def test_an_export_holds_everything_of_its_customer_and_nothing_of_another(scene: Scene) -> None:
    told, lines = await made_for(scene, "Ada")
    ada, bob, liv = (scene.targets[name] for name in ("Ada", "Bob", "Liv"))
    text = "\n".join(lines)
    assert [mark for mark in (*bob.marks, *liv.marks) if mark in text] == []
    for mark in ("Ada Personal", "Ada@personal.example", "external-Ada", "odd-Ada", ada.ids["invoice"]):
        assert mark in text, mark
    records = [json.loads(line) for line in lines]
    assert (records[0]["record"], records[0]["customer_id"], records[-1]) == (
        "export",
        ada.ids["customer"],
        {"record": "end"},
    )
    assert len(records) == told["lines"]
    owners = {each["customer_id"] for each in records[1:-1]}
    assert owners == {ada.ids["customer"]}
    counted = Counter(each["record"] for each in records[1:-1])
    assert counted.keys() <= set(tables_of(inventory()))
    assert counted["customer"] == 1
    for table in ("subscription", "usage_event", "quarantined_event", "invoice", "invoice_line", "payment_method"):
        assert counted[table] > 0, table
    assert counted["audit_entry"] > 1


async def test_pages_of_one_row_hold_the_same_rows_as_one_page(scene: Scene) -> None:
    ada = scene.targets["Ada"].customer_id
    several = 0
    async with scene.server.runtime.db.transaction() as tx:
        key = await customers.data_key(tx, ada)
        for table in tables_of(inventory()):
            holding = inventory()[table]
            whole = await read_page(tx, key, holding, ada, after=None, limit=1_000)
            rows: list[Any] = []
            after: tuple[str, ...] | None = None
            while True:
                page = await read_page(tx, key, holding, ada, after=after, limit=1)
                rows += page.rows
                if page.after is None:
                    break
                after = page.after
            assert rows == list(whole.rows), table
            several += len(rows) > 1
    assert several > 5


async def test_an_export_goes_on_where_the_last_job_stopped(scene: Scene) -> None:
    world, db, bob = scene.server.world, scene.server.runtime.db, scene.targets["Bob"].customer_id
    whole = [line async for page in exporting.everything(db, world.call, bob) for line in page.splitlines()]
    async with db.transaction() as tx:
        new = await exporting.request(tx, world.call, bob)
        again = await exporting.request(tx, world.call, bob)
    assert again == new, "one is made at a time"
    runs = 1
    while not await exporting.carry_on(db, world.call, bob, new.id, parts_max=2, rows_max=7):
        runs += 1
    assert runs > 3
    assert await exporting.carry_on(db, world.call, bob, new.id), "what has ended stays so"
    async with db.transaction() as tx:
        made = await store.find_export(tx, new.id)
    assert made is not None
    assert made.parts > 2 * 3
    lines = [line async for part in exporting.parts(db, made) for line in part.splitlines()]
    assert len(lines) == made.lines
    # Each export is audited before it is made, and has a head of its own.
    assert told(lines) == told(whole)


def told(lines: list[bytes]) -> list[bytes]:
    """Leave out what differs between two exports: the head, and that they were made."""
    return [line for line in lines[1:] if b'"action":"export_customer"' not in line]


async def test_the_terminal_writes_the_same_lines_and_keeps_nothing(scene: Scene) -> None:
    _, lines = await made_for(scene, "Bob")
    before = await kept_of(scene, "Bob")
    url = scene.server.runtime.db._engine.url.render_as_string(hide_password=False)
    status, printed = await run(url, "privacy", "export", scene.targets["Bob"].ids["customer"])
    assert status == 0
    # The command itself is audited before anything is written, and each has a head of its own.
    differing = {line for line in printed.splitlines() if line not in set(lines)}
    assert {json.loads(line)["record"] for line in differing} == {"export", "audit_entry"}
    assert set(lines) - set(printed.splitlines()) == {lines[0]}
    assert await kept_of(scene, "Bob") == before


async def kept_of(scene: Scene, name: str) -> int:
    """Count what is kept of exports of a customer."""
    async with scene.server.runtime.db.transaction() as tx:
        count = "SELECT count(*) FROM privacy_export_part WHERE customer_id = :id"
        return int(await tx.value(sa.text(count).bindparams(id=scene.targets[name].customer_id)))


async def test_a_link_that_was_not_signed_so_opens_nothing(scene: Scene) -> None:
    told, _ = await made_for(scene, "Liv")
    path = told["download"]["url"]
    for tried in (
        path[:-1] + ("0" if path[-1] != "0" else "1"),
        path.split("?")[0],
        path.replace("expires=1", "expires=2"),
    ):
        assert (await scene.server.client.get(tried)).status_code == 403
    assert (await scene.server.client.get("/exports/nonsense?expires=1&signature=2")).status_code == 422


async def downloads_of(scene: Scene, name: str) -> list[Any]:
    """Return what the audit log says of downloads of a customer's exports, oldest first."""
    async with scene.server.runtime.db.transaction() as tx:
        entries = """SELECT principal_kind, principal_id, action, about, facts, at FROM audit_entry
            WHERE customer_id = :id AND action = 'download_export' ORDER BY id"""
        return [row._mapping for row in await tx.rows(sa.text(entries).bindparams(id=scene.targets[name].customer_id))]


async def test_each_download_is_audited_with_what_was_fetched_and_no_link(scene: Scene) -> None:
    client, liv = scene.server.client, scene.targets["Liv"]
    before = len(await downloads_of(scene, "Liv"))
    told, _ = await made_for(scene, "Liv")
    path = told["download"]["url"]
    assert (await client.head(path)).status_code == 200
    assert (await client.get(path + "0")).status_code == 403
    assert len(await downloads_of(scene, "Liv")) == before + 1, "a look and a refusal hand nothing out"
    assert (await client.get(path)).status_code == 200
    entries = (await downloads_of(scene, "Liv"))[before:]
    assert len(entries) == 2
    for entry in entries:
        assert (entry["principal_kind"], entry["principal_id"]) == ("system", "system:export_link")
        assert (entry["about"], entry["facts"]) == (liv.ids["customer"], {"export_id": told["id"]})
        assert path.rpartition("=")[2] not in str(entry)


async def test_only_an_admin_of_staff_exports(scene: Scene) -> None:
    before = await scene.rows()
    server, ada = scene.server, scene.targets["Ada"]
    for token in (
        *(server.staff(role) for role in ("finance", "support", "viewer")),
        server.member(ada.customer_id, "owner"),
    ):
        answer = await server.change("exportCustomer", EXPORT, token, customerId=ada.ids["customer"])
        assert answer["code"] == "forbidden"
        listed = await server.run(LISTED, token, customer=ada.ids["customer"])
        assert listed["errors"][0]["extensions"]["code"] == "forbidden"
    assert await scene.rows() == before


async def test_a_file_is_gone_after_its_time_for_whoever_has_the_link_too(scene: Scene) -> None:
    told, _ = await made_for(scene, "Bob")
    customer_id, db = scene.targets["Bob"].customer_id, scene.server.runtime.db
    later = scene.server.runtime.call(scene.server.world.call.principal, scene.server.runtime.now() + timedelta(days=7))
    async with db.transaction() as tx:
        [*_, kept] = await store.list_exports(tx, customer_id, limit=20)
        assert await exporting.forget(tx, scene.server.world.call) == 0
        assert await exporting.forget(tx, later) > 0
        assert await store.find_part(tx, kept, 0) is None
    assert [each async for each in exporting.parts(db, kept)] == []
    assert (await scene.server.client.get(told["download"]["url"])).status_code == 404
