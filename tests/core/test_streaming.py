"""Streamed responses under ASGI: never more than a chunk in memory."""

import asyncio
from collections.abc import Iterator

from core.streaming import CHUNK, ChunkedResponse


def test_a_chunk_is_made_when_the_one_before_was_taken() -> None:
    made = 0

    def parts() -> Iterator[bytes]:
        nonlocal made
        for number in range(10):
            made += 1
            yield bytes([number]) * CHUNK

    async def read() -> list[tuple[int, bytes]]:
        return [(made, chunk) async for chunk in aiter(ChunkedResponse(parts()))]

    seen = asyncio.run(read())
    assert [before for before, _ in seen] == list(range(1, 11))
    assert b"".join(chunk for _, chunk in seen) == b"".join(bytes([n]) * CHUNK for n in range(10))


def test_small_parts_travel_together_and_nothing_is_lost() -> None:
    lines = [f"line {number}\n" for number in range(20_000)]

    async def read() -> list[bytes]:
        return [chunk async for chunk in aiter(ChunkedResponse(iter(lines)))]

    chunks = asyncio.run(read())
    assert b"".join(chunks).decode() == "".join(lines)
    assert len(chunks) == len("".join(lines)) // CHUNK + 1
    assert b"".join(ChunkedResponse(iter(lines))).decode() == "".join(lines)
