"""Bytes to fewer bytes and back, for payloads: zstd with a small built-in dictionary of how spans look.

The first byte says how: `d` zstd with dictionary 1, `z` zlib (written before), `r` as it is. Half of all steps are so
small that their attribute names outweigh what they say; the dictionary holds the names.
"""

import threading
import zlib
from pathlib import Path

import zstandard

_PLAIN_BELOW = 64  # bytes; below that compression only costs time
_LEVEL = 3
# Never changed: see benchmarks/dictionary.py.
_DICTIONARY = zstandard.ZstdCompressionDict(
    Path(__file__).with_name("payload_v1.dict").read_bytes(),
    dict_type=zstandard.DICT_TYPE_RAWCONTENT,
)
MAX_UNPACKED = 1 << 30


class UnpackError(Exception):
    """The bytes were not made by `pack`."""


class _Own(threading.local):
    """Compressors may not be shared by threads."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(
            level=_LEVEL, dict_data=_DICTIONARY, write_checksum=False, write_dict_id=False
        )
        self.decompressor = zstandard.ZstdDecompressor(dict_data=_DICTIONARY)


_own = _Own()


def pack(plain: bytes) -> bytes:
    """`plain`, compressed where that helps."""
    if len(plain) < _PLAIN_BELOW:
        return b"r" + plain
    return b"d" + _own.compressor.compress(plain)


def unpack(packed: bytes) -> bytes:
    """The reverse of `pack`, and of every form written before. Raises UnpackError."""
    form, body = packed[:1], packed[1:]
    try:
        if form == b"d":
            return _own.decompressor.decompress(body, max_output_size=MAX_UNPACKED)
        if form == b"z":
            return zlib.decompress(body)
    except (zstandard.ZstdError, zlib.error, MemoryError) as error:
        raise UnpackError("The bytes are damaged.") from error
    if form == b"r":
        return body
    raise UnpackError("The bytes are of no known form.")
