"""What a foreign service that computes taxes must be able to do."""

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime
from typing import Protocol

from domain.customers.profiles.profile import Address, TaxStatus
from domain.invoices.tax import NoTax, Rate
from domain.kernel.call import Environment
from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass


@dataclass(eq=False)
class TaxUnavailable(DomainError):
    """The taxes of the invoice are not known yet ({reason}). It stays a draft, and is tried again."""

    code = "tax_unavailable"
    kind = Kind.UNAVAILABLE
    reason: str


@dataclass(eq=False)
class TaxRefused(DomainError):
    """The tax service refuses to compute the taxes of the invoice ({reason}). It stays a draft; staff are told."""

    code = "tax_refused"
    kind = Kind.CONFLICT
    reason: str


@dataclass(frozen=True, slots=True)
class AskedGroup:
    """What is sold under one tax code, before tax; negative where credits weigh more."""

    tax_code: str | None
    amount_minor: int


@dataclass(frozen=True, slots=True)
class TaxQuestion:
    """What the taxes of one invoice depend on."""

    environment: Environment
    currency: str
    groups: tuple[AskedGroup, ...]
    address: Address = field(repr=False)
    vat_number: str | None = field(repr=False)
    status: TaxStatus
    at: datetime


@dataclass(frozen=True, slots=True)
class TaxShare:
    """One rate of a group, or the reason for none, in minor units with the sign of the group."""

    stated: Rate | NoTax
    base_minor: int
    tax_minor: int


@dataclass(frozen=True, slots=True)
class TaxAnswer:
    """The taxes of each group of a question, in its order. `reference` is the service's own id of the answer."""

    reference: str
    groups: tuple[Sequence[TaxShare], ...]


class TaxCalculator(Protocol):
    """Computes taxes somewhere else."""

    async def calculate(self, question: TaxQuestion, *, key: str) -> TaxAnswer:
        """Return the taxes. Safe to repeat with the same key.

        Raises TaxUnavailable where there is no answer now, TaxRefused where there will be none, both within the
        adapter's time limit.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
