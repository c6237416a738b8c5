"""Parts of chat messages as Anthropic's content blocks (pure)."""

from typing import Any

from gateway.dialects.passing import TranslationError

_TEXT_TYPES = ("text", "input_text", "output_text", "refusal")


def blocks_of(content: Any, field: str) -> list[dict[str, Any]]:
    """The content blocks of a message's content. Texts without a word, which Anthropic refuses, are left out."""
    if content is None:
        return []
    if type(content) is str:
        return [{"type": "text", "text": content}] if content.strip() else []
    if type(content) is not list:
        raise TranslationError(field, "It must be text or a list of parts.")
    found = []
    for place, part in enumerate(content):
        block = _block(part, f"{field}.{place}")
        if block is not None:
            found.append(block)
    return found


def _block(part: Any, field: str) -> dict[str, Any] | None:
    if type(part) is str:
        part = {"type": "text", "text": part}
    if type(part) is not dict:
        raise TranslationError(field, "It must be an object.")
    kind = part.get("type")
    if kind in _TEXT_TYPES:
        text = part.get("text") or part.get("refusal") or ""
        made = {"type": "text", "text": text} if text.strip() else None
    elif kind == "image_url":
        made = {"type": "image", "source": _image_source(part.get("image_url"), field)}
    elif kind == "file":
        made = _document(part.get("file"), field)
    else:
        raise TranslationError(
            f"{field}.type", f"Parts of type {kind!r} cannot be given to a model on Anthropic."
        )
    if made is not None and (mark := cache_mark(part)):
        made["cache_control"] = mark
    return made


def cache_mark(part: dict[str, Any]) -> dict[str, Any] | None:
    """A cache breakpoint: Anthropic's own, as LiteLLM's users write it, or OpenAI's."""
    if type(part.get("cache_control")) is dict:
        return dict(part["cache_control"])
    mark = part.get("prompt_cache_breakpoint")
    if type(mark) is not dict:
        return None
    return {"type": "ephemeral", "ttl": "1h"} if mark.get("ttl") == "12h" else {"type": "ephemeral"}


def _image_source(image: Any, field: str) -> dict[str, Any]:
    url = image.get("url") if type(image) is dict else image
    if type(url) is not str or not url:
        raise TranslationError(f"{field}.image_url.url", "It must be a link or a data: URL.")
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    media_type, data = split_data_url(url, f"{field}.image_url.url")
    return {"type": "base64", "media_type": media_type, "data": data}


def split_data_url(url: str, field: str) -> tuple[str, str]:
    """Media type and base64 of a data: URL. Raises TranslationError for another encoding."""
    head, mark, data = url.partition(",")
    media_type, _, encoding = head[5:].partition(";")
    if not mark or not encoding.endswith("base64"):
        raise TranslationError(field, "A data: URL must be base64.")
    return media_type or "application/octet-stream", data


def _document(file: Any, field: str) -> dict[str, Any]:
    data = file.get("file_data") if type(file) is dict else None
    if type(data) is not str:
        raise TranslationError(
            f"{field}.file", "A file must be given as file_data: files stored at OpenAI stay there."
        )
    if data.startswith("data:"):
        media_type, data = split_data_url(data, f"{field}.file.file_data")
    else:
        media_type = "application/pdf"
    source = {"type": "base64", "media_type": media_type, "data": data}
    made: dict[str, Any] = {"type": "document", "source": source}
    if file.get("filename"):
        made["title"] = file["filename"]
    return made
