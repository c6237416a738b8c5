"""Models people may want to compare with: a few to begin with, and every name the catalogue can price (pure)."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from costs.catalogue import current_catalogue

# To begin with, where the catalogue knows them: one or two sizes of each large provider.
FIRST = (
    "openai/gpt-5", "openai/gpt-5-mini", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5",
    "anthropic/claude-haiku-4-5", "google/gemini-2.5-pro", "google/gemini-2.5-flash",
    "mistral/mistral-large-latest", "deepseek/deepseek-chat",
)  # fmt: skip
_PROVIDERS = (
    "openai",
    "anthropic",
    "google",
    "mistral",
    "deepseek",
    "x-ai",
    "cohere",
    "groq",
    "aws",
    "azure",
)


def first_models(*, without: Iterable[str] = ()) -> list[str]:
    """The models to begin with that the catalogue knows, but for `without`."""
    known = set(without)
    return [name for name in FIRST if name not in known and _is_known(name)]


def _is_known(name: str) -> bool:
    provider, _, model = name.partition("/")
    return not isinstance(current_catalogue().find(provider, model, ""), str)


def known_models() -> tuple[str, ...]:
    """What the catalogue can price, as "provider/model", for the field that suggests models."""
    return _known(id(current_catalogue().snapshot))


@lru_cache(maxsize=2)
def _known(_: int) -> tuple[str, ...]:
    return tuple(_names(current_catalogue().snapshot.providers))


def _names(providers: Iterable[Any]) -> Iterable[str]:
    by_id = {provider.id: provider for provider in providers}
    for name in _PROVIDERS:
        for model in by_id[name].models if name in by_id else ():
            if not getattr(model, "deprecated", False):
                yield f"{name}/{model.id}"
