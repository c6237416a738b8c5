"""What was said in a step, sealed for storage: msgpack → zlib → AES-GCM with the organisation's key."""

import zlib
from typing import Any
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core import crypto

_COMPRESS_FROM = 200  # bytes; below that zlib only costs time
_encoder = msgspec.msgpack.Encoder(decimal_format="string")


def payload_context(project_id: UUID, trace_id: str, span_id: str) -> bytes:
    """The associated data that ties a payload to its step."""
    return f"{project_id.hex}:{trace_id}:{span_id}".encode()


def seal_payload(cipher: AESGCM, content: dict[str, Any], context: bytes) -> tuple[bytes, int]:
    """(sealed bytes, size before compression). `content` is JSON-able."""
    plain = _encoder.encode(content)
    packed = b"z" + zlib.compress(plain, 1) if len(plain) >= _COMPRESS_FROM else b"r" + plain
    return crypto.seal(cipher, packed, context), len(plain)


def open_payload(cipher: AESGCM, sealed: bytes | memoryview, context: bytes) -> dict[str, Any]:
    """The content of one step; raises core.crypto.DecryptionError."""
    packed = crypto.unseal(cipher, sealed, context)
    plain = zlib.decompress(packed[1:]) if packed[:1] == b"z" else packed[1:]
    content: dict[str, Any] = msgspec.msgpack.decode(plain)
    return content


def seal_text(cipher: AESGCM, text: str, context: bytes) -> bytes:
    """A short text (the list's preview), sealed."""
    return crypto.seal(cipher, text.encode(), context) if text else b""


def open_text(cipher: AESGCM, sealed: bytes | memoryview, context: bytes) -> str:
    """The reverse of `seal_text`; empty for nothing, raises core.crypto.DecryptionError."""
    return crypto.unseal(cipher, sealed, context).decode() if bytes(sealed) else ""
