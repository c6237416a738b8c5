"""Anthropic's content blocks as parts of chat messages (pure)."""

from typing import Any

import msgspec

from gateway.dialects.passing import TranslationError

# What Anthropic's own tools left in the history: their results are no other model's to read.
_SERVER_BLOCKS = ("server_tool_use", "redacted_thinking", "thinking", "container_upload")


def text_of(content: Any) -> str:
    """The texts of text blocks, or text."""
    if type(content) is str:
        return content
    texts = [one.get("text") for one in content or () if type(one) is dict]
    return "\n".join(text for text in texts if type(text) is str)


def content_of(blocks: list[dict[str, Any]], field: str) -> str | list[dict[str, Any]]:
    """The content of a chat message: text where it is one, else parts."""
    parts = [
        part
        for place, block in enumerate(blocks)
        if (part := _part(block, f"{field}.{place}")) is not None
    ]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _part(block: dict[str, Any], field: str) -> dict[str, Any] | None:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "text": str(block.get("text") or "")}
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": _image_url(block.get("source"), field)}}
    if kind == "document":
        return _document(block, field)
    if kind == "search_result":
        head = f"{block.get('title') or ''} ({block.get('source') or ''})"
        return {"type": "text", "text": f"{head}\n{text_of(block.get('content'))}"}
    if kind in _SERVER_BLOCKS or (type(kind) is str and kind.endswith("_tool_result")):
        return None
    raise TranslationError(
        f"{field}.type", f"Blocks of type {kind!r} cannot be given to a model outside Anthropic."
    )


def _image_url(source: Any, field: str) -> str:
    kind = source.get("type") if type(source) is dict else None
    if kind == "url":
        return str(source.get("url"))
    if kind == "base64":
        return f"data:{source.get('media_type')};base64,{source.get('data')}"
    raise TranslationError(
        f"{field}.source", "Give the image as base64 or a link: files at Anthropic stay there."
    )


def _document(block: dict[str, Any], field: str) -> dict[str, Any]:
    source: Any = block.get("source")
    kind = source.get("type") if type(source) is dict else None
    if kind == "text":
        return {"type": "text", "text": str(source.get("data") or "")}
    if kind == "content":
        return {"type": "text", "text": text_of(source.get("content"))}
    if kind == "base64":
        data = f"data:{source.get('media_type')};base64,{source.get('data')}"
        file = {"filename": block.get("title") or "document.pdf", "file_data": data}
        return {"type": "file", "file": file}
    raise TranslationError(
        f"{field}.source", "Give the document as base64 or text for a model outside Anthropic."
    )


def json_text(value: Any) -> str:
    """Compact JSON."""
    return msgspec.json.encode(value).decode()
