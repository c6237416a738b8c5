"""Columns of a day's calls as bytes and back (pure).

A column is a numpy array or a list of texts; each is compressed by itself, so that a question unpacks what it needs.
Whole numbers take the narrowest type that holds them.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
import zstandard

# Amounts are whole numbers of 1e-12 USD in two halves, so that sums of any length stay exact in 64 bits.
UNITS = 10**12
HALF = 32
MASK = (1 << HALF) - 1

Column = Any  # numpy array, or list of texts
Layout = dict[str, tuple[int, int, str]]
_TEXTS = "texts"
_NARROW = ("u1", "u2", "u4", "i4", "i8")
_LEVEL = 3


def pack(columns: Mapping[str, Column]) -> tuple[Layout, bytes]:
    """Where each column lies, and all of them one after another."""
    layout: Layout = {}
    parts, at = [], 0
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    for name, column in columns.items():
        if isinstance(column, list):
            kind, raw = _TEXTS, msgspec.msgpack.encode(column)
        else:
            narrowed = narrow(column)
            kind, raw = narrowed.dtype.str, narrowed.tobytes()
        part = compressor.compress(raw)
        layout[name] = (at, len(part), kind)
        parts.append(part)
        at += len(part)
    return layout, b"".join(parts)


def unpack(kind: str, data: bytes) -> Column:
    """One column back."""
    raw = zstandard.ZstdDecompressor().decompress(data)
    if kind == _TEXTS:
        return msgspec.msgpack.decode(raw, type=list[str])
    return np.frombuffer(raw, dtype=kind)


def replaced(
    layout: Layout, data: bytes, name: str, change: Callable[[Column], Column]
) -> tuple[Layout, bytes]:
    """The same columns with one of them changed."""
    columns = {one: unpack(kind, data[at : at + size]) for one, (at, size, kind) in layout.items()}
    return pack(columns | {name: change(columns[name])})


def narrow(values: Any) -> Any:
    """The same whole numbers in the narrowest type that holds them all."""
    if values.dtype == np.bool_ or not len(values):
        return values.astype("u1")
    low, high = int(values.min()), int(values.max())
    for kind in _NARROW:
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return values.astype(f"<{kind}" if kind[1] != "1" else kind)
    return values


def halves(units: Iterable[int]) -> tuple[Any, Any]:
    """Whole amounts as two columns: `high * 2**32 + low`."""
    listed = list(units)
    try:
        whole = np.array(listed, dtype=np.int64)
    except OverflowError:
        return (
            np.array([value >> HALF for value in listed], dtype=np.int64),
            np.array([value & MASK for value in listed], dtype=np.int64),
        )
    return whole >> HALF, whole & MASK


def encode(values: Iterable[str]) -> tuple[Any, list[str]]:
    """Texts as codes and the texts behind them, in order of first sight."""
    seen: dict[str, int] = {}
    codes = [seen.setdefault(value, len(seen)) for value in values]
    return narrow(np.array(codes, dtype=np.int64)), list(seen)


def bytes_of(column: Column) -> int:
    """Roughly what a column takes in memory."""
    if isinstance(column, list):
        return 80 * len(column) + 64
    return int(column.nbytes) + 100
