"""The error tree. Expected refusals are values with a stable code, a kind and typed facts.

A subclass is a dataclass of its facts, and its docstring is the message a customer reads, with the facts in braces:

    @dataclass(eq=False)
    class PlanNotFound(DomainError):
        \"\"\"There is no plan named {plan}. See the list of plans.\"\"\"

        code = "plan_not_found"
        kind = Kind.NOT_FOUND
        plan: str

What a kind means to HTTP and GraphQL is said once, in `api/problems.py`.
"""

import dataclasses
import inspect
from enum import StrEnum
from typing import Any, ClassVar


class Kind(StrEnum):
    """What sort of refusal it is; decides the HTTP status and the GraphQL problem."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    LIMIT_REACHED = "limit_reached"
    PAYMENT_FAILED = "payment_failed"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"


class DomainError(Exception):
    """The request was refused."""

    code: ClassVar[str] = "refused"
    kind: ClassVar[Kind] = Kind.INVALID

    @property
    def facts(self) -> dict[str, Any]:
        """The typed facts by name, safe to show to the caller."""
        if not dataclasses.is_dataclass(self):
            return {}
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def message(self) -> str:
        """One or two sentences for the caller: what happened and what to do."""
        return inspect.cleandoc(self.__doc__ or "").format(**self.facts)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
