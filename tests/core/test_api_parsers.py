"""What the API's JSON parser lets in, and how it names what it refuses."""

import gzip
import io
import time
from types import SimpleNamespace
from typing import Any

import pytest

from core.api.parsers import (
    MAX_DEPTH,
    BodyTooLargeError,
    BoundedJSONParser,
    InvalidJSONError,
    UnsupportedEncodingError,
    parse_json,
)


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'"text"', "text"),
        (b"[1, 2.5, null, true]", [1, 2.5, None, True]),
        ('{"ü": "日本 \\ud83d\\ude00"}'.encode(), {"ü": "日本 😀"}),
        (b"9223372036854775807", 2**63 - 1),
        (b"[" * (MAX_DEPTH) + b"]" * (MAX_DEPTH), None),
    ],
)
def test_good_json_is_read(body: bytes, data: Any) -> None:
    parsed = parse_json(body)
    assert data is None or parsed == data


@pytest.mark.parametrize(
    ("body", "words", "fields"),
    [
        (b"", "not valid JSON: Expecting value at line 1, column 1", ()),
        (b'{"a": 1', "not valid JSON", ()),
        (b'{"a": 1}x', "not valid JSON: Extra data", ()),
        (b"\xff\xfe", "must be UTF-8", ()),
        (b'\xef\xbb\xbf{"a": 1}', "not valid JSON", ()),
        ('{"a": 1}'.encode("utf-16-le"), "not valid JSON", ()),
        (b'{"a": 1, "a": 2}', "'a' occurs twice", ("a",)),
        (b'{"a": NaN}', "NaN is not JSON", ()),
        (b'{"a": -Infinity}', "-Infinity is not JSON", ()),
        (b'{"a": {"b": 1e400}}', "a.b is too large", ("a.b",)),
        (b'{"a": 9223372036854775808}', "a must be below 2^63", ("a",)),
        (b'{"a": -9223372036854775809}', "a must be below 2^63", ("a",)),
        (b'{"a": ' + b"9" * 5000 + b"}", "number that is too long", ()),
        (b'{"a": ["x", "y\\u0000"]}', "a.1 contains the character U+0000", ("a.1",)),
        (b'{"a\\u0000": 1}', "contains the character U+0000", ("",)),
        (b'{"a": "\\ud800"}', "a contains half of a surrogate pair", ("a",)),
        (b'{"\\udfff": 1}', "contains half of a surrogate pair", ("",)),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "deeper than 32 levels", ()),
        (b"[" * 100_000 + b"]" * 100_000, "deeper than 32 levels", ()),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deeper than 32 levels", ()),
    ],
)
def test_bad_json_is_refused(body: bytes, words: str, fields: tuple[str, ...]) -> None:
    started = time.perf_counter()
    with pytest.raises(InvalidJSONError) as caught:
        parse_json(body)
    assert words in caught.value.detail
    assert caught.value.fields == fields
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")
    assert time.perf_counter() - started < 1


def test_body_over_the_limit_is_413(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    parser = BoundedJSONParser()
    assert parser.parse(io.BytesIO(b'{"a":1234}')) == {"a": 1234}
    with pytest.raises(BodyTooLargeError) as caught:
        parser.parse(io.BytesIO(b'{"a":12345}'))
    assert (caught.value.status, caught.value.detail) == (
        413,
        "The body is over the limit of 10 bytes.",
    )


def packed(body: bytes, encoding: str) -> Any:
    """What the parser makes of a request with this Content-Encoding."""
    request = SimpleNamespace(META={"HTTP_CONTENT_ENCODING": encoding})
    return BoundedJSONParser().parse(io.BytesIO(body), None, {"request": request})


def test_gzip_is_unpacked_within_the_limit(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    assert packed(gzip.compress(b'{"a": "x"}'), "gzip") == {"a": "x"}
    assert packed(b'{"a": 1}', "Identity") == {"a": 1}
    with pytest.raises(BodyTooLargeError, match="over the limit of 1000 bytes when unpacked"):
        packed(gzip.compress(b" " * 1_001), "gzip")


@pytest.mark.parametrize(
    ("body", "encoding", "words"),
    [
        (b'{"a": 1}', "gzip", "not gzip, as Content-Encoding says"),
        (gzip.compress(b'{"a": 1}', mtime=0)[:-4], "gzip", "cut off, or followed"),
        (gzip.compress(b"{}", mtime=0) + b"x", "x-gzip", "cut off, or followed"),
    ],
)
def test_damaged_gzip_is_named(body: bytes, encoding: str, words: str) -> None:
    with pytest.raises(InvalidJSONError, match=words):
        packed(body, encoding)


def test_other_encodings_are_a_415() -> None:
    with pytest.raises(UnsupportedEncodingError, match="'br' is not supported") as found:
        packed(b"{}", "br")
    assert found.value.status == 415
