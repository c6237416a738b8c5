"""Deterministic answers: what a request says decides what comes back and how many tokens it has."""

import hashlib
import json
import math
import random
from collections.abc import Iterator
from typing import Any

from examples.support_texts import answer, new_case, topic_of

CHARS_PER_TOKEN = 4
PIECE_WORDS = 3


def tokens_in(text: str) -> int:
    """A believable token count: four characters each, rounded up."""
    return math.ceil(len(text) / CHARS_PER_TOKEN)


def chance_for(*parts: Any) -> random.Random:
    """A generator that depends on nothing but the parts."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return random.Random(hashlib.sha256(text.encode()).digest())


def text_of(content: Any) -> str:
    """The text of a message's content: a string, a list of parts in either dialect, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, (text_of(part) for part in content)))
    if isinstance(content, dict):
        for key in ("text", "content", "output", "arguments", "input"):
            if content.get(key):
                value = content[key]
                return value if isinstance(value, str) else text_of(value) or json.dumps(value)
    return ""


def compose(chance: random.Random, prompt: str) -> str:
    """A support answer to the prompt's topic."""
    return answer(chance, new_case(chance, topic_of(prompt)))


def limited(text: str, max_tokens: Any) -> tuple[str, bool]:
    """The text cut to a token limit, and whether it was cut."""
    if isinstance(max_tokens, int) and 0 < max_tokens < tokens_in(text):
        return text[: max_tokens * CHARS_PER_TOKEN], True
    return text, False


def pieces(text: str) -> Iterator[str]:
    """The text in pieces of a few words, as a stream delivers it."""
    words = text.split(" ")
    for start in range(0, len(words), PIECE_WORDS):
        part = " ".join(words[start : start + PIECE_WORDS])
        yield part if start == 0 else f" {part}"


def value_for(chance: random.Random, schema: Any, name: str = "", depth: int = 0) -> Any:
    """A value that satisfies a JSON schema, for tool arguments and structured output."""
    if not isinstance(schema, dict) or depth > 6:
        return {}
    if schema.get("enum"):
        return chance.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("anyOf"), list) and schema["anyOf"]:
        return value_for(chance, schema["anyOf"][0], name, depth + 1)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "integer":
        return max(int(schema.get("minimum", 1)), chance.randrange(1, 50))
    if kind == "number":
        return round(float(schema.get("minimum", 0)) + chance.random() * 100, 2)
    if kind == "boolean":
        return chance.random() < 0.7
    if kind == "array":
        return [value_for(chance, schema.get("items"), name, depth + 1) for _ in range(2)]
    if kind == "string":
        return _string_for(chance, name)
    properties = schema.get("properties") or {}
    return {key: value_for(chance, item, key, depth + 1) for key, item in properties.items()}


def _string_for(chance: random.Random, name: str) -> str:
    particulars = new_case(chance).particulars
    for key in particulars:
        if key in name.lower():
            return particulars[key]
    return f"{particulars['product']}, order {particulars['order']}"


def wanted_tool(chance: random.Random, tools: list[dict[str, Any]], prompt: str) -> dict[str, Any]:
    """The tool whose name and description share most words with the prompt."""
    words = set(prompt.lower().split())

    def score(tool: dict[str, Any]) -> int:
        about = f"{tool['name'].replace('_', ' ')} {tool.get('description', '')}"
        return len(words & set(about.lower().split()))

    return max(tools, key=score) if tools else {}
