"""Staff are told when a provider refuses the merchant's key: no customer can mend that, and every call fails."""

from datetime import datetime, timedelta

import structlog

from api.context import Serving
from domain.access.roles import system_principal
from domain.alerts.staffing import service as staffing
from domain.alerts.staffing.staff_alert import StaffAlertKind
from domain.db import DATABASE_ERRORS

# While the same provider goes on refusing, a process looks no more often whether staff know.
TELL_EVERY = timedelta(minutes=1)
_log = structlog.get_logger()


class KeyRefusals:
    """What one process has told; there are as many providers as the gateway knows."""

    def __init__(self) -> None:
        self._told_at: dict[str, datetime] = {}

    async def tell(self, serving: Serving, provider: str, status: int) -> None:
        """Raise an alert to staff, unless one about the provider is unread. Whatever comes of it, nothing is raised."""
        now = serving.runtime.now()
        told_at = self._told_at.get(provider)
        if told_at is not None and now - told_at < TELL_EVERY:
            return
        self._told_at[provider] = now
        facts = {"status": status, "setting": f"TOLLGATE_{provider.upper()}_KEY"}
        call = serving.runtime.call(system_principal("gateway"))
        try:
            async with serving.runtime.db.transaction() as tx:
                await staffing.raise_alert(
                    tx, call, StaffAlertKind.PROVIDER_REFUSED, provider, environment=None, facts=facts
                )
        except DATABASE_ERRORS as fault:
            del self._told_at[provider]
            _log.warning("gateway_alert_not_raised", provider=provider, error=type(fault).__name__)
