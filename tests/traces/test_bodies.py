"""Unpacking request bodies: every packing HTTP clients use, and every way it can be broken."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DomainError
from tests.traces.corpus.encodings import bomb
from traces.ingest.bodies import read_body
from traces.ingest.limits import BodyError, BodyTooLargeError, UnsupportedEncodingError

BODY = b"hello " * 50_000
LIMIT = 1_000_000


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:1000]) + gzip.compress(BODY[1000:])),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
    ],
)
def test_good_body_is_unpacked(encoding: str, packed: bytes):
    assert read_body(packed, encoding, max_decompressed=LIMIT) == BODY


@pytest.mark.parametrize(
    "encoding", ["br", "zstd", "gzip, gzip", "gzip,deflate", "snappy", "gzip\x00"]
)
def test_unknown_encoding_is_415_and_named(encoding: str):
    with pytest.raises(UnsupportedEncodingError, match="send gzip, deflate or identity") as caught:
        read_body(gzip.compress(BODY), encoding, max_decompressed=LIMIT)
    assert caught.value.status == 415


@pytest.mark.parametrize("cut", [0, 1, 9, 10, 20, -9, -8, -1])
def test_truncated_gzip_is_400(cut: int):
    with pytest.raises(BodyError) as caught:
        read_body(gzip.compress(BODY)[:cut], "gzip", max_decompressed=LIMIT)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed + b"garbage",
        lambda packed: packed[:-8] + b"\0\0\0\0" + packed[-4:],
        lambda packed: packed[:-4] + b"\1\0\0\0",
        lambda packed: packed[:30] + b"\xff\xff\xff" + packed[33:],
    ],
    ids=["trailing", "crc", "size", "inside"],
)
def test_damaged_gzip_is_400(damage):
    with pytest.raises(BodyError):
        read_body(damage(gzip.compress(BODY)), "gzip", max_decompressed=LIMIT)


def test_exactly_the_limit_passes_and_one_byte_more_is_413():
    packed = gzip.compress(BODY)
    assert read_body(packed, "gzip", max_decompressed=len(BODY)) == BODY
    with pytest.raises(BodyTooLargeError) as caught:
        read_body(packed, "gzip", max_decompressed=len(BODY) - 1)
    assert caught.value.status == 413


@pytest.mark.parametrize("tail", [b"", gzip.compress(b"x")], ids=["honest", "hides-its-size"])
def test_bomb_is_refused_without_holding_more_than_the_limit(tail: bytes):
    packed = bomb(200) + tail
    tracemalloc.start()
    with pytest.raises(BodyTooLargeError):
        read_body(packed, "gzip", max_decompressed=8_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "identity", "br"]))
def test_any_bytes_give_a_body_or_a_typed_error(raw: bytes, encoding: str):
    status = 200
    try:
        read_body(raw, encoding, max_decompressed=10_000)
    except DomainError as error:
        status = error.status
    assert status in (200, 400, 413, 415)
