"""The operators' pages of alerts: incidents and channels of the installation itself, and those of organisations to look
at. Each area registers its own."""

from alerts.channel_pages import admin as channel_admin
from alerts.events import admin as event_admin
from alerts.platform import admin as platform_admin
from alerts.platform import channel_admin as operator_admin
from alerts.platform.panel import watch_section
from alerts.rules import admin as rule_admin
from core import system

__all__ = ["channel_admin", "event_admin", "operator_admin", "platform_admin", "rule_admin"]

system.register("Watch", watch_section)
