"""Alerts to staff: who sees them, and that whoever sees one may mark it read and nobody else."""

import pytest

from domain.access.roles import Permission
from domain.alerts.staffing import service
from domain.alerts.staffing.staff_alert import StaffAlertKind, StaffAlertNotFound, environments_seen
from domain.db import Database
from domain.kernel.call import Call, Environment
from tests import make

_SEES: dict[Environment | None, set[Environment | None]] = {
    None: {None, Environment.LIVE, Environment.TEST},
    Environment.LIVE: {None, Environment.LIVE},
    # What concerns both concerns live customers.
    Environment.TEST: {Environment.TEST},
}


def _by(environment: Environment | None) -> Call:
    permissions = (Permission.STAFF_ALERT_READ, Permission.STAFF_ALERT_WRITE)
    return make.call(by=make.principal(*permissions, environment=environment))


@pytest.mark.parametrize("environment", [None, *Environment])
def test_trouble_of_both_environments_is_seen_by_whoever_sees_live(environment: Environment | None) -> None:
    assert environments_seen(environment) == _SEES[environment]


@pytest.mark.parametrize("environment", [None, *Environment])
async def test_what_is_listed_can_be_marked_and_nothing_else(db: Database, environment: Environment | None) -> None:
    kind, asking = StaffAlertKind.MAIL_COMPLAINED, _by(environment)
    async with db.transaction() as tx:
        for concerned in (None, *Environment):
            about = str(concerned)
            assert await service.raise_alert(
                tx, make.call(), kind, about, environment=concerned, facts={"customer_id": "cus_1"}
            )
        everything = await service.list_alerts(tx, _by(None))
        seen = await service.list_alerts(tx, asking)
        assert len(everything) == 3
        assert {alert.environment for alert in seen} == _SEES[environment]
        for alert in everything:
            if alert in seen:
                assert (await service.mark_read(tx, asking, alert.id)).read_at == asking.at
            else:
                with pytest.raises(StaffAlertNotFound):
                    await service.mark_read(tx, asking, alert.id)
        assert await service.list_alerts(tx, asking, unread_only=True) == []
        unread = await service.list_alerts(tx, _by(None), unread_only=True)
        assert {alert.environment for alert in unread} == {None, *Environment} - _SEES[environment]
