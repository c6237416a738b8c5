"""Embeddings: how many vectors came, not what is in them."""

from .answer import Answer, mapping, text
from .call import Json

# Below this a body is simply parsed.
_LARGE = 64 * 1024
_KEY = b'"embedding"'


def read_embeddings(body: Json) -> Answer:
    """A list of vectors."""
    answer = Answer()
    answer.model = text(body.get("model"))
    answer.usage = mapping(body.get("usage")) or None
    if isinstance(body.get("data"), list):
        answer.attributes["vectors"] = len(body["data"])
    return answer


def without_vectors(raw: bytes) -> bytes:
    """The body with an empty text for each vector.

    Parsing a large one would hold up every other thread of the program for its whole length, for numbers that nobody
    keeps: 60 MB are half a second. What looks otherwise than expected stays as it is.
    """
    if len(raw) < _LARGE:
        return raw
    kept, start = [], 0
    while True:
        found = raw.find(_KEY, start)
        if found < 0:
            break
        value = found + len(_KEY)
        while raw[value : value + 1] in (b" ", b":", b"\n", b"\r", b"\t"):
            value += 1
        end = {b"[": b"]", b'"': b'"'}.get(raw[value : value + 1])
        close = raw.find(end, value + 1) if end else -1
        if close < 0:  # the word as a value, or nothing we know
            kept.append(raw[start:value])
            start = value
            continue
        kept += (raw[start:value], b'""')
        start = close + 1
    kept.append(raw[start:])
    return b"".join(kept)
