"""Places in sorted lists: what goes into an address comes back as it was, anything else is refused."""

import base64
import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from core.cursors import LONGEST, InvalidCursorError, decode_place, encode_place

NOON = dt.datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "value",
    [NOON, Decimal("0.000000000001"), Decimal("-1"), 0.1, 0, -(2**61), 'Grüße / "quoted"', ""],
)
def test_a_place_comes_back_as_it_was(value: Any) -> None:
    token = encode_place("by", value, "row-1")
    assert token.replace("-", "").replace("_", "").isalnum()
    found = decode_place(token, sort="by", kind=type(value))
    assert found == (value, "row-1")
    assert type(found[0]) is type(value)


def test_no_value_is_a_place_only_where_it_may_be() -> None:
    token = encode_place("by", None, "row-1")
    assert decode_place(token, sort="by", kind=float, is_nullable=True) == (None, "row-1")
    with pytest.raises(InvalidCursorError):
        decode_place(token, sort="by", kind=float)


def _token(data: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("?", int), ("abc", int), ("é", int), ("a" * (LONGEST + 1), int), (_token({}), int), (_token(["by", 1]), int),
        (_token(["other", 1, "k"]), int), (_token(["by", 1, 7]), int), (_token(["by", 1, "a\x00"]), int),
        (_token(["by", True, "k"]), int), (_token(["by", 2**62, "k"]), int), (_token(["by", 1.5, "k"]), int),
        (_token(["by", 1, "k"]), str), (_token(["by", "\x00", "k"]), str),
        (_token(["by", "2026-11-20T12:00:00", "k"]), dt.datetime), (_token(["by", 5, "k"]), dt.datetime),
        (_token(["by", "NaN", "k"]), Decimal), (_token(["by", "1e13", "k"]), Decimal),
        (_token(["by", "x", "k"]), Decimal),
        (_token(["by", float("inf"), "k"]), float), (_token(["by", 10**400, "k"]), float),
        (_token(["by", [], "k"]), float), (_token("[" * 900), int),
    ],
)  # fmt: skip
def test_what_this_server_did_not_write_is_refused(token: str, kind: type) -> None:
    with pytest.raises(InvalidCursorError) as refused:
        decode_place(token, sort="by", kind=kind, field="cursor")
    assert refused.value.fields == ("cursor",)
    assert (refused.value.code, refused.value.status) == ("invalid_cursor", 400)
