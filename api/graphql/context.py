"""What one GraphQL request or one socket carries."""

from dataclasses import field
from datetime import datetime
from typing import Any

from api.context import Serving
from api.graphql.loaders import Loaders
from domain.kernel.call import Call, Principal
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass
from domain.runtime import Runtime

# Nodes of connections, and lines of invoices, that one operation may load in all.
NODES_MAX = 10_000


@dataclass(eq=False)
class QueryTooLarge(DomainError):
    """The query asks for more than {nodes_max} nodes in all. Ask for shorter pages, or for fewer lists in lists."""

    code = "query_too_large"
    kind = Kind.TOO_LARGE
    nodes_max: int


@dataclass(slots=True)
class Context:
    """One GraphQL request, or one socket: then the credential comes with the connection's first message."""

    serving: Serving
    principal: Principal | None = None
    connection_params: dict[str, Any] | None = None
    nodes: int = 0
    is_shared: bool = False
    # What the present frame of a live execution is about; the empty text where it is about one thing only.
    item: str = ""
    # Whether the credential was refused when it was looked at last.
    is_signed_out: bool = False
    _credential: str | None = field(default=None, repr=False)
    _call: Call | None = field(default=None, repr=False)
    _loaders: Loaders | None = field(default=None, repr=False)

    @property
    def runtime(self) -> Runtime:
        """The process's runtime."""
        return self.serving.runtime

    @property
    def credential(self) -> str:
        """What the caller has signed in with."""
        assert self._credential is not None, "the caller has signed in"
        return self._credential

    @property
    def is_socket(self) -> bool:
        """Whether it outlives one operation."""
        return self.connection_params is not None

    @property
    def call(self) -> Call:
        """The call of this request; on a socket, which lives long, a new one each time it is asked for."""
        assert self.principal is not None, "the view signs the caller in before anything resolves"
        if self.is_socket:
            return self.runtime.call(self.principal)
        if self._call is None:
            self._call = self.runtime.call(self.principal)
        return self._call

    @property
    def loaders(self) -> Loaders:
        """Batching look-ups: a request remembers what it has loaded, a socket does not."""
        if self._loaders is None:
            self._loaders = Loaders(self.runtime, self.call, cache=not self.is_socket)
        return self._loaders

    async def sign_in(self, credential: str | None) -> None:
        """Find out who asks. Raises CredentialsMissing, CredentialsRejected, TokensUnverifiable."""
        self._credential = credential
        await self.check_credential()

    async def check_credential(self) -> None:
        """Look at the credential again: one that is expired or revoked by now is refused.

        A shared execution has none of its own. Raises as `sign_in`.
        """
        if self.is_shared:
            return
        authenticator = self.serving.authenticator
        try:
            self.principal = await authenticator.authenticate(self._credential, self.runtime.now())
        except DomainError as error:
            self.is_signed_out = error.kind is Kind.UNAUTHENTICATED
            raise

    def recall_credential(self, at: datetime) -> bool:
        """Look at the credential again where it was found good a moment ago, by whomever; False says nothing."""
        found = self.serving.authenticator.remembered(self._credential, at)
        if found is None:
            return False
        self.principal = found
        return True

    def for_everyone(self) -> "Context":
        """Return a context of an execution that sockets with the same rights share; each looks after its own rights."""
        return Context(self.serving, self.principal, connection_params={}, is_shared=True)

    def spend(self, nodes: int) -> None:
        """Count nodes that the present operation loads. Raises QueryTooLarge."""
        self.nodes += nodes
        if self.nodes > NODES_MAX:
            raise QueryTooLarge(NODES_MAX)
