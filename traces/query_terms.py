"""The words of the query language: nodes, values, what each key takes, how a value is written (pure).

`traces.query_values` reads values, `traces.query_language` whole queries. Everything is a frozen value, so two queries
are the same when they are equal.
"""

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from core.ranges import parse_instant

Operator = Literal[">", ">=", "<", "<=", "="]
UNITS_MS = {
    "ms": Decimal(1),
    "s": Decimal(1000),
    "m": Decimal(60_000),
    "h": Decimal(3_600_000),
}
AGES = {
    "s": dt.timedelta(seconds=1),
    "m": dt.timedelta(minutes=1),
    "h": dt.timedelta(hours=1),
    "d": dt.timedelta(days=1),
    "w": dt.timedelta(weeks=1),
}
AGE = re.compile(r"-(\d{1,5})([smhdw])", re.ASCII)
_PLAIN = re.compile(r'[^\s()"\\*]+')
_SPECIAL = re.compile(r'[\s()"\\*]')


@dataclass(frozen=True)
class Exact:
    """This very text; "" is a trace that has none."""

    text: str


@dataclass(frozen=True)
class Glob:
    """Text with `*` for anything: the literal pieces between the stars. Case does not matter."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class Compare:
    """A number against a bound: dollars, milliseconds or a count."""

    op: Operator
    number: Decimal


@dataclass(frozen=True)
class Between:
    """From `low` to `high`, both included."""

    low: Decimal
    high: Decimal


@dataclass(frozen=True)
class When:
    """An instant against a bound: ISO text, or an age like `-2h` that moves with the clock."""

    op: Operator
    at: str


@dataclass(frozen=True)
class WhenBetween:
    """From `first` up to `last`."""

    first: str
    last: str


Value: TypeAlias = Exact | Glob | Compare | Between | When | WhenBetween


@dataclass(frozen=True)
class Term:
    """One key with its values; any of them matches. `name` is what follows the dot of score. and metadata."""

    key: str
    values: tuple[Value, ...]
    name: str = ""


@dataclass(frozen=True)
class Text:
    """Words to find anywhere; a phrase keeps its order and spaces."""

    text: str
    is_phrase: bool = False


@dataclass(frozen=True)
class Not:
    node: "Node"


@dataclass(frozen=True)
class Or:
    nodes: tuple["Node", ...]


@dataclass(frozen=True)
class And:
    nodes: tuple["Node", ...]


Node: TypeAlias = Term | Text | Not | Or | And


def has_text(node: "Node") -> bool:
    """Whether free text stands anywhere in it."""
    match node:
        case Text():
            return True
        case Not(inner):
            return has_text(inner)
        case Or(nodes) | And(nodes):
            return any(map(has_text, nodes))
    return False


Kind = Literal["text", "choice", "money", "duration", "count", "time", "score"]


@dataclass(frozen=True)
class Key:
    """What a key means and takes."""

    name: str
    kind: Kind
    help: str
    choices: tuple[str, ...] = ()


KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        Key("status", "choice", "ok, error or running", ("ok", "error", "running")),
        Key("name", "text", "the trace's name"),
        Key("model", "text", "a model it called"),
        Key("provider", "text", "a provider it called"),
        Key("env", "text", "environment"),
        Key("agent", "text", "the agent"),
        Key("user", "text", "the end user"),
        Key("session", "text", "the session"),
        Key("tag", "text", "one of its tags"),
        Key("release", "text", "release or version"),
        Key("feature", "text", "the feature its calls were made for"),
        Key("error", "text", "the type of an error in it"),
        Key("id", "text", "the trace id"),
        Key("cost", "money", "dollars, like >0.05 or 1..5"),
        Key("duration", "duration", "like >2s, <300ms or 1m..5m"),
        Key("tokens", "count", "input and output tokens, like >10k"),
        Key("input_tokens", "count", "input tokens"),
        Key("output_tokens", "count", "output tokens"),
        Key("steps", "count", "number of steps"),
        Key("calls", "count", "number of model calls"),
        Key("errors", "count", "number of failed steps"),
        Key("started", "time", "like >-2h or 2026-11-01..2026-11-05"),
        Key(
            "has",
            "choice",
            "what it has",
            ("comment", "error", "score", "session", "tag", "unpriced", "user"),
        ),
        Key("score", "score", "score.<name>: >0.5, or its category"),
        Key("metadata", "text", "metadata.<key>: a value the program sent"),
    )
}
NAMED = frozenset({"score", "metadata"})
ALIASES = {
    "environment": "env",
    "version": "release",
    "latency": "duration",
    "trace": "id",
    "trace_id": "id",
    "tags": "tag",
    "models": "model",
    "time": "started",
}


def has_number(value: str) -> bool:
    """Whether the text reads as a comparison, a range or a number (what a score's value may be)."""
    return value[:1] in "<>=" or bool(re.fullmatch(r"-?[\d.]+(\.\.-?[\d.]+)?", value, re.ASCII))


def moment(at: str, now: dt.datetime) -> dt.datetime:
    """The instant `at` means now."""
    if found := AGE.fullmatch(at):
        return now - int(found[1]) * AGES[found[2]]
    return parse_instant(at, "started")


def print_value(key: Key, value: Value) -> str:
    """The canonical text, read back as the same value."""
    match value:
        case Exact(text):
            return quoted(text) if _needs_quotes(key, text) else text
        case Glob(parts):
            return "*".join(_SPECIAL.sub(lambda one: f"\\{one[0]}", part) for part in parts)
        case Compare(op, number):
            return ("" if op == "=" else op) + print_number(key, number)
        case Between(low, high):
            return f"{print_number(key, low)}..{print_number(key, high)}"
        case When(op, at):
            return f"{op}{at}"
        case WhenBetween(first, last):
            return f"{first}..{last}"


def _needs_quotes(key: Key, text: str) -> bool:
    is_plain = bool(_PLAIN.fullmatch(text)) and text.upper() != "OR"
    return not is_plain or (key.kind == "score" and has_number(text))


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def print_number(key: Key, number: Decimal) -> str:
    """A number with the unit that reads best and loses nothing."""
    if key.kind != "duration":
        return f"{number.normalize():f}"
    if number and number % UNITS_MS["m"] == 0:
        return f"{number / UNITS_MS['m']:f}m"
    if number < 1000 or (number / 1000) != round(number / 1000, 12):
        return f"{number.normalize():f}ms"
    return f"{(number / 1000).normalize():f}s"
