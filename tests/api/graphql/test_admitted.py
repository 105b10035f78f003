"""A socket whose credential has ended is closed, whatever it runs; one task looks after all of them."""

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from api.graphql.admitted import Admitted
from api.graphql.feeds import GROUPS
from domain.db import ConnectionLost
from domain.kernel.ids import encode
from tests import make
from tests.api.graphql.site import Site
from tests.api.graphql.socket_client import open_socket
from tests.api.graphql.test_live_sharing import view_of

USAGE = "subscription($id: ID!) { usageChanged(customerId: $id) { sequence } }"
ROUNDS_MAX = 1_000


class Guest:
    """A socket with a credential, and whether it was shown out."""

    def __init__(self, credential: str) -> None:
        self.credential, self.is_out = credential, False

    def show_out(self) -> None:
        """Note that it was."""
        self.is_out = True


class Stopped(Exception):
    """Ends the looking after so many pauses."""


class Pacing:
    """As much of an API process as the looking asks for: its pauses end at once, and it stops after some of them."""

    reread_s = 10.0

    def __init__(self, pauses_max: int, *answers: Exception | frozenset[str]) -> None:
        self.pauses: list[float] = []
        self.asked: list[set[str]] = []
        self._pauses_max, self._answers = pauses_max, list(answers)
        self.authenticator: Any = self
        self.runtime = SimpleNamespace(now=lambda: make.at("2026-01-15"))

    async def pause(self, seconds: float) -> None:
        """Wait for no time."""
        if len(self.pauses) == self._pauses_max:
            raise Stopped
        self.pauses.append(seconds)

    async def ended(self, given: set[str], _at: Any) -> frozenset[str]:
        """Answer with what was prepared, then with nothing."""
        self.asked.append(given)
        answer = self._answers.pop(0) if self._answers else frozenset[str]()
        if isinstance(answer, Exception):
            raise answer
        return answer


async def _look(admitted: Admitted, guests: list[Guest], pacing: Any) -> None:
    for guest in guests:
        admitted.enter(guest, pacing)
    assert admitted._looking is not None
    with pytest.raises(Stopped):
        await admitted._looking


async def test_all_sockets_are_looked_at_in_time_by_few_questions() -> None:
    guests = [Guest(f"key {number}") for number in range(5_000)]
    pacing = Pacing(GROUPS)
    await _look(Admitted(), guests, pacing)
    # 10 s x 0.7 / 20 groups.
    assert pacing.pauses == [pytest.approx(0.35)] * 20
    assert [len(each) for each in pacing.asked] == [250] * 20
    assert set.union(*pacing.asked) == {guest.credential for guest in guests}
    assert not any(guest.is_out for guest in guests)


async def test_sockets_with_the_same_credential_are_asked_about_once_and_leave_together() -> None:
    # With 20 groups the 1st and the 21st are in the same one.
    guests = [Guest("same" if number in {0, 20} else f"key {number}") for number in range(21)]
    pacing = Pacing(1, frozenset({"same"}))
    await _look(Admitted(), guests, pacing)
    assert pacing.asked == [{"same"}]
    assert [number for number, guest in enumerate(guests) if guest.is_out] == [0, 20]


async def test_while_nobody_can_tell_everybody_stays_and_is_looked_at_again() -> None:
    guest = Guest("key")
    faults = (ConnectionLost(), ConnectionRefusedError(), RuntimeError("a fault of ours"))
    pacing = Pacing(GROUPS * 3, *faults)
    admitted = Admitted()
    await _look(admitted, [guest], pacing)
    assert (len(pacing.asked), guest.is_out) == (3, False)
    again = Pacing(GROUPS, frozenset({"key"}))
    await _look(Admitted(), [guest], again)
    assert guest.is_out


async def test_nobody_is_looked_after_when_all_have_left() -> None:
    admitted, one, other = Admitted(), Guest("one"), Guest("other")
    pacing: Any = Pacing(0)
    admitted.enter(one, pacing)
    admitted.enter(other, pacing)
    looking = admitted._looking
    admitted.leave(one)
    assert (len(admitted), admitted._looking) == (1, looking)
    admitted.leave(other)
    assert (len(admitted), admitted._looking) == (0, None)
    admitted.leave(other)
    assert len(admitted) == 0


async def _revoke(server: Site, secret: str) -> None:
    asked = "{ apiKeys { nodes { id prefix } } }"
    found = (await server.read(asked, server.staff()))["apiKeys"]["nodes"]
    [key_id] = [each["id"] for each in found if secret.startswith(each["prefix"])]
    await server.change("revokeApiKey", "... on ApiKeyRevoked { key { id } }", server.staff(), id=key_id)


async def test_a_socket_whose_key_is_revoked_is_closed_and_others_stay(server: Site) -> None:
    server.app.state.serving.reread_s = 0.1
    ada = encode("customer", (await server.world.customer(on="2026-01-31", card=None)).id)
    revoked, kept = [await server.key("usage:read") for _ in range(2)]
    async with AsyncExitStack() as stack:
        idle, busy, other = [
            await stack.enter_async_context(open_socket(server.host, key)) for key in (revoked, revoked, kept)
        ]
        for socket in (busy, other):
            assert (await socket.frame(await socket.start(USAGE, id=ada)))["sequence"] == 1
        assert len(view_of(server).admitted) == 3
        await _revoke(server, revoked)
        # Nothing of the ten seconds for which the key may be remembered is waited for.
        assert [await idle.closed(), await busy.closed()] == [4403, 4403]
        viewer = await other.start("{ viewer { kind } }")
        assert (await other.frame(viewer))["kind"] == "KEY"
        assert (len(view_of(server).admitted), len(view_of(server).feeds.open)) == (1, 1)
    for _ in range(ROUNDS_MAX):
        if not server.app.state.serving.sockets:
            break
        await asyncio.sleep(0.01)
    assert (server.app.state.serving.sockets, len(view_of(server).admitted)) == (0, 0)


async def test_a_socket_whose_operation_is_refused_for_its_credential_is_told_so_and_closed(quiet_server: Site) -> None:
    key = await quiet_server.key("usage:read")
    async with open_socket(quiet_server.host, key) as socket:
        # The socket as a whole is not looked after here, and nobody remembers the key.
        admitted, known = view_of(quiet_server).admitted, quiet_server.app.state.serving.authenticator._known
        for guest in [guest for group in admitted._groups for guest in group]:
            admitted.leave(guest)
        await _revoke(quiet_server, key)
        known.clear()
        refused = await socket.next(await socket.start("{ viewer { kind } }"))
        assert (refused["type"], refused["payload"][0]["extensions"]) == ("error", {"code": "credentials_rejected"})
        assert await socket.closed() == 4403
