"""Every kind of channel by its name."""

from alerts.channels.base import ChannelPlugin
from alerts.channels.discord import DiscordPlugin
from alerts.channels.email import EmailPlugin
from alerts.channels.pagerduty import PagerDutyPlugin
from alerts.channels.slack import SlackPlugin
from alerts.channels.teams import TeamsPlugin
from alerts.channels.webhook import WebhookPlugin
from core.errors import DomainError

_PLUGINS: dict[str, ChannelPlugin] = {}


def register(plugin: ChannelPlugin) -> None:
    """Take a kind up, or replace it."""
    _PLUGINS[plugin.kind] = plugin


def plugin_for(kind: str) -> ChannelPlugin:
    """Raises DomainError for a kind that there is not."""
    if kind not in _PLUGINS:
        known = ", ".join(_PLUGINS)
        raise DomainError(f"kind is {kind[:40]!r}; it must be one of {known}.", fields=["kind"])
    return _PLUGINS[kind]


def plugins() -> list[ChannelPlugin]:
    """In the order in which they are offered."""
    return list(_PLUGINS.values())


for _one in (
    EmailPlugin(), SlackPlugin(), PagerDutyPlugin(), WebhookPlugin(), TeamsPlugin(), DiscordPlugin(),
):  # fmt: skip
    register(_one)
