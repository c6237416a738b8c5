"""Every measure by its kind. A kind whose domain is not there is not offered."""

from alerts.measures.base import Measure
from core.errors import DomainError

_MEASURES: dict[str, Measure] = {}


def register(measure: Measure) -> None:
    """Called from the app's `ready`."""
    _MEASURES[measure.kind] = measure


def measure_for(kind: str) -> Measure:
    """Raises DomainError for a kind that nobody feeds."""
    if kind not in _MEASURES:
        raise DomainError(f"There are no alerts of the kind {kind!r}.", fields=["kind"])
    return _MEASURES[kind]


def measures() -> list[Measure]:
    """In the order they were registered."""
    return list(_MEASURES.values())
