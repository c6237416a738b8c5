"""Which billing plugins there are. A plugin's module is imported when it is first asked for."""

from functools import cache
from importlib import import_module

from costs.providers.base import BillingPlugin

# provider → module with a `PLUGIN`.
_MODULES = {
    "openai": "costs.providers.openai",
    "anthropic": "costs.providers.anthropic",
    "azure": "costs.providers.azure",
    "google": "costs.providers.google",
}


@cache
def plugin_for(provider: str) -> BillingPlugin:
    """The provider's plugin. Raises LookupError for a provider without one."""
    module = _MODULES.get(provider)
    if module is None:
        raise LookupError(f"There is no billing plugin for {provider!r}.")
    try:
        plugin: BillingPlugin = import_module(module).PLUGIN
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise LookupError(f"There is no billing plugin for {provider!r}.") from None
    return plugin


def plugins() -> list[BillingPlugin]:
    """All there are, in the order of the wizard."""
    found = []
    for provider in _MODULES:
        try:
            found.append(plugin_for(provider))
        except LookupError:
            continue
    return found
