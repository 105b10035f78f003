"""GET /metrics: who may read it, and what it tells of what waits."""

from dataclasses import replace
from datetime import timedelta

import httpx2
import sqlalchemy as sa

from api.app import create_app
from domain.monitoring.gauge import MEANINGS
from tests.api.graphql.site import Site, _opener

TOKEN = "m" * 32
_LATE = sa.text("INSERT INTO schedule (name, every_s, next_run_at) VALUES ('anything', 5, :at)")


async def _asked(site: Site, token: str, authorization: str | None) -> httpx2.Response:
    """Ask an application whose token for monitoring is `token`."""
    runtime = replace(site.runtime, settings=replace(site.runtime.settings, metrics_token=token))
    app = create_app(runtime.settings, _opener(runtime))
    host = f"127.0.0.1:{runtime.settings.port}"
    headers = {} if authorization is None else {"Authorization": authorization}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=f"http://{host}") as client,
    ):
        return await client.get("/metrics", headers=headers)


async def test_only_the_token_for_monitoring_opens_it(site: Site) -> None:
    assert (await _asked(site, "", f"Bearer {TOKEN}")).status_code == 404
    assert (await _asked(site, TOKEN, None)).json()["code"] == "credentials_missing"
    assert (await _asked(site, TOKEN, "Bearer wrong")).json()["code"] == "credentials_rejected"
    assert (await _asked(site, TOKEN, f"Bearer {TOKEN}")).status_code == 200


async def test_what_waits_is_told_with_its_age(site: Site) -> None:
    now = site.runtime.now()
    async with site.runtime.db.transaction() as tx:
        await tx.execute(_LATE, {"at": now - timedelta(seconds=90)})
    answer = await _asked(site, TOKEN, f"Bearer {TOKEN}")
    numbers = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert {name.partition("{")[0] for name in numbers} == set(MEANINGS)
    # The clock of the test may have gone on a little since.
    assert int(numbers["tollgate_tasks_late_seconds"]) >= 90
    assert numbers["tollgate_sockets"] == "0"
    assert numbers["tollgate_staff_alerts_unread"] == "0"
