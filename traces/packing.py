"""Bytes to fewer bytes and back, for payloads: zstd with a small built-in dictionary of how spans look.

The first byte says how: `d` zstd with dictionary 1, `z` zlib (written before), `r` as it is. Half of all steps are so
small that their attribute names outweigh what they say; the dictionary holds the names.
"""

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


# One thread at a time may use a compressor, and making one costs more than using it: who is done leaves it here.
_compressors: list[zstandard.ZstdCompressor] = []
_decompressors: list[zstandard.ZstdDecompressor] = []


def _compressor() -> zstandard.ZstdCompressor:
    try:
        return _compressors.pop()
    except IndexError:
        return zstandard.ZstdCompressor(
            level=_LEVEL, dict_data=_DICTIONARY, write_checksum=False, write_dict_id=False
        )


def _decompressor() -> zstandard.ZstdDecompressor:
    try:
        return _decompressors.pop()
    except IndexError:
        return zstandard.ZstdDecompressor(dict_data=_DICTIONARY)


def pack(plain: bytes) -> bytes:
    """`plain`, compressed where that helps."""
    if len(plain) < _PLAIN_BELOW:
        return b"r" + plain
    compressor = _compressor()
    packed = b"d" + compressor.compress(plain)
    _compressors.append(compressor)
    return packed


def unpack(packed: bytes) -> bytes:
    """The reverse of `pack`, and of every form written before. Raises UnpackError."""
    form, body = packed[:1], packed[1:]
    try:
        if form == b"d":
            decompressor = _decompressor()
            plain = decompressor.decompress(body, max_output_size=MAX_UNPACKED)
            _decompressors.append(decompressor)
            return plain
        if form == b"z":
            return zlib.decompress(body)
    except (zstandard.ZstdError, zlib.error, MemoryError) as error:
        raise UnpackError("The bytes are damaged.") from error
    if form == b"r":
        return body
    raise UnpackError("The bytes are of no known form.")
