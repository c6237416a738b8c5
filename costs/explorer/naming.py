"""What people read for the values, dimensions and measures of the explorer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core import formats
from core.charts.base import UNITS
from costs.explorer.dimensions import DIMENSIONS
from costs.explorer.measures import MEASURES
from costs.labels import label_of
from costs.selectors.names import names_of_keys

_NOTHING = {"api_key": "No API key", "token_class": "Not by token class"}


@dataclass(frozen=True)
class Names:
    """Names of what calls carry as ids."""

    keys: Mapping[str, str]
    projects: Mapping[str, str]

    def of(self, dimension: str, value: str) -> str:
        if not value:
            return _NOTHING.get(dimension) or label_of(dimension, "")
        if dimension == "api_key":
            return self.keys.get(value, f"Key {value[:8]}")
        if dimension == "project":
            return self.projects.get(value, f"Project {value[:8]}")
        if dimension == "token_class":
            return value.replace("_", " ").capitalize()
        return label_of(dimension, value)


def names_for(
    values: Iterable[tuple[str, str]], *, project_ids: Sequence[UUID], projects: Mapping[str, str]
) -> Names:
    """The names of these (dimension, value). One query when API keys are among them."""
    keys = sorted({value for name, value in values if name == "api_key" and value})
    return Names(names_of_keys(project_ids, keys) if keys else {}, projects)


def noun(dimension: str) -> str:
    """A dimension in the middle of a sentence."""
    label = DIMENSIONS[dimension]
    return label if label.startswith("API") else label.lower()


def written(measure: str, value: Any) -> str:
    """A figure in plain text."""
    return UNITS[MEASURES[measure].unit](value)


def is_rise_bad(measure: str) -> bool:
    """Whether more of it is worse: money spent, failures."""
    return (measure.startswith("cost") and "savings" not in measure) or measure == "errors"


def share_of(part: Any, whole: Any) -> Any:
    """A share of a total; None where either is unknown or nothing."""
    return formats.decimal(part) / formats.decimal(whole) if part is not None and whole else None
