"""Personal data out of text before it is stored: built-in rules and a project's own patterns, in linear time.

Patterns run on RE2, which cannot backtrack; what it does not compile (look-around, back references) is refused when
the rules are saved. Matches of all rules are found in the original text and replaced together, so that no rule sees
another's replacement and overlapping matches leave nothing behind. Domain free: knows text and JSON, no project.
"""

import re
import time
from collections import Counter
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import re2

from core.errors import DomainError
from core.masking_builtins import BUILTINS, BY_NAME
from core.masking_matches import Rule, matches, matches_in_both, replaced
from core.masking_matches import Rules as Rules  # named by those who hold compiled rules
from core.masking_spelling import fold

MAX_PATTERNS = 20
MAX_PATTERN_LENGTH = 500
MAX_NAME_LENGTH = 60
MAX_REPLACEMENT_LENGTH = 100
MAX_DEPTH = 64
_ESCAPE = re.compile(r"\\+u([0-9a-fA-F]{4})")
MAX_JSON_LAYERS = 3  # JSON in a string in JSON in a string …
# RE2 finds one match in linear time; many short matches that each look far ahead add up. One upload may spend this
# long; what is left then is replaced as a whole, never stored unseen.
BUDGET_SECONDS = 5.0
TOO_LONG = "[masking took too long]"
_MEMORY = 8 << 20  # of one compiled pattern: RE2 refuses what needs more


class MaskingError(DomainError):
    """A rule that cannot be used; `detail` names it and says what is wrong."""

    code = "invalid_masking"


