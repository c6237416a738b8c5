"""The gateway for operators. Each area registers its own models beside its pages."""

from gateway.connections import admin as connections

__all__ = ["connections"]
