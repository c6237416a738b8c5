"""The operators' pages of alerts: incidents and channels of the installation itself. Organisations have pages of
their own."""

from alerts.platform import admin as platform_admin
from alerts.platform.panel import watch_section
from core import system

__all__ = ["platform_admin"]

system.register("Watch", watch_section)
