"""The gateway's desks for customers and for bank transfers."""

from typing import Protocol

from domain.payments.listed import Page
from domain.payments.transfer import GatewayAccount, GatewayCash


class CustomerDesk(Protocol):
    """Every call may raise GatewayUnavailable (it may have acted) or GatewayRefused (it has not)."""

    async def delete_customer(self, gateway_customer_id: str, *, key: str) -> None:
        """Delete a customer for good, with its payment methods; nothing happens where it is gone."""
        ...


class TransferDesk(Protocol):
    """Every call may raise GatewayUnavailable or GatewayRefused. Neither moves money."""

    async def fetch_account(self, gateway_customer_id: str, currency: str, *, key: str) -> GatewayAccount | None:
        """Return the account to transfer to: the same one each time. None where the gateway has none in a currency."""
        ...

    async def list_cash(self, gateway_customer_id: str, *, after: str | None) -> Page[GatewayCash]:
        """Return a page of the movements of a customer's transferred money, the newest first."""
        ...
