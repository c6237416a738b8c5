"""What the playground begins with: an empty request, one from a link, or what was said in a recorded step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import DomainError
from gateway.playground.opening import Opened

MAX_COLUMNS = 4
MAX_MODEL = 200
FORMATS = {"text": "Text", "json_object": "Any JSON object", "json_schema": "JSON by a schema"}
CHOICES = {"": "The model's own way", "auto": "Auto", "required": "Required", "none": "None"}
CACHES = {
    "": "As the route or project says",
    "on": "On",
    "refresh": "Ask again and keep it",
    "off": "Off",
}
EFFORTS = ("minimal", "low", "medium", "high")


@dataclass(frozen=True)
class Parameter:
    """A number of a request, and its bounds."""

    name: str
    label: str
    least: float
    most: float
    is_whole: bool = False

    @property
    def step(self) -> str:
        return "1" if self.is_whole else "any"

    def read(self, text: str) -> str:
        """The text if it is such a number. Raises DomainError naming the parameter."""
        try:
            value = int(text) if self.is_whole else float(text)
        except ValueError:
            value = float("nan")
        if not self.least <= value <= self.most:
            kind = "whole number" if self.is_whole else "number"
            rule = f"{self.name} is {text[:40]!r}; it must be a {kind} from {self.least:g} to {self.most:g}."
            raise DomainError(rule, fields=[self.name])
        return text


PARAMETERS = (
    Parameter("temperature", "Temperature", 0, 2),
    Parameter("max_completion_tokens", "Max tokens", 1, 10_000_000, is_whole=True),
    Parameter("top_p", "Top P", 0, 1),
    Parameter("frequency_penalty", "Frequency penalty", -2, 2),
    Parameter("presence_penalty", "Presence penalty", -2, 2),
    Parameter("seed", "Seed", -(2**63), 2**63 - 1, is_whole=True),
)


@dataclass
class Draft:
    """A request as the page's form has it."""

    models: list[str] = field(default_factory=lambda: [""])
    opened: Opened = field(default_factory=Opened)
    values: dict[str, str] = field(default_factory=dict)
    reasoning_effort: str = ""
    format: str = "text"
    tool_choice: str = ""
    cache: str = ""
    is_stream: bool = True

    @property
    def numbers(self) -> list[tuple[Parameter, str]]:
        return [(one, self.values.get(one.name, "")) for one in PARAMETERS]


def read_draft(query: Mapping[str, str], models: list[str]) -> Draft:
    """From a link: models and parameters, no content. Raises DomainError naming the parameter at fault."""
    draft = Draft()
    named = [name.strip() for name in models if name.strip()]
    if len(named) > MAX_COLUMNS:
        rule = f"model is given {len(named)} times; at most {MAX_COLUMNS} stand side by side."
        raise DomainError(rule, fields=["model"])
    if any(len(name) > MAX_MODEL or not name.isprintable() for name in named):
        raise DomainError(f"model must have at most {MAX_MODEL} characters.", fields=["model"])
    draft.models = named or [""]
    for one in PARAMETERS:
        if query.get(one.name):
            draft.values[one.name] = one.read(query[one.name])
    draft.reasoning_effort = _one_of(query, "reasoning_effort", ("", *EFFORTS))
    draft.format = _one_of(query, "format", FORMATS) or "text"
    draft.tool_choice = _one_of(query, "tool_choice", CHOICES)
    draft.cache = _one_of(query, "cache", CACHES)
    draft.is_stream = _one_of(query, "stream", ("", "0", "1")) != "0"
    return draft


def fill(draft: Draft, opened: Opened) -> None:
    """Take over what a recorded step holds."""
    draft.opened = opened
    if opened.model:
        draft.models = [opened.model]
    if opened.schema:
        draft.format = "json_schema"
    rest: dict[str, Any] = dict(opened.parameters)
    aliases = {"max_tokens": "max_completion_tokens", "max_output_tokens": "max_completion_tokens"}
    for old, new in aliases.items():
        if old in rest:
            rest.setdefault(new, rest.pop(old))
            rest.pop(old, None)
    for one in PARAMETERS:
        value = rest.get(one.name)
        if isinstance(value, int | float) and one.least <= value <= one.most:
            draft.values[one.name] = str(rest.pop(one.name))
    if rest.get("reasoning_effort") in EFFORTS:
        draft.reasoning_effort = rest.pop("reasoning_effort")
    if rest.get("tool_choice") in ("auto", "required", "none"):
        draft.tool_choice = rest.pop("tool_choice")
    draft.is_stream = rest.pop("stream", True) is not False
    if rest.get("response_format") == {"type": "json_object"}:
        draft.format = "json_object"
        rest.pop("response_format")
    opened.parameters = rest


def _one_of(query: Mapping[str, str], name: str, allowed: Any) -> str:
    value = query.get(name, "")
    if value and value not in allowed:
        words = ", ".join(one for one in allowed if one)
        raise DomainError(f"{name} is {value[:40]!r}; it must be one of {words}.", fields=[name])
    return value
