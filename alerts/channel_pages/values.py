"""What somebody gave for a channel, joined with what is stored: an empty secret keeps the stored one, a changed address
asks for the others again (whoever could redirect a channel could otherwise read its key)."""

from collections.abc import Mapping
from typing import Any

from alerts.channels.base import ChannelPlugin
from core.errors import DomainError


def read_values(
    plugin: ChannelPlugin,
    values: Mapping[str, Any],
    *,
    settings: Mapping[str, Any] | None = None,
    secret: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings and secrets to store. `settings` and `secret` are a channel's own; without them everything that is
    required must be there. None forgets what is optional. Raises DomainError naming the field."""
    known = {field.name: field for field in plugin.fields}
    for name in values:
        if name not in known:
            raise DomainError(
                f"{name[:40]} is unknown; known are {', '.join(known)}.", fields=[name[:40]]
            )
    defaults = {name: field.default for name, field in known.items() if not field.is_secret}
    new_settings, new_secret = {**defaults, **(settings or {})}, dict(secret or {})
    given: set[str] = set()
    for name, field in known.items():
        value = values.get(name, "")
        if not field.is_secret:
            if name in values:
                new_settings[name] = value
        elif value is None:
            new_secret.pop(name, None)
        elif not isinstance(value, str) or "\x00" in value:
            raise DomainError(f"{name} must be text without NUL.", fields=[name])
        elif value.strip():
            new_secret[name] = value.strip()
            given.add(name)
    if secret is not None:
        _ask_again(plugin, settings or {}, secret, new_settings, new_secret, given)
    for name, field in known.items():
        if field.is_required and not (new_secret if field.is_secret else new_settings).get(name):
            raise DomainError(f"{field.label} is needed.", fields=[name])
    return plugin.clean(new_settings, new_secret)


def _ask_again(
    plugin: ChannelPlugin,
    settings: Mapping[str, Any],
    secret: Mapping[str, str],
    new_settings: Mapping[str, Any],
    new_secret: dict[str, str],
    given: set[str],
) -> None:
    """With another address: required secrets must be given anew, the others are forgotten."""
    moved = [
        name
        for name in plugin.addresses
        if (settings.get(name, ""), secret.get(name, ""))
        != (new_settings.get(name, ""), new_secret.get(name, ""))
    ]
    if not moved:
        return
    for field in plugin.fields:
        if not field.is_secret or field.name in given:
            continue
        if field.is_required:
            raise DomainError(
                f"The address changes, so enter {field.label} again: a stored secret is never sent to another address.",
                fields=[field.name],
            )
        new_secret.pop(field.name, None)
    if plugin.makes_secret:
        for name in [one for one in new_secret if one.startswith(plugin.makes_secret)]:
            del new_secret[name]