def _options(*, is_bytes: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    if is_bytes:
        options.encoding = re2.Options.Encoding.LATIN1
    return options


def validate(masking: Any) -> dict[str, Any]:
    """`{"builtin": [names], "patterns": [{"name", "pattern", "replacement"}]}` in its normal form. Raises MaskingError
    naming the field, its value and the rule."""
    if masking in (None, {}):
        return {}
    if type(masking) is not dict or set(masking) - {"builtin", "patterns"}:
        raise MaskingError(
            'Masking rules are an object with "builtin" and "patterns".', fields=["masking"]
        )
    builtin = masking.get("builtin") or []
    patterns = masking.get("patterns") or []
    if type(builtin) is not list or not all(type(name) is str for name in builtin):
        raise MaskingError("builtin must be a list of names.", fields=["masking.builtin"])
    for name in builtin:
        if name not in BY_NAME:
            raise MaskingError(
                f"There is no built-in rule {name[:60]!r}; choose from {', '.join(BY_NAME)}.",
                fields=["masking.builtin"],
            )
    if type(patterns) is not list or len(patterns) > MAX_PATTERNS:
        raise MaskingError(
            f"patterns must be a list of at most {MAX_PATTERNS} patterns.",
            fields=["masking.patterns"],
        )
    own = [_checked(item, f"masking.patterns[{place}]") for place, item in enumerate(patterns)]
    names = Counter(item["name"] for item in own)
    if twice := next((name for name, times in names.items() if times > 1), None):
        raise MaskingError(f"Two patterns are named {twice!r}.", fields=["masking.patterns"])
    chosen = [name for name in BY_NAME if name in builtin]
    return {key: value for key, value in (("builtin", chosen), ("patterns", own)) if value}


def _checked(item: Any, path: str) -> dict[str, str]:
    if type(item) is not dict or set(item) - {"name", "pattern", "replacement"}:
        raise MaskingError(
            f"{path} must be an object with name, pattern and replacement.", fields=[path]
        )
    texts = {}
    for key, limit in (
        ("name", MAX_NAME_LENGTH),
        ("pattern", MAX_PATTERN_LENGTH),
        ("replacement", MAX_REPLACEMENT_LENGTH),
    ):
        value = item.get(key, "")
        if type(value) is not str or len(value) > limit:
            raise MaskingError(
                f"{path}.{key} must be text of at most {limit} characters.",
                fields=[f"{path}.{key}"],
            )
        texts[key] = value.strip() if key == "name" else value
    if not texts["name"]:
        raise MaskingError(
            f"{path}.name is empty; name what the pattern finds.", fields=[f"{path}.name"]
        )
    if not texts["name"].isprintable() or not texts["replacement"].isprintable():
        raise MaskingError(
            f"{path} holds control characters in its name or replacement.", fields=[path]
        )
    try:
        texts["pattern"].encode()
    except UnicodeEncodeError:
        raise MaskingError(
            f"{path}.pattern holds characters that are no text.", fields=[f"{path}.pattern"]
        ) from None
    _compiled(texts["name"], texts["pattern"], f"{path}.pattern")
    return texts


def _compiled(name: str, pattern: str, path: str) -> Any:
    if not pattern:
        raise MaskingError(f"The pattern {name!r} is empty.", fields=[path])
    try:
        # Alone first: "a)(b" would only compile between brackets.
        re2.compile(pattern, _options(is_bytes=False))
        compiled = re2.compile(f"({pattern})", _options(is_bytes=False))
    except re2.error as error:
        said = error.args[0] if error.args else ""
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise MaskingError(
            f"The pattern {name!r} cannot be used: {reason}. Patterns are RE2 (linear time): no look-ahead, no"
            " look-behind, no back references.",
            fields=[path],
        ) from None
    if compiled.search(b"") is not None:
        raise MaskingError(
            f"The pattern {name!r} also matches nothing at all; make it ask for at least one character.",
            fields=[path],
        )
    return compiled


def rules_of(masking: Any) -> Rules:
    """The compiled rules of a validated setting. Raises MaskingError for one that is not."""
    return _rules(msgspec.json.encode(validate(masking)))


def all_builtin() -> Rules:
    """Every built-in rule: what a project that masks without a choice of its own gets."""
    return _rules(msgspec.json.encode({"builtin": list(BY_NAME)}))


@lru_cache(maxsize=256)
def _rules(encoded: bytes) -> Rules:
    masking = msgspec.json.decode(encoded)
    chosen = [builtin for builtin in BUILTINS if builtin.name in masking.get("builtin", ())]
    builtin = [
        Rule(
            rule.name,
            rule.replacement.encode(),
            re2.compile(rule.pattern, _options(is_bytes=True)),
            rule.check,
        )
        for rule in chosen
    ]
    own = [
        Rule(
            item["name"],
            item["replacement"].encode(),
            _compiled(item["name"], item["pattern"], "masking.patterns"),
            is_own=True,
        )
        for item in masking.get("patterns", ())
    ]
    return (*builtin, *own)


class Masker:
    """Applies rules to the values of one upload; `hits` counts replacements by rule. Never raises on odd input."""

    def __init__(self, rules: Rules, *, budget: float = BUDGET_SECONDS) -> None:
        self.rules = rules
        self.hits: Counter[str] = Counter()
        self._left = budget

    def text(self, value: str) -> str:
        """`value` with every match replaced; JSON in it is looked into and stays JSON."""
        return self._text(value, 0)

    def value(self, value: Any, _depth: int = 0, _layer: int = 0) -> Any:
        """A copy of a JSON-able value with its texts, keys and long numbers masked."""
        kind = type(value)
        if kind is str:
            return self._text(value, _layer)
        if value is None or kind is bool:
            return value
        if _depth > MAX_DEPTH:
            return TOO_LONG
        if kind is dict:
            return self._mapping(value, _depth, _layer)
        if kind is list or kind is tuple:
            return [self.value(item, _depth + 1, _layer) for item in value]
        if kind in (int, float) and -(10**7) < value < 10**7:
            return value
        # A card number arrives as 4111111111111111.0 from programs that know one kind of number.
        shown = str(int(value)) if kind is float and value.is_integer() else str(value)
        masked = self._plain(shown)
        return value if masked == shown else masked

    def _mapping(self, value: dict[Any, Any], depth: int, layer: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in value.items():
            shown = key if type(key) is str else str(key)
            masked = name = self._plain(shown)
            number = 2
            while name in result:  # two addresses as keys both became [email]
                name, number = f"{masked} {number}", number + 1
            result[name] = self.value(item, depth + 1, layer)
        return result

    def _text(self, value: str, layer: int) -> str:
        if (
            layer < MAX_JSON_LAYERS
            and value[:64].lstrip()[:1] in ("{", "[", '"')
            and len(value) > 2
        ):
            try:
                inner = msgspec.json.decode(value)
            except (msgspec.DecodeError, RecursionError, UnicodeError):
                return self._escaped(value)
            masked = self.value(inner, 0, layer + 1)
            if masked != inner:
                value = msgspec.json.encode(masked).decode()
            # What the parsed value does not show: a name given twice, and own patterns that look at keys.
            return self._plain(value)
        return self._escaped(value)

    def _escaped(self, value: str) -> str:
        """Text that is no JSON as a whole may quote some: where escapes hide a match, they are written out."""
        if "\\u" in value and (shown := _ESCAPE.sub(_written_out, value)) != value:
            masked = self._plain(shown)
            if masked != shown:
                return masked
        return self._plain(value)

    def _plain(self, value: str) -> str:
        if not self.rules or not value:
            return value
        try:
            data = value.encode()
        except UnicodeEncodeError:
            value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            data = value.encode()
        started = time.perf_counter()
        folded = fold(value)
        if folded is value or folded == value:
            found = matches(self.rules, data, started + self._left)
        else:
            found = matches_in_both(self.rules, value, folded.encode(), started + self._left)
        self._left -= time.perf_counter() - started
        if found is None:
            return TOO_LONG
        if not found:
            return value
        return replaced(data, found, self.hits).decode("utf-8", "replace")


def _written_out(escape: "re.Match[str]") -> str:
    code = int(escape[1], 16)
    return escape[0] if code < 32 or 0xD800 <= code <= 0xDFFF else chr(code)


class Preview(NamedTuple):
    """What rules make of a sample."""

    text: str
    hits: dict[str, int]


def preview(rules: Rules, text: str) -> Preview:
    """What would be stored of `text`, and how often each rule struck (for the settings page)."""
    masker = Masker(rules, budget=1.0)
    return Preview(masker.text(text), dict(masker.hits))
