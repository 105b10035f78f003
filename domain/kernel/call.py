"""A call: who asks, when in real time, and where new ids come from. Every use case gets one from its edge."""

from collections.abc import Callable
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.kernel.errors import DomainError, Kind
from domain.kernel.ids import CustomerId
from domain.kernel.values import dataclass


class Environment(StrEnum):
    """Customers, keys and numbers are live or test for life."""

    LIVE = "live"
    TEST = "test"


class PrincipalKind(StrEnum):
    """Staff and members are people, keys are the merchant's products, the system is a worker."""

    STAFF = "staff"
    MEMBER = "member"
    KEY = "key"
    SYSTEM = "system"


@dataclass(eq=False)
class Forbidden(DomainError):
    """You may not do this: it needs the permission {permission}."""

    code = "forbidden"
    kind = Kind.FORBIDDEN
    permission: str


@dataclass(eq=False)
class SecondFactorMissing(DomainError):
    """This needs a sign-in with a second factor. Sign in again with one, and send the same request again."""

    code = "second_factor_required"
    kind = Kind.FORBIDDEN


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, with all rights resolved: nothing further down looks a role up again.

    `customer_id` is set for members and for keys bound to one customer: they see nothing of any other.
    `product` and `source` are set for keys that report usage: the product's key and the identity's source.
    `environment` is None for the system and for staff, who act in both. `withheld` are the permissions of a role that
    were not granted because its bearer signed in without a second factor.
    """

    kind: PrincipalKind
    id: str
    role: str
    permissions: frozenset[str]
    environment: Environment | None = None
    customer_id: CustomerId | None = None
    product: str | None = None
    source: str | None = None
    expires_at: datetime | None = None
    withheld: frozenset[str] = frozenset()

    def may(self, permission: str) -> bool:
        """Whether the permission was granted."""
        return permission in self.permissions

    def need(self, permission: str) -> None:
        """Refuse unless the permission was granted. Raises Forbidden, SecondFactorMissing."""
        if permission not in self.permissions:
            raise SecondFactorMissing if permission in self.withheld else Forbidden(permission)


@dataclass(frozen=True, slots=True)
class Call:
    """One request or job. `at` is real time; business time is the customer's."""

    id: UUID
    at: datetime
    principal: Principal
    new_id: Callable[[], UUID] = field(repr=False)

    def need(self, permission: str) -> None:
        """Refuse unless the principal holds the permission. Raises Forbidden, SecondFactorMissing."""
        self.principal.need(permission)

    @property
    def scope(self) -> CustomerId | None:
        """The only customer whose rows this call may see, or None for all of them."""
        return self.principal.customer_id
