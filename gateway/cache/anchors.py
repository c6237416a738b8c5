"""Whether two questions may share an answer, judged word by word (pure).

Vectors of "the dose for 10 kg" and "the dose for 20 kg" are nearly the same. So two questions must have the same
anchors (numbers, units, negations) and names and may not contradict each other; where most of their words are the same,
all must be.
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from itertools import pairwise

from gateway.cache.vocabulary import (
    ASKING,
    FILLERS,
    LANGUAGES,
    NEGATIONS,
    NUMBERS,
    OPPOSITES,
    SAME,
    UNITS,
)

# Two questions that share this much are judged by the words they do not share.
MOSTLY = 0.5
# Said around the question; what is between is not touched.
_BEFORE = re.compile(
    r"^(?:(?:hi|hello|hey|okay|ok|so|well|good morning|good evening|thanks|thank you|excuse me|please|kindly)"
    r"(?: there| all)?\b[\s,.!:;-]*"
    r"|(?:can|could|would|will) you (?:please |kindly )?(?:(?:tell|show|give|remind) me|let me know)\b[\s,:]*"
    r"|(?:can|could|would) you (?:please|kindly)\b[\s,:]*|(?:can|could) you\b[\s,:]*"
    r"|(?:please )?(?:tell|show|give) me\b[\s,:]*|do you know\b[\s,:]*"
    r"|i (?:would like|want|need|'d like|am trying) to know\b[\s,:]*|i'd like to know\b[\s,:]*"
    r"|i was wondering\b[\s,:]*|i am wondering\b[\s,:]*)",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"[\s,.!?;:-]*(?:please|thanks|thank you|thx|many thanks|thanks in advance|cheers)[\s.!?]*$",
    re.IGNORECASE,
)
_CONTRACTIONS = (
    (re.compile(r"\b(can)n?[']t\b"), "cannot"),
    (re.compile(r"\bcan not\b"), "cannot"),
    (re.compile(r"\bwon[']t\b"), "will not"),
    (re.compile(r"n[']t (it|they|he|she|we|you|i|that|this|there)\b"), r" \1 not"),
    (re.compile(r"n[']t\b"), " not"),
    (re.compile(r"\b(what|who|where|when|why|how|that|there|it|he|she|here)[']s\b"), r"\1 is"),
    (re.compile(r"\b(i)[']m\b"), r"\1 am"),
    (re.compile(r"[']re\b"), " are"),
    (re.compile(r"[']ll\b"), " will"),
    (re.compile(r"[']ve\b"), " have"),
)
_GROUPED = re.compile(r"(?<=\d)[,'\u2009\u00a0_](?=\d{3}(?!\d))")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
# Between a number and the unit written against it.
_GLUED = re.compile(r"(?<=\d)(?=[^\W\d_])(?!(?:st|nd|rd|th|x)\b)")
# What stands for something in particular: code, paths, addresses, versions.
_LITERAL = re.compile(
    r"[^\s,;!?]*[\w][@/\\_.:#=+*&%$<>|~^-][\w(][^\s,;!?]*"
    r"|\"[^\"]{1,200}\"|`[^`]{1,200}`|“[^”]{1,200}”"
)
_SYMBOLS = re.compile(r"[$€£¥₹%°§+=<>*/^&|~#@≤≥≠±×÷]|(?<=\d)\s*-\s*(?=\d)|(?<!\w)-(?=\d)")
# Where a letter's case means something: -v and -V, 3 Gb and 3 GB.
_CASED = re.compile(r"(?<![\w-])--?[A-Za-z]\w*|(?<=\d)\s?[A-Z][A-Za-z]{0,2}\b")
# A script without spaces between words is read sign by sign.
_SIGN = r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0002ffff]"
_WORD = re.compile(rf"{_SIGN}|(?:(?!{_SIGN})[\w])+(?:[.'-](?:(?!{_SIGN})[\w])+)*")
_IZE = re.compile(r"^(\w{4,})is(e|es|ed|er|ers|ing|ation|ations)$")
_ENDINGS = ("ings", "ing", "ed", "s")


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("`", "'")
    return text.strip()


def _bare(text: str) -> str:
    """Without what people say around a question."""
    before = None
    while before != text:
        before = text
        text = _BEFORE.sub("", text, count=1)
        text = _AFTER.sub("", text)
    return text or before or ""


def _words(text: str) -> list[str]:
    text = _bare(_plain(text)).casefold()
    for pattern, plain in _CONTRACTIONS:
        text = pattern.sub(plain, text)
    text = _GLUED.sub(" ", _GROUPED.sub("", text))
    found = []
    for word in _WORD.findall(text):
        word = SAME.get(word, word)
        if word.endswith("'s"):
            found += [word[:-2], "'s"]
        elif len(word) > 6 and (match := _IZE.match(word)):
            found.append(f"{match[1]}iz{match[2]}")
        else:
            found.append(_number(NUMBERS.get(word, word)))
    return found


def _number(word: str) -> str:
    """2.50 and 2.5 are one number."""
    if not _NUMBER.fullmatch(word) or "." not in word:
        return word
    return word.rstrip("0").rstrip(".")


@lru_cache(maxsize=4096)
def content(text: str) -> tuple[str, ...]:
    """The words that say what is asked, in order; and the signs that do (currencies, comparisons, per cent)."""
    words = [word for word in _words(text) if word not in FILLERS]
    return (*words, *(f"sign:{one.strip()}" for one in _SYMBOLS.findall(_plain(text))))


def normal(text: str) -> str:
    """The question as the offline default compares it; two that differ only in manners, case and signs are one."""
    return " ".join(content(text))


def anchors(text: str) -> list[str]:
    """What two questions must have in common, in the order they say it: script, numbers, units, signs, negations."""
    plain = _plain(text)
    found = [f"script:{_script(plain)}"]
    for word in _words(text):
        if any(sign.isdigit() for sign in word) or word in UNITS:
            found.append(word)
        elif word in NEGATIONS:
            found.append("no:")
    found += [f"case:{one[0].strip()}" for one in _CASED.finditer(plain)]
    return found + [f"sign:{one.strip()}" for one in _SYMBOLS.findall(plain)]


def _script(plain: str) -> str:
    for sign in plain:
        if sign.isalpha() and ord(sign) > 0x2FF:
            return unicodedata.name(sign, "?").split(" ")[0]
    return "LATIN"


@lru_cache(maxsize=4096)
def _leanings(text: str) -> tuple[str, frozenset[str], frozenset[str]]:
    """Its language, what it asks for, and those of its words that have an opposite."""
    words = _words(text)
    asking = {word for word in words if word in ASKING}
    asking |= {
        f"how {following}" for word, following in pairwise(words)
        if word == "how" and following in ("many", "much", "long", "far", "often", "old", "tall")
    }  # fmt: skip
    return _language(words), frozenset(asking), OPPOSITES.intersection(words)


def _are_at_odds(one: str, other: str) -> bool:
    """Whether what one says contradicts the other: what only one of them says does not."""
    (mine, my_asking, my_words), (others, asking, words) = _leanings(one), _leanings(other)
    if mine != others and "?" not in (mine, others):
        return True
    if my_asking != asking and my_asking and asking:
        return True
    return bool(my_words - words and words - my_words)


_TOKEN = re.compile(r"[^\W\d_][\w'’-]*")
_SENTENCE = re.compile(r"(?:^|[.!?:\n]\s*|[-•]\s+)$")


def names(text: str) -> set[str]:
    """Words written large within a sentence, abbreviations, and literals, in lower case."""
    text = _bare(_plain(text))
    found = {one.strip(".,;:!?").casefold() for one in _LITERAL.findall(text)}
    is_shouted = text.upper() == text
    if is_shouted:
        return found
    for match in _TOKEN.finditer(text):
        word = match[0]
        if word == "I" or word.startswith(("I'", "I’")):
            continue
        is_first = bool(_SENTENCE.search(text[: match.start()][-4:])) or match.start() == 0
        is_name = word[0].isupper() and not is_first
        is_short = len(word) > 1 and any(sign.isupper() for sign in word[1:])
        if is_name or is_short:
            found.add(re.sub(r"['’]s$", "", word).casefold())
    return found


def _language(words: list[str]) -> str:
    """The language by its small words; "?" when they do not tell."""
    counted = Counter(
        {name: sum(word in small for word in words) for name, small in LANGUAGES.items()}
    )
    (first, most), (_, next_most) = counted.most_common(2)
    return first if most > next_most else "?"


def agree(one: str, other: str, *, is_lexical: bool) -> bool:
    """Whether two questions whose vectors are near and whose anchors are the same may share an answer.

    The offline default knows no meanings: all words must be the same. With an endpoint's vectors, questions in quite
    other words are left to them; of questions in mostly the same words the other words must be forms of each other.
    """
    mine, others = content(one), content(other)
    if mine == others:
        return True
    if is_lexical or not mine or not others:
        return False
    if _are_at_odds(one, other):
        return False
    if not _are_named(names(one), other) or not _are_named(names(other), one):
        return False
    shared = sum((Counter(mine) & Counter(others)).values())
    if shared < MOSTLY * min(len(mine), len(others)):
        return True
    return [_stem(word) for word in mine] == [_stem(word) for word in others]


def _are_named(wanted: set[str], text: str) -> bool:
    plain = _plain(text).casefold()
    return all(re.search(rf"(?<!\w){re.escape(one)}(?!\w)", plain) for one in wanted)


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word
