"""Which failures are the same one: by type, message without what changes from call to call, and place (pure)."""

import hashlib
import re
from dataclasses import dataclass

MAX_MESSAGE = 2_000
MAX_PATTERN = 400
LENGTH = 20
# Where a failure belongs to the model that was asked, not to the step's name.
_BY_MODEL = frozenset({"llm", "embedding"})

# Inside JSON error bodies the words that matter are quoted: they are kept, the rest of the body goes.
_BODY = re.compile(r"[\[{].{0,2000}[\]}]", re.DOTALL)
_SAID = re.compile(
    r"""['"](message|type|code|status|reason)['"]\s*:\s*(?:"([^"]{0,400})"|'([^']{0,400})'|(\d{1,9}))"""
)
_STATUS = re.compile(r"\b((?:code|status|http)\D{0,12}?)([1-5]\d\d)\b", re.IGNORECASE)
# In this order; what a rule has replaced is not seen by the next.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s'\"<>)\]]{1,500}", re.IGNORECASE), "<url>"),
    (re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}"), "<email>"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"(?<!\w)\"[^\"]{0,400}\"|(?<!\w)'[^']{0,400}'|`[^`]{0,400}`"), "<text>"),
    (re.compile(r"(?<![\w<])(?:/[\w.@-]{1,100}){2,30}"), "<path>"),
    (re.compile(r"\b0x[0-9a-f]{1,64}\b", re.IGNORECASE), "<id>"),
    # A word of letters and digits mixed: req_011CSHoEeqs5C35K2UUqR7Fy, call_8f3a, a hash.
    (re.compile(r"\b(?=[\w-]{0,60}\d)(?=[\w-]{0,60}[A-Za-z_])[A-Za-z0-9]{1,20}_[\w-]{4,80}\b"), "<id>"),
    (re.compile(r"\b(?=[a-z]{0,31}\d)(?=\d{0,31}[a-z])[0-9a-f]{8,64}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?=[a-z]{0,63}\d)(?=\d{0,63}[a-z])[a-z0-9]{9,64}\b", re.IGNORECASE), "<id>"),
    # A numbered thing: F-307204, ORD-88121; not the date of claude-sonnet-20250514.
    (re.compile(r"(?<![\w<-])[A-Za-z]{1,10}-\d{4,20}\b"), "<id>"),
    # Not the 4 of gpt-4o.
    (re.compile(r"(?<![\w<])(?<![A-Za-z]-)[-+]?\d(?:[\d.,:]{0,40}\d)?"), "<n>"),
)  # fmt: skip
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Failure:
    """What a failed step says of itself."""

    error_type: str = ""
    message: str = ""
    kind: str = ""
    name: str = ""
    model: str = ""

    @property
    def place(self) -> str:
        """The model, or the step's name without what numbers it."""
        if self.kind in _BY_MODEL and self.model:
            return self.model
        return pattern_of(self.name)[:200]


def pattern_of(message: str) -> str:
    """What is the same in every message of this kind: numbers, ids, addresses, times and quoted text are left out."""
    text = message[:MAX_MESSAGE]
    said: list[str] = []
    if body := _BODY.search(text):
        said = [a or b or c for _, a, b, c in _SAID.findall(body.group())]
        if said:
            text = f"{text[: body.start()]} {text[body.end() :]} {' '.join(dict.fromkeys(said))}"
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        # A status is a word here, not a number: 429 and 500 are different failures.
        kept.append(found[2])
        return f"{found[1]}<status{'abcdefghij'[len(kept) % 10]}>"

    text = _STATUS.sub(keep, text, count=9)
    for rule, word in _RULES:
        text = rule.sub(word, text)
    for index, status in enumerate(kept, 1):
        text = text.replace(f"<status{'abcdefghij'[index % 10]}>", status)
    return _SPACE.sub(" ", text).strip()[:MAX_PATTERN]


def fingerprint(failure: Failure) -> str:
    """20 hex digits; the same for every failure of one kind at one place."""
    parts = (
        failure.error_type,
        pattern_of(failure.message).lower(),
        "model" if failure.kind in _BY_MODEL else failure.kind,
        failure.place.lower(),
    )
    return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()[:LENGTH]
