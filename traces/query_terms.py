"""The words of the query language: nodes, values, what each key takes, how a value is read and written (pure).

`traces.query_language` reads and prints whole queries with these. Everything is a frozen value, so two queries are the
same when they are equal.
"""

import datetime as dt
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Literal, TypeAlias

from core.ranges import InvalidRangeError, instant, parse_instant

Operator = Literal[">", ">=", "<", "<=", "="]
MAX_VALUE = 200
LIMIT = Decimal(10) ** 12
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
MULTIPLES = {"": Decimal(1), "k": Decimal(1000), "m": Decimal(10) ** 6, "b": Decimal(10) ** 9}
_NUMBER = re.compile(r"(\d{1,15}(?:\.\d{1,12})?|\.\d{1,12})([a-z]{0,2})", re.ASCII)
_AGE = re.compile(r"-(\d{1,5})([smhdw])", re.ASCII)
_PLAIN = re.compile(r'[^\s()"\\*]+')
_SPECIAL = re.compile(r'[\s()"\\*]')


class InvalidValueError(ValueError):
    """A value its key cannot take; the text says what it takes."""


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


def read_value(key: Key, text: str) -> Value:
    """The value of a bare (unquoted) text. Raises InvalidValueError."""
    if len(text) > MAX_VALUE:
        raise InvalidValueError(f"a value has at most {MAX_VALUE} characters")
    if key.kind == "choice":
        return read_exact(key, text.lower())
    if key.kind == "text" or (key.kind == "score" and not has_number(text)):
        return _read_text(text)
    if key.kind == "time":
        return _read_time(text)
    low, dots, high = text.partition("..")
    if dots:
        first, last = _number(key, low), _number(key, high)
        if first > last:
            raise InvalidValueError(f"{low} is more than {high}; write the smaller one first")
        return Between(first, last)
    operator, rest = _operator(text)
    return Compare(operator, _number(key, rest))


def read_exact(key: Key, text: str) -> Value:
    """The value of a quoted text, where quotes mean anything. Raises InvalidValueError."""
    if len(text) > MAX_VALUE:
        raise InvalidValueError(f"a value has at most {MAX_VALUE} characters")
    if key.kind == "choice" and text not in key.choices:
        raise InvalidValueError(
            f"{key.name} is {text[:40]!r}; it must be one of {', '.join(key.choices)}"
        )
    if key.kind in ("text", "choice", "score"):
        return Exact(text)
    return read_value(key, text)


def _read_text(text: str) -> Value:
    """Stars make a pattern; a backslash takes the next character as it is."""
    parts, at = [""], 0
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            at += 1
            parts[-1] += text[at]
        elif char == "*":
            parts.append("")
        else:
            parts[-1] += char
        at += 1
    return Exact(parts[0]) if len(parts) == 1 else Glob(_squeezed(parts))


def _squeezed(parts: list[str]) -> tuple[str, ...]:
    """Two stars in a row are one."""
    return (parts[0], *(part for part in parts[1:-1] if part), parts[-1])


def _operator(text: str) -> tuple[Operator, str]:
    for sign in (">=", "<=", ">", "<", "="):
        if text.startswith(sign):
            return sign, text[len(sign) :]
    return "=", text


def _number(key: Key, text: str) -> Decimal:
    cleaned = text.strip().lower()
    sign = -1 if key.kind == "score" and cleaned.startswith("-") else 1
    if key.kind == "money":
        cleaned = cleaned.removeprefix("$")
    if sign < 0:
        cleaned = cleaned[1:]
    found = _NUMBER.fullmatch(cleaned)
    scale = _scale(key, found[2]) if found else None
    if not found or scale is None:
        raise InvalidValueError(f"{text[:40] or 'nothing'!r} is not {_EXPECTED[key.kind]}")
    try:
        number = (Decimal(found[1]) * scale * sign).normalize()
    except InvalidOperation:  # pragma: no cover - the pattern bounds the digits
        raise InvalidValueError(f"{text[:40]!r} is too long") from None
    if abs(number) >= LIMIT or number != round(number, 12):
        raise InvalidValueError(f"{text[:40]!r} is too large or too exact")
    if key.kind == "count" and number != int(number):
        raise InvalidValueError(f"{text[:40]!r} is not a whole number")
    return number + 0  # no negative zero


_EXPECTED = {
    "money": "an amount in dollars, like >0.05 or 1..5",
    "duration": "a length of time, like >2s, 300ms or 1m..5m",
    "count": "a number, like >1000 or 10k",
    "score": "a number, like >0.5",
}


def _scale(key: Key, unit: str) -> Decimal | None:
    if key.kind == "duration":
        return UNITS_MS.get(unit or "s")
    if key.kind == "count":
        return MULTIPLES.get(unit)
    return Decimal(1) if not unit else None


def _read_time(text: str) -> Value:
    first, dots, last = text.partition("..")
    if dots:
        return WhenBetween(_instant(first), _instant(last, is_end=True))
    operator, rest = _operator(text)
    if operator == "=":
        # A whole day, or since an age ago.
        if _AGE.fullmatch(rest):
            return When(">=", _instant(rest))
        return WhenBetween(_instant(rest), _instant(rest, is_end=True))
    return When(operator, _instant(rest))


def _instant(text: str, *, is_end: bool = False) -> str:
    text = text.strip()
    if _AGE.fullmatch(text):
        return text
    try:
        return instant(parse_instant(text, "started", is_end=is_end))
    except InvalidRangeError:
        raise InvalidValueError(
            f"{text[:40] or 'nothing'!r} is not a time, like -2h, 2026-11-01 or 2026-11-01T14:30Z"
        ) from None


def moment(at: str, now: dt.datetime) -> dt.datetime:
    """The instant `at` means now."""
    if found := _AGE.fullmatch(at):
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
