"""Images, audio and documents inside what was said, taken out of it. Pure.

`extract` puts a `Media` in the place of every blob it knows (data URLs, and the base64 parts of OpenAI, Anthropic,
Gemini, the Vercel AI SDK, MCP and OpenTelemetry), numbered in reading order: the number names the blob in its address.
What may be shown is decided by the bytes, never by the stated type: PNG, JPEG, WebP and GIF as pictures, WAV, MP3 and
OGG as sound, PDF and everything else as a download. SVG and HTML are text that runs: downloads as well. A remote
address is a link; nothing here or on the page fetches it.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_to_bytes, urlsplit

_DATA_URL = re.compile(r"data:[\w.+-]{1,60}/[\w.+-]{1,80}(?:;[^,]{0,200})?,", re.IGNORECASE)
MAX_BYTES = 20 * 1024 * 1024
MAX_DEPTH = 64
MIN_BASE64 = 16
OCTETS = "application/octet-stream"
Shown = Literal["image", "audio", "file", "link"]
_SHOWN: dict[str, Shown] = {
    "image/png": "image", "image/jpeg": "image", "image/webp": "image", "image/gif": "image",
    "audio/wav": "audio", "audio/mpeg": "audio", "audio/ogg": "audio",
}  # fmt: skip
ENDINGS = {
    "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif", "audio/wav": "wav",
    "audio/mpeg": "mp3", "audio/ogg": "ogg", "application/pdf": "pdf",
}  # fmt: skip
_FORMATS = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg", "pdf": "application/pdf"}
# What parts of messages call themselves; only in these an address is taken for a blob elsewhere.
_PARTS = frozenset(
    {
        "image",
        "image_url",
        "audio",
        "video",
        "file",
        "blob",
        "document",
        "uri",
        "media",
        "input_file",
        "input_image",
    }
)
_TYPE_KEYS = ("media_type", "mime_type", "mimeType", "mediaType")


@dataclass(frozen=True)
class Media:
    """One blob in its place. `index` is -1 for a link. `str()` is what a JSON view shows."""

    index: int
    stated_type: str
    type: str  # by its first bytes; OCTETS when unknown
    shown: Shown
    size: int
    name: str = ""
    url: str = ""  # of a link

    def __str__(self) -> str:
        what = self.url or f"{self.type}, {self.size:,} bytes"
        return f"[{what}]"


def extract(value: Any) -> tuple[Any, list[str]]:
    """`value` with every blob replaced by a Media, and the blobs' own encodings in the same order."""
    found: list[str] = []
    return _walk(value, found, 0), found


def _walk(value: Any, found: list[str], depth: int) -> Any:
    if depth > MAX_DEPTH:
        return value
    if isinstance(value, str):
        return _taken(value, "", "", found) if is_data_url(value) else value
    if isinstance(value, list):
        return [_walk(item, found, depth + 1) for item in value]
    if isinstance(value, dict):
        media = _of_part(value, found)
        if media is not None:
            return media
        return {key: _walk(item, found, depth + 1) for key, item in value.items()}
    return value


def _of_part(part: dict[str, Any], found: list[str]) -> Media | None:
    """The blob or link that a part of a message is, in any of the known shapes."""
    kind = str(part.get("type") or "")
    for key in ("image_url", "input_audio", "file", "source", "inline_data", "inlineData"):
        inner = part.get(key)
        if isinstance(inner, str) and key == "image_url":
            return _text_of(inner, "", "", found, is_link_ok=True)
        is_link = key == "image_url" or kind in _PARTS
        if isinstance(inner, dict) and (media := _of_source(inner, found, is_link)):
            return media
    for key in ("file_data", "fileData"):
        inner = part.get(key)
        if isinstance(inner, str):
            return _text_of(inner, "", _name(part), found)
        if isinstance(inner, dict) and isinstance(uri := _first(inner, "file_uri", "fileUri"), str):
            return _link(uri, _type_of(inner))
    if kind in _PARTS:
        return _of_source(part, found, True)
    return None


