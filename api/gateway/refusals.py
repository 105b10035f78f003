"""What the gateway refuses, before a provider hears of it."""

from domain.kernel.errors import DomainError, Kind
from domain.kernel.values import dataclass


@dataclass(eq=False)
class ProviderUnknown(DomainError):
    """The gateway has no provider {provider}. Use openai, anthropic, gemini or mistral."""

    code = "provider_unknown"
    kind = Kind.NOT_FOUND
    provider: str


class OperationUnknown(DomainError):
    """The gateway does not pass this operation on. See docs/metering.md for those that it does."""

    code = "operation_unknown"
    kind = Kind.NOT_FOUND


class CallMalformed(DomainError):
    """The body of this call is no JSON object that can be read."""

    code = "call_malformed"
    kind = Kind.INVALID


@dataclass(eq=False)
class CallNotMeterable(DomainError):
    """The gateway does not pass on a call with {member}: it cannot be metered, or reaches into a shared account."""

    code = "call_not_meterable"
    kind = Kind.INVALID
    member: str


@dataclass(eq=False)
class ProviderNotSetUp(DomainError):
    """Calls to {provider} are not set up here."""

    code = "provider_not_set_up"
    kind = Kind.UNAVAILABLE
    provider: str


class CallerUnverifiable(DomainError):
    """The gateway cannot check who calls now, and nothing was sent. Send the same call again in a moment."""

    code = "caller_unverifiable"
    kind = Kind.UNAVAILABLE
