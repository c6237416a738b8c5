"""The trace list's query language: `status:error cost:>0.05 model:claude-* -env:dev "refund policy"` (pure).

`parse_query` never raises: a part it cannot read becomes a Problem with its place and the reason, and is left out of
the node. A parser of our own because the readers at hand (lark and such) refuse a whole text for one bad part.
"""

import re
from dataclasses import dataclass

from traces.query_printing import KEY_AT, WORD, normal
from traces.query_terms import (
    ALIASES,
    KEYS,
    NAMED,
    And,
    Exact,
    Key,
    Node,
    Not,
    Or,
    Term,
    Text,
    Value,
)
from traces.query_values import InvalidValueError, read_exact, read_value

MAX_QUERY = 2_000
MAX_DEPTH = 6
MAX_TERMS = 60
MAX_VALUES = 50
_KNOWN = ", ".join(sorted(KEYS))
_SPACE = re.compile(r"\s+")
# A bare value: backslash takes any character.
_BARE = re.compile(r"(?:\\.|[^\s()\\])(?:\\.|[^\s()\\])*|\\", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


@dataclass(frozen=True)
class Problem:
    """text[start:end] was not understood and is not run."""

    start: int
    end: int
    reason: str


@dataclass(frozen=True)
class Parsed:
    node: And
    problems: tuple[Problem, ...] = ()


def parse_query(text: str) -> Parsed:
    """Read a query; never raises."""
    text = text.replace("\x00", " ")
    problems: list[Problem] = []
    if len(text) > MAX_QUERY:
        reason = f"a query has at most {MAX_QUERY:,} characters"
        problems.append(Problem(MAX_QUERY, len(text), reason))
        text = text[:MAX_QUERY]
    reader = _Reader(text, problems)
    found: list[Node] = []
    while True:
        if (node := reader.read_or(0)) is not None:
            found.append(node)
        if reader.at_end:
            break
        problems.append(Problem(reader.at, reader.at + 1, "there is no ( for this )"))
        reader.at += 1
    node = normal(And(tuple(found)))
    top = node if isinstance(node, And) else And((node,))
    return Parsed(top, tuple(sorted(problems, key=lambda problem: problem.start)))


class _Reader:
    """One pass over the text."""

    def __init__(self, text: str, problems: list[Problem]) -> None:
        self.text, self.problems = text, problems
        self.at = 0
        self.terms = 0

    @property
    def at_end(self) -> bool:
        return self.at >= len(self.text)

    def skip_space(self) -> None:
        if found := _SPACE.match(self.text, self.at):
            self.at = found.end()

    def takes(self, word: str) -> bool:
        """Step over `word` standing alone (any case)."""
        end = self.at + len(word)
        is_whole = end >= len(self.text) or self.text[end].isspace() or self.text[end] in '()"'
        if self.text[self.at : end].upper() != word or not is_whole:
            return False
        self.at = end
        return True

    def bad(self, start: int, reason: str) -> None:
        self.problems.append(Problem(start, max(self.at, start + 1), reason))

    def read_or(self, depth: int) -> Node | None:
        """Alternatives up to a ")" or the end."""
        options: list[Node] = []
        start = self.at
        while True:
            part = self._read_and(depth)
            if part is not None:
                options.append(part)
            self.skip_space()
            start = self.at
            if not self.takes("OR"):
                break
            if part is None:
                self.bad(start, "OR stands between two parts; the one before it is missing")
        if not options:
            return None
        return options[0] if len(options) == 1 else Or(tuple(options))

    def _read_and(self, depth: int) -> Node | None:
        found: list[Node] = []
        while True:
            self.skip_space()
            if self.at_end or self.text[self.at] == ")":
                break
            before = self.at
            if self.takes("OR"):
                self.at = before
                break
            if self.takes("AND"):
                continue
            if (node := self._read_item(depth)) is not None:
                found.append(node)
        if not found:
            return None
        return found[0] if len(found) == 1 else And(tuple(found))

    def _read_item(self, depth: int) -> Node | None:
        start = self.at
        is_negated = False
        while not self.at_end and self.text[self.at] == "-" and self._is_sign():
            is_negated = not is_negated
            self.at += 1
        if self.takes("NOT"):
            is_negated = not is_negated
            self.skip_space()
        node = self._read_one(start, depth)
        self.terms += 1
        if node is not None and self.terms > MAX_TERMS:
            self.bad(start, f"a query has at most {MAX_TERMS} parts")
            return None
        return Not(node) if node is not None and is_negated else node

    def _is_sign(self) -> bool:
        """A minus right before something."""
        after = self.text[self.at + 1 : self.at + 2]
        return bool(after) and not after.isspace() and after != ")"

    def _read_one(self, start: int, depth: int) -> Node | None:
        if self.at_end or self.text[self.at] == ")":
            self.bad(start, "what it should not match is missing")
            return None
        if self.text[self.at] == "(":
            return self._read_group(depth)
        if self.text[self.at] == '"':
            text = self._read_quoted()
            return Text(text, is_phrase=True) if text and text.strip() else None
        found = KEY_AT.match(self.text, self.at)
        if found and not self.text.startswith("//", found.end()):
            return self._read_term(found[1], found[2] or "", found.end())
        word = WORD.match(self.text, self.at)
        end = word.end() if word else self.at + 1
        found_text = self.text[self.at : end]
        self.at = end
        return Text(found_text)

    def _read_group(self, depth: int) -> Node | None:
        start = self.at
        self.at += 1
        if depth >= MAX_DEPTH:
            self._skip_group()
            self.bad(start, f"parentheses go at most {MAX_DEPTH} deep")
            return None
        before = len(self.problems)
        node = self.read_or(depth + 1)
        if self.at_end:
            del self.problems[before:]
            self.bad(start, "the ) of this ( is missing")
            return None
        self.at += 1
        return node

    def _skip_group(self) -> None:
        level = 1
        while not self.at_end and level:
            level += {"(": 1, ")": -1}.get(self.text[self.at], 0)
            self.at += 1

    def _read_quoted(self) -> str | None:
        start = self.at
        found = _QUOTED.match(self.text, self.at)
        if not found:
            self.at = len(self.text)
            self.bad(start, "the closing quote is missing")
            return None
        self.at = found.end()
        return re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL)

    def _read_term(self, given: str, name: str, end: int) -> Node | None:
        start = self.at
        self.at = end
        key = KEYS.get(ALIASES.get(given.lower(), given.lower()))
        before = len(self.problems)
        values, reason = self._read_values(key)
        if len(self.problems) > before:
            return None
        if key is None:
            reason = (
                f"{given} is not a key; put it in quotes to search for the text. Keys are {_KNOWN}"
            )
        elif key.name in NAMED and not name:
            reason = f"{key.name} needs a name: {key.name}.<name>:value"
        elif key.name not in NAMED and name:
            reason = f"{key.name} has no {name[:40]!r} inside it"
        if reason or key is None:
            self.bad(start, reason)
            return None
        return Term(key.name, tuple(dict.fromkeys(values)), name)

    def _read_values(self, key: Key | None) -> tuple[list[Value], str]:
        """One value, or several in parentheses; and why they cannot be used."""
        if self.text[self.at : self.at + 1] != "(":
            value, reason = self._read_value(key)
            return ([value] if value else []), reason
        start = self.at
        self.at += 1
        values: list[Value] = []
        why = ""
        while True:
            self.skip_space()
            if self.at_end:
                self.bad(start, "the ) of this ( is missing")
                return [], ""
            if self.text[self.at] == ")":
                self.at += 1
                break
            if self.takes("OR"):
                continue
            value, reason = self._read_value(key)
            why = why or reason
            if value:
                values.append(value)
        if len(values) > MAX_VALUES:
            why = why or f"a key takes at most {MAX_VALUES} values"
        return values, why or ("" if values else "a value is missing between the parentheses")

    def _read_value(self, key: Key | None) -> tuple[Value | None, str]:
        is_quoted = self.text[self.at : self.at + 1] == '"'
        if is_quoted:
            text = self._read_quoted()
            if text is None:
                return None, ""
        else:
            found = _BARE.match(self.text, self.at)
            if not found:
                if self.text[self.at : self.at + 1] == "(":
                    self.at += 1
                return None, "its value is missing"
            self.at = found.end()
            text = found[0]
        if key is None:
            return Exact(text), ""
        try:
            return (read_exact(key, text) if is_quoted else read_value(key, text)), ""
        except InvalidValueError as error:
            return None, str(error)