def _of_source(source: dict[str, Any], found: list[str], is_link_ok: bool) -> Media | None:
    """A blob's own object: the encoding under `data`, `content`, …, or an address."""
    kind, name = _type_of(source), _name(source)
    for key in ("data", "file_data", "content", "image", "audio"):
        inner = source.get(key)
        if isinstance(inner, str) and (
            media := _text_of(inner, kind, name, found, is_link_ok=is_link_ok)
        ):
            return media
    address = _first(source, "url", "uri", "image_url")
    return (
        _text_of(address, kind, name, found, is_link_ok=is_link_ok)
        if isinstance(address, str)
        else None
    )


def _first(item: dict[str, Any], *names: str) -> Any:
    return next((item[name] for name in names if item.get(name)), None)


def _type_of(item: dict[str, Any]) -> str:
    stated = _first(item, *_TYPE_KEYS)
    if isinstance(stated, str):
        return stated.lower()[:100]
    return _FORMATS.get(str(item.get("format") or "").lower(), "")


def _name(item: dict[str, Any]) -> str:
    return str(_first(item, "filename", "file_name", "name", "title") or "")[:100]


def _text_of(
    text: str, kind: str, name: str, found: list[str], *, is_link_ok: bool = False
) -> Media | None:
    if is_data_url(text):
        return _taken(text, kind, name, found)
    if is_link_ok and text[:8].lower().startswith(("http://", "https://")):
        return _link(text, kind)
    if kind and len(text) >= MIN_BASE64 and _is_base64(text):
        return _taken(text, kind, name, found)
    return None


def _is_base64(text: str) -> bool:
    head = text[:64].rstrip("=\r\n")
    return head.replace("+", "").replace("/", "").replace("-", "").replace("_", "").isalnum()


def _link(url: str, kind: str) -> Media | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
        return None
    return Media(-1, kind, kind or OCTETS, "link", 0, url=url[:2000])


def _taken(text: str, kind: str, name: str, found: list[str]) -> Media:
    head, payload = split_data_url(text)
    head_bytes = decoded(text, at_most=64) or b""
    real = sniffed(head_bytes)
    size = len(payload) * 3 // 4 - payload[-2:].count("=")
    found.append(text)
    return Media(len(found) - 1, head or kind, real, _SHOWN.get(real, "file"), max(size, 0), name)


def is_data_url(text: str) -> bool:
    """Whether a text is `data:<type>[;…],…`, and not merely words that begin with "data:"."""
    return text[:5].lower() == "data:" and _DATA_URL.match(text) is not None


def split_data_url(text: str) -> tuple[str, str]:
    """(stated type, encoding) of a data URL; of bare base64 the type is empty."""
    if not is_data_url(text):
        return "", text
    head, _, payload = text[5:].partition(",")
    return head.split(";")[0].strip().lower()[:100], payload


def decoded(text: str, *, at_most: int | None = None) -> bytes | None:
    """The bytes of a data URL or of base64; None when they are none, or more than MAX_BYTES."""
    is_url = is_data_url(text)
    _, payload = split_data_url(text)
    if len(payload) > MAX_BYTES * 4 // 3 + 4:
        return None
    if is_url and ";base64" not in text[: text.find(",")].lower():
        return unquote_to_bytes(payload[:at_most])[:MAX_BYTES]
    if at_most is not None:
        payload = payload[: at_most * 4 // 3 // 4 * 4]
    payload = payload.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(payload + "=" * (-len(payload) % 4))
    except (binascii.Error, ValueError):
        return None


def sniffed(data: bytes) -> str:
    """The type of some bytes by how they begin."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data[:4] == b"RIFF" and data[8:12] in (b"WEBP", b"WAVE"):
        return "image/webp" if data[8:12] == b"WEBP" else "audio/wav"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"ID3") or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2):
        return "audio/mpeg"
    if data.startswith(b"OggS"):
        return "audio/ogg"
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    return OCTETS


def said_with_media(content: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Input and output with their blobs taken out, numbered over both: the numbering every address relies on."""
    return extract({key: parsed(content[key]) for key in ("input", "output") if key in content})


def parsed(value: Any) -> Any:
    """JSON text of an object or a list as that; anything else as it is."""
    if isinstance(value, str) and value[:1] in ("{", "[") and len(value) <= 8_000_000:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
