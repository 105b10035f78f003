"""Payment methods at the gateway in memory: set-ups that a test ends, small deposits, mandates."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from domain.payments.port import GatewayMethod, GatewayRefused
from domain.payments.setup import DepositKind, GatewayMandate, GatewaySetup, SetupState, SetupWay

Result = TypeVar("Result")
# As in Stripe's test mode.
DEPOSITS = (32, 45)
DEPOSIT_CODE = "SM11AA"
_ARRIVES_AT = datetime(2026, 1, 20, tzinfo=UTC)


class _Gateway(Protocol):
    methods: dict[str, GatewayMethod]
    tokens: dict[str, str]

    def new_id(self, prefix: str) -> str: ...

    async def write(self, operation: str, key: str, given: object, act: Callable[[], Result]) -> Result: ...

    async def read(self, operation: str) -> None: ...


class MemoryDesk:
    """Keeps what the gateway does about payment methods."""

    def __init__(self, gateway: _Gateway) -> None:
        """Know of no set-up yet."""
        self._gateway = gateway
        self.setups: dict[str, GatewaySetup] = {}
        self.ways: dict[str, SetupWay] = {}
        self.mandates: dict[str, GatewayMandate] = {}

    async def start_setup(self, gateway_customer_id: str, way: SetupWay, *, key: str) -> GatewaySetup:
        """Begin a set-up."""

        def act() -> GatewaySetup:
            made = self._gateway.new_id("seti")
            setup = GatewaySetup(made, SetupState.WAITING, gateway_customer_id, None, f"{made}_secret")
            self.setups[made], self.ways[made] = setup, way
            return setup

        return await self._gateway.write("start_setup", key, (gateway_customer_id, way), act)

    def enter(self, gateway_setup_id: str, token: str) -> None:
        """Fill the form in, as the customer does in the browser: a verified method is attached at once."""
        before = self.setups[gateway_setup_id]
        is_card = self.ways[gateway_setup_id] is SetupWay.CARD
        method = GatewayMethod(
            id=self._gateway.new_id("pm"),
            kind="card" if is_card else "us_bank_account",
            brand="visa" if is_card else "STRIPE TEST BANK",
            last4="4242" if is_card else "6789",
            exp_month=12 if is_card else None,
            exp_year=2030 if is_card else None,
            fingerprint=token,
            gateway_customer_id=None,
        )
        self._gateway.methods[method.id], self._gateway.tokens[method.id] = method, token
        entered = dataclasses.replace(before, gateway_method_id=method.id)
        if self.ways[gateway_setup_id] is not SetupWay.ACH_DEPOSITS:
            self._succeed(entered)
            return
        self.setups[gateway_setup_id] = dataclasses.replace(
            entered,
            state=SetupState.DEPOSITS_SENT,
            deposit_kind=DepositKind.AMOUNTS,
            deposits_at=_ARRIVES_AT,
            verification_url=f"https://pay.example.com/{gateway_setup_id}",
        )

    async def fetch_setup(self, gateway_setup_id: str) -> GatewaySetup | None:
        """Return a set-up as it is."""
        await self._gateway.read("fetch_setup")
        return self.setups.get(gateway_setup_id)

    async def verify_deposits(
        self, gateway_setup_id: str, *, amounts: tuple[int, int] | None, code: str | None, key: str
    ) -> GatewaySetup:
        """Verify the deposits, in any order."""

        def act() -> GatewaySetup:
            is_right = code == DEPOSIT_CODE or (amounts is not None and sorted(amounts) == list(DEPOSITS))
            before = self.setups[gateway_setup_id]
            if before.state is not SetupState.DEPOSITS_SENT or not is_right:
                raise GatewayRefused("payment_method_microdeposit_verification_amounts_mismatch")
            return self._succeed(before)

        return await self._gateway.write("verify_deposits", key, (gateway_setup_id, amounts, code), act)

    async def detach_method(self, gateway_method_id: str, *, key: str) -> None:
        """Detach a method."""

        def act() -> None:
            found = self._gateway.methods[gateway_method_id]
            self._gateway.methods[gateway_method_id] = dataclasses.replace(found, gateway_customer_id=None)

        await self._gateway.write("detach_method", key, gateway_method_id, act)

    async def fetch_mandate(self, gateway_mandate_id: str) -> GatewayMandate | None:
        """Return a mandate that a test has put there."""
        await self._gateway.read("fetch_mandate")
        return self.mandates.get(gateway_mandate_id)

    def _succeed(self, before: GatewaySetup) -> GatewaySetup:
        assert before.gateway_method_id is not None, "a method was entered"
        method = self._gateway.methods[before.gateway_method_id]
        attached = dataclasses.replace(method, gateway_customer_id=before.gateway_customer_id)
        self._gateway.methods[method.id] = attached
        after = dataclasses.replace(
            before, state=SetupState.SUCCEEDED, deposit_kind=None, deposits_at=None, verification_url=None
        )
        self.setups[before.id] = after
        return after
