"""The offline default of meaning: words, pairs of words and pieces of words hashed into 512 numbers (pure).

Exactly scikit-learn's `HashingVectorizer(n_features=512, alternate_sign=True, norm="l2")` over word 1- and 2-grams and
3- and 4-letter pieces (`char_wb`), tested against it, without importing 170 MB of it. It knows spelling, not meaning:
"capital of France" is near "capital of Germany" and far from "Paris". Pages call it lexical.
"""

import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from math import sqrt

DIMENSIONS = 512
_WORD = re.compile(r"\b\w\w+\b")
_SPACE = re.compile(r"\s\s+")
_MASK = 0xFFFFFFFF


def murmur3(data: bytes) -> int:
    """MurmurHash3 x86 32 bit with seed 0, as a signed number."""
    value, length = 0, len(data)
    whole = length & ~3
    for at in range(0, whole, 4):
        part = int.from_bytes(data[at : at + 4], "little") * 0xCC9E2D51 & _MASK
        part = (part << 15 | part >> 17) * 0x1B873593 & _MASK
        value ^= part
        value = ((value << 13 | value >> 19) & _MASK) * 5 + 0xE6546B64 & _MASK
    if rest := data[whole:]:
        part = int.from_bytes(rest, "little") * 0xCC9E2D51 & _MASK
        value ^= (part << 15 | part >> 17) * 0x1B873593 & _MASK
    value ^= length
    value = (value ^ value >> 16) * 0x85EBCA6B & _MASK
    value = (value ^ value >> 13) * 0xC2B2AE35 & _MASK
    value ^= value >> 16
    return value - 0x100000000 if value & 0x80000000 else value


@lru_cache(maxsize=65_536)
def _place(feature: str) -> tuple[int, int]:
    """(which of the 512, +1 or -1)."""
    hashed = murmur3(feature.encode("utf-8", "surrogatepass"))
    return abs(hashed) % DIMENSIONS, 1 if hashed >= 0 else -1


@lru_cache(maxsize=16_384)
def _pieces(word: str) -> tuple[tuple[int, int], ...]:
    """The places of a word's 3- and 4-letter pieces, its borders included (scikit-learn's `char_wb`)."""
    padded = f" {word} "
    found = []
    for size in (3, 4):
        found.append(padded[:size])
        found += [padded[at : at + size] for at in range(1, len(padded) - size + 1)]
        if len(padded) <= size:  # a short word counts once, as it is
            break
    return tuple(_place(piece) for piece in found)


def features(text: str) -> Counter[tuple[int, int]]:
    """How often each place is hit."""
    text = text.lower()
    words = _WORD.findall(text)
    found: Counter[tuple[int, int]] = Counter(map(_place, words))
    found.update(_place(f"{one} {two}") for one, two in pairwise(words))
    for word in _SPACE.sub(" ", text).split():
        found.update(_pieces(word))
    return found


def embed(text: str) -> list[float]:
    """The vector of `text`, of length 1 (or 0 for a text without a letter)."""
    vector = [0.0] * DIMENSIONS
    for (place, sign), count in features(text).items():
        vector[place] += sign * count
    length = sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else vector
