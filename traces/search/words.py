"""Words of any language, the same way for what is stored and for what is asked (pure).

PostgreSQL's own text parser depends on the server's locale and splits `gpt-4o` or an address its own way. Here a word
is a run of letters or digits, lower-cased, without accents; scripts without spaces are taken letter by letter. The
results are texts of `tsvector` and `tsquery`, so that what a reader types can be no syntax error.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_WORD = 64
MAX_TERMS = 32
# PostgreSQL's limits for positions; words beyond the last are found, but not as part of a phrase.
MAX_POSITION = 16_383
MAX_POSITIONS_OF_WORD = 200
# Shorter beginnings of words match nearly everything.
MIN_PREFIX = 3

# Thai to Myanmar, kana, Han, half-width kana: written without spaces.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
_WORD = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+")
_UNSPACED_WORD = re.compile(f"[{_UNSPACED}]")
_ACCENTS = re.compile("[\u0300-\u036f]")
_TERM = re.compile(r'(-?)"([^"]*)(?:"|$)|(\S+)')


def normal(text: str) -> str:
    """Lower case without accents; `Café`, `CAFE` and full-width `ｃａｆｅ` are one word."""
    if text.isascii():
        return text.lower()
    flat = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", flat)).casefold()


def words_of(text: str) -> list[str]:
    """The words of `text` in order."""
    return [word[:MAX_WORD] for word in _WORD.findall(normal(text)) if not word.isspace()]


def vector(sections: Iterable[tuple[str, str]], *, label: str = "") -> str:
    """The text of a tsvector: sections of (weight A–D, text). A phrase never reaches across two sections.

    `label` is one more lexeme that no text can have.
    """
    places: dict[str, list[str]] = {}
    at = 0
    for weight, text in sections:
        mark = "" if weight == "D" else weight
        for word in words_of(text):
            at = min(at + 1, MAX_POSITION)
            known = places.setdefault(word, [])
            if len(known) < MAX_POSITIONS_OF_WORD:
                known.append(f"{at}{mark}")
        at += 1
    found = [f"'{word}':{','.join(known)}" for word, known in places.items()]
    if label:
        found.append(f"'{label}'")
    return " ".join(found)


@dataclass(frozen=True)
class Term:
    """Words that follow each other; with `is_prefix` the last one may go on."""

    words: tuple[str, ...]
    is_prefix: bool = False

    @property
    def tsquery(self) -> str:
        quoted = [f"'{word}'" for word in self.words]
        if self.is_prefix:
            quoted[-1] += ":*"
        return quoted[0] if len(quoted) == 1 else f"({' <-> '.join(quoted)})"


@dataclass(frozen=True)
class Query:
    """What was asked: alternatives (OR), each of terms that must all be there and terms that must not."""

    alternatives: tuple[tuple[tuple[Term, ...], tuple[Term, ...]], ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.alternatives

    @property
    def terms(self) -> list[Term]:
        """Everything that may be marked in a result."""
        return [term for wanted, _ in self.alternatives for term in wanted]

    @property
    def has_phrase(self) -> bool:
        """Some words must follow each other: where they stand is only in the documents, not in the index."""
        return any(
            len(term.words) > 1 for group in self.alternatives for side in group for term in side
        )

    @property
    def has_unwanted(self) -> bool:
        return any(unwanted for _, unwanted in self.alternatives)

    def loose(self) -> "Query":
        """The same without the order of words and without what must not be there: finds at least as much, by the
        index alone."""
        return Query(
            tuple(
                (
                    tuple(
                        Term((word,), term.is_prefix and word is term.words[-1])
                        for term in wanted
                        for word in term.words
                    ),
                    (),
                )
                for wanted, _ in self.alternatives
            )
        )

    def tsquery(self, *, label: str = "") -> str:
        """The text of a tsquery; empty when nothing was asked."""
        groups = [
            " & ".join(
                [term.tsquery for term in wanted] + [f"!{term.tsquery}" for term in unwanted]
            )
            for wanted, unwanted in self.alternatives
        ]
        if not all(groups):  # an alternative without a condition: everything
            return f"'{label}'" if label else ""
        if not groups:
            return ""
        asked = groups[0] if len(groups) == 1 else f"({') | ('.join(groups)})"
        return f"'{label}' & ({asked})" if label else asked


def parse(text: str) -> Query:
    """Read `refund "late delivery" -spam OR escalat*`; never raises.

    A bare word matches from its beginning, a quoted one exactly, `-` excludes, OR (in capitals, or `|`) separates
    alternatives.
    """
    pairs: list[tuple[list[Term], list[Term]]] = [([], [])]
    for index, (minus, quoted, bare) in enumerate(_terms(text)):
        if index >= MAX_TERMS:
            break
        if bare in ("OR", "|"):
            if pairs[-1] != ([], []):
                pairs.append(([], []))
            continue
        found, is_unwanted = _read(minus, quoted, bare)
        pairs[-1][is_unwanted].extend(found)
    kept = tuple((tuple(a), tuple(b)) for a, b in pairs if a or b)
    return Query(kept)


def _terms(text: str) -> Iterator[tuple[str, str | None, str]]:
    for found in _TERM.finditer(text):
        minus, quoted, bare = found.groups()
        yield minus or "", quoted, bare or ""


def _read(minus: str, quoted: str | None, bare: str) -> tuple[list[Term], bool]:
    if quoted is not None:
        words = words_of(quoted)
        return ([Term(tuple(words))] if words else []), bool(minus)
    is_unwanted = bare.startswith("-")
    words = words_of(bare)
    if not words:
        return [], is_unwanted
    last = words[-1]
    is_prefix = bare.endswith("*") or MIN_PREFIX <= len(last) < MAX_WORD
    is_prefix &= not _UNSPACED_WORD.match(last)
    if is_unwanted or any(map(_UNSPACED_WORD.match, words)):
        return [Term(tuple(words), is_prefix)], is_unwanted
    # gpt-4o-mini: all its words, which the index knows; in quotes also their order.
    return [*(Term((word,)) for word in words[:-1]), Term((last,), is_prefix)], False


@dataclass(frozen=True)
class Piece:
    """A part of a snippet; the parts that were asked for are marked."""

    text: str
    is_hit: bool


SNIPPET = 160


def snippet(body: str, query: Query, *, length: int = SNIPPET) -> list[Piece]:
    """The first place in `body` where a term of the query stands, with its terms marked; empty when none does."""
    pattern = _pattern(query.terms)
    if pattern is None:
        return []
    first = pattern.search(body)
    if first is None:
        return []
    start = max(0, first.start() - length // 3)
    if start:  # not in the middle of a word
        space = body.find(" ", start, first.start())
        start = space + 1 if space >= 0 else start
    end = min(len(body), start + length)
    pieces = [Piece("… ", False)] if start else []
    at = start
    for found in pattern.finditer(body, start, end):
        if found.start() > at:
            pieces.append(Piece(body[at : found.start()], False))
        pieces.append(Piece(found.group(), True))
        at = found.end()
    if at < end:
        pieces.append(Piece(body[at:end], False))
    return [*pieces, Piece(" …", False)] if end < len(body) else pieces


def _pattern(terms: list[Term]) -> re.Pattern[str] | None:
    """Words as they may stand in the text: any case, anything but words between those of a phrase."""
    if not terms:
        return None
    alternatives = []
    for term in terms:
        inner = r"[\W_]+".join(map(_spelt, term.words))
        if len(term.words) > 1 and all(map(_UNSPACED_WORD.match, term.words)):
            inner = r"[\W_]*".join(map(_spelt, term.words))
        tail = r"[^\W_]*" if term.is_prefix else r"(?![^\W_])"
        if _UNSPACED_WORD.match(term.words[-1]):
            tail = ""
        head = "" if _UNSPACED_WORD.match(term.words[0]) else r"(?<![^\W_])"
        alternatives.append(head + inner + tail)
    return re.compile("|".join(alternatives), re.IGNORECASE)


def _spelt(word: str) -> str:
    """A word with an optional accent after each letter, so that text as written is found by its plain form."""
    if word.isascii() and word.isdigit():
        return re.escape(word)
    return "".join(_ACCENTED.get(letter, re.escape(letter)) for letter in word)


def _accented() -> dict[str, str]:
    """a → [aàáâãäå…]: the letters of Latin that lose an accent."""
    found: dict[str, list[str]] = {}
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
        plain = normal(chr(code))
        if len(plain) == 1 and plain.isascii() and plain != chr(code):
            found.setdefault(plain, []).append(chr(code))
    return {plain: f"[{plain}{''.join(others)}]" for plain, others in found.items()}


_ACCENTED = _accented()
