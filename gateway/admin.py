"""The gateway for operators. Areas register what people set up beside its pages; what grows is in gateway.operators."""

from gateway import operators
from gateway.cache import admin as cache
from gateway.connections import admin as connections
from gateway.quotas import admin as quotas
from gateway.routing import admin as routing

__all__ = ["cache", "connections", "operators", "quotas", "routing"]
