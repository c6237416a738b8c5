"""A picture a customer might attach, drawn here: a cardboard box with a dent, as PNG."""

import base64
import random
import struct
import zlib

WIDTH, HEIGHT = 240, 160
BACK, BOX, TAPE, DENT = (226, 230, 235), (193, 154, 107), (222, 196, 150), (110, 78, 48)


def box_picture(chance: random.Random) -> str:
    """A `data:` URL of a box; where it is dented and how badly depends on `chance`."""
    at, deep = (chance.randrange(80, 170), chance.randrange(60, 110)), chance.randrange(12, 26)
    lines = b"".join(
        b"\x00" + b"".join(bytes(_colour(x, y, at, deep)) for x in range(WIDTH))
        for y in range(HEIGHT)
    )
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, data)
        for name, data in ((b"IHDR", head), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    )
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _colour(x: int, y: int, at: tuple[int, int], deep: int) -> tuple[int, int, int]:
    if not (40 <= x < 200 and 30 <= y < 135):
        return BACK
    if abs(x - at[0]) + abs(y - at[1]) < deep:
        return DENT
    return TAPE if 112 <= x < 128 else BOX


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
