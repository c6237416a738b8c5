"""What a billing connection needs to reach its provider: settings, and secrets that go in and never out."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.access_fields import Field
from core.errors import DomainError
from costs.billing import sync
from costs.providers.base import BillingPlugin, Checked, Permanent, ProviderError
from costs.providers.registry import plugin_for, plugins
from projects.connections import hint_of, open_credentials
from projects.models import ProviderConnection

LONGEST = 20_000
# What a check saw is kept beside the settings; no plugin has a setting of this name.
SEEN = "_seen"
# Set while the connection's lines are taken away in the background: the job's id.
DELETING = "_deleting"


class CheckFailedError(DomainError):
    """The provider refused the credentials or did not answer; `detail` has its words, secrets taken out."""

    code = "check_failed"
    status = 422


@dataclass(frozen=True)
class Access:
    """What a plugin needs to read a bill."""

    credentials: dict[str, str]
    settings: dict[str, Any]


def plugin_named(provider: str) -> BillingPlugin:
    """Raises DomainError naming `provider`."""
    try:
        return plugin_for(provider)
    except LookupError:
        known = ", ".join(one.provider for one in plugins())
        raise DomainError(
            f"provider is {provider[:40]!r}; it must be one of {known}.", fields=["provider"]
        ) from None


def read_access(
    plugin: BillingPlugin, given: Mapping[str, Any], *, stored: Access | None = None
) -> Access:
    """The plugin's fields out of a form or body. Raises DomainError naming the field.

    With `stored`, an empty secret stays as it is; but not when an address changes: a stored secret is only ever sent
    to where it was given for.
    """
    credentials: dict[str, str] = {}
    settings: dict[str, Any] = {}
    for field in plugin.fields:
        if field.name not in given and stored is not None:
            value = stored.settings.get(field.name, "") if not field.is_secret else ""
        else:
            value = _clean(field, given.get(field.name, field.default))
        if field.is_secret:
            value = value or (stored.credentials.get(field.name, "") if stored else "")
        if field.is_required and not value:
            raise DomainError(f"{field.name} ({field.label}) is required.", fields=[field.name])
        (credentials if field.is_secret else settings)[field.name] = value
    if stored is not None:
        _keep_secrets_home(plugin, given, settings, stored)
    return Access(credentials, settings)


def _clean(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise DomainError(f"{field.name} must be text.", fields=[field.name])
    text: str = value.strip()
    if "\x00" in text or len(text) > LONGEST:
        raise DomainError(
            f"{field.name} has at most {LONGEST:,} characters and no NUL.", fields=[field.name]
        )
    if field.choices and text and text not in dict(field.choices):
        known = ", ".join(key for key, _ in field.choices)
        raise DomainError(
            f"{field.name} is {text[:40]!r}; it must be one of {known}.", fields=[field.name]
        )
    return text


def _is_address(name: str, *values: Any) -> bool:
    return name.endswith(("_url", "_host", "endpoint", "authority")) or any(
        "://" in str(value) for value in values
    )


def _keep_secrets_home(
    plugin: BillingPlugin, given: Mapping[str, Any], settings: dict[str, Any], stored: Access
) -> None:
    missing = [
        field
        for field in plugin.fields
        if field.is_secret
        and stored.credentials.get(field.name)
        and not str(given.get(field.name) or "").strip()
    ]
    for name, value in settings.items():
        before = stored.settings.get(name, "")
        if missing and value != before and _is_address(name, value, before):
            raise DomainError(
                f"Changing {name} needs {missing[0].label} again: a stored secret is never sent to a new address.",
                fields=[missing[0].name],
            )


def check(*, plugin: BillingPlugin, access: Access) -> Checked:
    """Ask the provider now. Raises CheckFailedError with its words, DomainError for an address that may not be
    called."""
    try:
        found = sync.check_connection(
            provider=plugin.provider, credentials=access.credentials, settings=access.settings
        )
    except ProviderError as error:
        words = redact(error.message, access)
        words = words if plugin.label in words else f"{plugin.label}: {words}"
        stop = "" if words.endswith((".", "!", "?")) else "."
        passing = "" if isinstance(error, Permanent) else " It may pass: check again in a minute."
        raise CheckFailedError(f"{words}{stop}{passing}") from None
    if found.account_id:
        return found
    doubt = (
        f"{plugin.label} does not say whose bill this is, so LLMLab knows a second connection to it only by the same"
        " credentials: take care that no other connection reads it, it would count twice."
    )
    return replace(found, warnings=(doubt, *found.warnings))


def redact(text: str, access: Access) -> str:
    """The text without any of the secrets, whole or as a line of a longer one."""
    for secret in access.credentials.values():
        for part in {secret, *secret.splitlines(), *secret.split("\\n")}:
            if len(part) >= 6:
                text = text.replace(part, "•••")
    return text


def seen_of(found: Checked, now: dt.datetime) -> dict[str, Any]:
    """What is kept of a check."""
    return {
        "account_name": found.account_name[:300],
        "account_id": found.account_id[:500],
        "account_slices": list(found.account_slices),
        "scope": found.scope[:500],
        "warnings": [text[:500] for text in found.warnings[:10]],
        "at": now.isoformat(),
    }


def hint_for(plugin: BillingPlugin, credentials: dict[str, str]) -> str:
    """What people recognise the credentials by."""
    secrets = [credentials[field.name] for field in plugin.fields if field.is_secret]
    # A key file has nothing to recognise it by at its ends.
    if not secrets or "\n" in secrets[0] or len(secrets[0]) > 300:
        return "…"
    return hint_of(secrets[0])[:60]


def stored_access(connection: ProviderConnection) -> Access:
    """Credentials in clear, for a call to the provider only. Raises core.crypto.DecryptionError."""
    own = {name: v for name, v in connection.settings.items() if name not in (SEEN, DELETING)}
    return Access(open_credentials(connection), own)
