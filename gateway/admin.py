"""The gateway for operators. Each area registers its own models beside its pages."""

from gateway.cache import admin as cache
from gateway.connections import admin as connections
from gateway.quotas import admin as quotas
from gateway.routing import admin as routing

__all__ = ["cache", "connections", "quotas", "routing"]
