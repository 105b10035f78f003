"""What access asks of the outside: somebody who can tell whether a token is genuine."""

from datetime import datetime
from typing import Protocol

from domain.kernel.call import Principal


class TokenVerifier(Protocol):
    """Turns a bearer token into a principal."""

    async def verify(self, token: str, at: datetime) -> Principal:
        """Return who the token speaks for at a real instant.

        Raises CredentialsRejected, whatever is wrong with it, and TokensUnverifiable where it cannot be checked now.
        """
        ...
