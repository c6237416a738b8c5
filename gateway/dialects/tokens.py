"""How many tokens a text has, estimated without a tokenizer's vocabulary: about what models' own ones say (pure)."""

import math
from typing import Any

CHARS_PER_TOKEN = 4
# Each byte UTF-8 needs beyond one per character: Greek and Cyrillic have one (0.4 tokens a letter), Chinese and
# Japanese two (0.8 a character).
TOKENS_PER_EXTRA_BYTE = 0.4
PER_TURN = 4
PER_IMAGE = 1_100
PER_SMALL_IMAGE = 85
BYTES_PER_AUDIO_TOKEN = 1_600
BYTES_PER_DOCUMENT_TOKEN = 20
# The most: Anthropic's largest images have 4,784; a page of text is 2 KiB of PDF and up to 1,000; speech 32 a second
# of 2 KiB. No window is larger than a million.
MOST_PER_IMAGE = 6_000
MOST_BYTES_PER_TOKEN = 2
MOST_IN_FILE = 1_000_000
# Input nobody here sees: a linked document, a conversation the provider keeps.
MOST_UNSEEN = 100_000
SHORTEST_FILE = 300  # shorter is a link or a name


def tokens_in(text: str) -> int:
    """About as many tokens as the text has; at least 1 for any text."""
    size = len(text)
    if text.isascii():
        return -(-size // CHARS_PER_TOKEN)
    extra = len(text.encode("utf-8", "surrogatepass")) - size
    return math.ceil(max(size - extra, 0) / CHARS_PER_TOKEN + extra * TOKENS_PER_EXTRA_BYTE)


def tokens_in_bytes(text: bytes) -> int:
    """The same for UTF-8 that is JSON."""
    return -(-len(text) // CHARS_PER_TOKEN)


def tokens_in_media(kind: str, part: dict[str, Any]) -> tuple[int, int]:
    """Of an image, sound or document in a message: about how many, and at most.

    What is only linked to or named counts as one of ordinary size, and at most as a large one.
    """
    if kind == "image":
        image = part.get("image_url")
        detail = image.get("detail") if type(image) is dict else part.get("detail")
        about = PER_SMALL_IMAGE if detail == "low" else PER_IMAGE
        return about, MOST_PER_IMAGE
    per_token = BYTES_PER_AUDIO_TOKEN if kind == "audio" else BYTES_PER_DOCUMENT_TOKEN
    size = max((len(value) for value in _texts(part, 3)), default=0) * 3 // 4
    if size < SHORTEST_FILE:
        return PER_IMAGE, MOST_UNSEEN
    return max(PER_IMAGE, size // per_token), min(MOST_IN_FILE, size // MOST_BYTES_PER_TOKEN)


def _texts(value: Any, depth: int) -> list[str]:
    if type(value) is str:
        return [value]
    if type(value) is not dict or not depth:
        return []
    return [text for inner in value.values() for text in _texts(inner, depth - 1)]


def count_answer(tokens: int) -> bytes:
    """The answer of Anthropic's token counter for a model that is not there: the estimate."""
    return b'{"input_tokens":%d}' % tokens
