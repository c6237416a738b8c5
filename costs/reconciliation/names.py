"""One name per model for both ledgers: the catalogue's where it knows the model (pure)."""

from functools import lru_cache

from costs.catalogue import Match, current_catalogue
from costs.provider_names import ALIASES


@lru_cache(maxsize=4096)
def _named(source: str, provider: str, model: str, request_model: str) -> tuple[str, str]:
    found = current_catalogue().find(provider, model, request_model)
    if isinstance(found, Match):
        return found.provider.id, found.model.id[:200]
    said = provider.strip().lower()
    return ALIASES.get(said, said), (model or request_model).strip().lower()[:200]


def canonical(provider: str, model: str, request_model: str = "") -> tuple[str, str]:
    """Provider and model as reconciliation calls them; an empty model stays empty."""
    if not (model or request_model):
        said = provider.strip().lower()
        return ALIASES.get(said, said), ""
    return _named(current_catalogue().source, provider, model, request_model)
