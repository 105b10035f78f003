"""The gateways, for the tests of this folder."""

from tests.domain.payments.gateways import memory_gateway, sandbox, sandbox_url, stripe_gateway

__all__ = ["memory_gateway", "sandbox", "sandbox_url", "stripe_gateway"]
