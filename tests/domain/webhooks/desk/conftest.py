"""The gateway, for the tests of this folder."""

from tests.domain.payments.gateways import memory_gateway

__all__ = ["memory_gateway"]
