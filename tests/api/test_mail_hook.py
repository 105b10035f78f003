"""POST /hooks/mail takes signed reports, once; /unsubscribe stops a kind of mail at one click."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import msgspec

from domain.alerts.notice import LEGAL, Notice
from domain.alerts.preferring import service as preferring
from domain.alerts.unsubscribing import Unsubscribing
from domain.customers.customer import Customer
from domain.webhooks.signature import new_secret, sign
from tests.api.graphql.site import Site

_SECRET = new_secret(b"\x09" * 32)
_REPORT = {"id": "r1", "message_id": "<1@x>", "kind": "delivered", "at": "2026-04-10T12:00:00Z"}


async def _post(site: Site, body: Any, *, secret: str = _SECRET, late: timedelta = timedelta(0)) -> httpx2.Response:
    site.runtime.settings = replace(site.runtime.settings, mail_hook_secret=(_SECRET,))
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    headers = sign([secret], "msg_1", site.runtime.now() - late, content)
    return await site.client.post("/hooks/mail", content=content, headers=headers)


async def test_a_signed_report_is_taken_once(site: Site) -> None:
    answers = [(await _post(site, {"reports": [_REPORT]})).json() for _ in range(2)]
    assert answers == [{"received": 1, "new": 1, "unknown": 1}, {"received": 1, "new": 0, "unknown": 0}]


async def test_what_is_not_signed_so_or_too_old_is_rejected(site: Site) -> None:
    body = {"reports": [_REPORT]}
    assert (await _post(site, body, secret=new_secret(b"\x08" * 32))).status_code == 401
    assert (await _post(site, body, late=timedelta(minutes=6))).status_code == 401
    assert (await site.client.post("/hooks/mail", json=body)).status_code == 401
    site.runtime.settings = replace(site.runtime.settings, mail_hook_secret=())
    content = msgspec.json.encode(body)
    unset = await site.client.post(
        "/hooks/mail", content=content, headers=sign([_SECRET], "msg_1", site.runtime.now(), content)
    )
    assert unset.status_code == 401
    assert (await _post(site, body)).json()["new"] == 1


async def test_malformed_and_endless_reports_are_refused_whole(site: Site) -> None:
    bodies: tuple[Any, ...] = (
        b"not json",
        b"\xff",
        {"reports": []},
        {"reports": [_REPORT] * 501},
        {"reports": [_REPORT, {**_REPORT, "kind": "opened"}]},
        {"reports": [_REPORT, {**_REPORT, "id": ""}]},
        {"reports": [_REPORT, {**_REPORT, "message_id": "a\u0000"}]},
        {"reports": [_REPORT, {**_REPORT, "at": "2026-04-10T12:00:00"}]},
        {"reports": [_REPORT, {**_REPORT, "at": "0001-01-01T00:00:00+14:00"}]},
        {"reports": [_REPORT, {**_REPORT, "at": "9999-12-31T23:59:59-14:00"}]},
    )
    for bad in bodies:
        assert (await _post(site, bad)).status_code == 422, bad
    assert (await _post(site, b"x" * 262_145)).status_code == 413
    assert (await _post(site, {"reports": [_REPORT]})).json()["new"] == 1


async def _link(site: Site) -> tuple[Customer, str]:
    ada = await site.world.customer(on="2026-01-31", card=None)
    link = Unsubscribing("http://x", site.runtime.unsubscribe_keys[0]).link(ada.id, "weekly_digest")
    assert link is not None
    return ada, link.removeprefix("http://x")


async def _unwanted(site: Site, customer: Customer) -> list[str]:
    async with site.runtime.db.transaction() as tx:
        found = await preferring.preferences_by_id(tx, [customer.id], scope=None)
    return sorted(found[customer.id].unsubscribed)


async def test_a_link_shows_a_page_and_only_a_post_unsubscribes(site: Site) -> None:
    ada, path = await _link(site)
    page = await site.client.get(path)
    assert (page.status_code, await _unwanted(site, ada)) == (200, [])
    assert "<form" in page.text
    for _ in range(2):
        done = await site.client.post(path, content=b"List-Unsubscribe=One-Click")
        assert (done.status_code, await _unwanted(site, ada)) == (200, ["weekly_digest"])


async def test_kinds_that_are_stopped_at_the_same_moment_are_all_stopped(site: Site) -> None:
    ada, _ = await _link(site)
    kinds = [notice for notice in Notice if notice not in LEGAL]
    links = [Unsubscribing("http://x", site.runtime.unsubscribe_keys[0]).link(ada.id, kind) for kind in kinds]
    done = await asyncio.gather(*(site.client.post(str(link).removeprefix("http://x")) for link in links))
    assert {each.status_code for each in done} == {200}
    assert await _unwanted(site, ada) == sorted(kinds)


async def test_a_link_for_another_kind_or_customer_does_nothing(site: Site) -> None:
    ada, path = await _link(site)
    bob, other = await _link(site)
    for bad in (path.replace("weekly_digest", "limit_threshold"), other.split("?")[0] + "?" + path.split("?")[1]):
        assert (await site.client.get(bad)).status_code == 403
        assert (await site.client.post(bad)).status_code == 403
    assert (await _unwanted(site, ada), await _unwanted(site, bob)) == ([], [])
