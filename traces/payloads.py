"""What was said in a step, packed for storage: msgpack → zstd → AES-GCM with the organisation's key, or no seal.

Two forms lie side by side, whatever the project chose when they were written: sealed (a random nonce leads) and plain
(a marker leads). Readers take either; only plain ones can be searched.
"""

from typing import Any
from uuid import UUID

import msgspec

from core import crypto
from core.crypto import Cipher
from traces import packing

# Leads what is stored without a seal. One in 2^32 nonces looks like it: reading then tries the seal, too.
_PLAIN = b"\x00LL\x01"
_encoder = msgspec.msgpack.Encoder(decimal_format="string")


def payload_context(project_id: UUID, trace_id: str, span_id: str) -> bytes:
    """The associated data that ties a payload to its step."""
    return f"{project_id.hex}:{trace_id}:{span_id}".encode()


def is_plain(data: bytes | memoryview) -> bool:
    """Whether the blob was stored without a seal."""
    return bytes(data[: len(_PLAIN)]) == _PLAIN


def seal_payload(
    cipher: Cipher | None, content: dict[str, Any], context: bytes
) -> tuple[bytes, int]:
    """(bytes to store, size before compression); without a cipher they are only compressed. `content` is JSON-able."""
    plain = encoded(content)
    return seal_encoded(cipher, plain, context), len(plain)


def encoded(content: dict[str, Any]) -> bytes:
    """The content's msgpack."""
    return _encoder.encode(content)


def seal_encoded(cipher: Cipher | None, plain: bytes, context: bytes) -> bytes:
    """The bytes to store for the content's msgpack."""
    packed = packing.pack(plain)
    return _PLAIN + packed if cipher is None else crypto.seal(cipher, packed, context)


def open_payload(cipher: Cipher, stored: bytes | memoryview, context: bytes) -> dict[str, Any]:
    """The content of one step, sealed or plain; raises core.crypto.DecryptionError."""
    return read_payload(unpacked(cipher, stored, context))


def unpacked(cipher: Cipher, stored: bytes | memoryview, context: bytes) -> bytes:
    """The content's msgpack, for those who only look whether something is in it; raises DecryptionError."""
    if is_plain(stored):
        try:
            return packing.unpack(bytes(stored[len(_PLAIN) :]))
        except packing.UnpackError:
            pass  # a sealed one after all
    return packing.unpack(crypto.unseal(cipher, stored, context))


def read_payload(plain: bytes | memoryview) -> dict[str, Any]:
    """The content behind `unpacked`."""
    content: dict[str, Any] = msgspec.msgpack.decode(plain)
    return content


def plain_payload(stored: bytes | memoryview) -> dict[str, Any] | None:
    """The content of a blob stored without a seal, None for a sealed one: for the search, which has no keys."""
    if not is_plain(stored):
        return None
    try:
        return read_payload(packing.unpack(bytes(stored[len(_PLAIN) :])))
    except (packing.UnpackError, msgspec.DecodeError):
        return None


def seal_text(cipher: Cipher | None, text: str, context: bytes) -> bytes:
    """A short text (the list's preview), sealed; without a cipher it is kept plain."""
    if not text:
        return b""
    return _PLAIN + text.encode() if cipher is None else crypto.seal(cipher, text.encode(), context)


def open_text(cipher: Cipher, stored: bytes | memoryview, context: bytes) -> str:
    """The reverse of `seal_text`; empty for nothing, raises core.crypto.DecryptionError."""
    data = bytes(stored)
    if is_plain(data):
        try:
            return data[len(_PLAIN) :].decode()
        except UnicodeDecodeError:
            pass  # a sealed one after all
    return crypto.unseal(cipher, data, context).decode() if data else ""
