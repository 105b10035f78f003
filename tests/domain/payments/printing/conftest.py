"""The gateways, for the tests of this folder."""

from tests.domain.payments.gateways import both, gateway, memory_gateway, probe, sandbox, sandbox_url, stripe_gateway

__all__ = ["both", "gateway", "memory_gateway", "probe", "sandbox", "sandbox_url", "stripe_gateway"]
