"""Everything that leaves the sanitiser is accepted by PostgreSQL and msgpack, and reads back."""

import json
from decimal import Decimal

import msgspec
import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from traces.ingest.json_body import BadNumber
from traces.ingest.limits import Limits
from traces.ingest.sanitize import Cleaner, clean_text, is_identifier, short_text


def cleaned(value, **limits):
    cleaner = Cleaner(Limits(**limits))
    return cleaner.value(value), cleaner.flags()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\x00b", "a\ufffdb"),
        ("\ud800x\udfff", "\ufffdx\ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ("plain", "plain"),
    ],
)
def test_text_without_nul_and_surrogates(value: str, expected: str):
    assert clean_text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (2**63, str(2**63)),
        (-(2**63), -(2**63)),
        (Decimal("1.5"), 1.5),
        (Decimal("1E+400"), "1E+400"),
        (BadNumber("9999"), "9999"),
        (b"\x00\x01", "AAE="),
        ((1, "a"), [1, "a"]),
        ({1: {"\x00": None}}, {"1": {"\ufffd": None}}),
    ],
)
def test_values_become_json(value, expected):
    assert cleaned(value)[0] == expected


def test_long_text_is_cut_and_flagged():
    assert cleaned("x" * 11, max_text=10) == ("x" * 10, ["truncated"])


def test_depth_keys_and_items_are_bounded():
    deep = value = []
    for _ in range(50):
        value.append([])
        value = value[0]
    assert cleaned(deep, max_depth=2) == ([["[nested deeper than 2 levels]"]], ["truncated"])
    assert cleaned({str(n): n for n in range(5)}, max_keys=2) == ({"0": 0, "1": 1}, ["truncated"])
    assert cleaned([1, 2, 3], max_list=2) == ([1, 2], ["truncated"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("  two\nlines\x00 ", "two lines\ufffd"),
        (True, "true"),
        (5, "5"),
        (1.5, "1.5"),
        (None, ""),
        ({"a": 1}, ""),
        ("x" * 300, "x" * 200),
        ("\U0001f600" * 200, "\U0001f600" * 100),  # 400 bytes: an index row holds 2,704
    ],
)
def test_short_text_fits_column_and_index(value, expected):
    assert short_text(value) == expected


@pytest.mark.parametrize("good", ["a", "T-1", "run:1.2_3", "a" * 128, "user@host+1=2~3|4", "5b8e"])
def test_identifiers(good: str):
    assert is_identifier(good)


@pytest.mark.parametrize(
    "bad",
    ["", "a" * 129, "a b", "a/b", "a\n", "é", "..", ".", "a\x00", "a?b", "a#b", "a%2f", "<a>"],
)
def test_not_identifiers(bad: str):
    assert not is_identifier(bad)


text = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), text, st.binary(max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=15,
)


class PostgresAcceptsTest(TestCase):
    """What leaves the sanitiser goes through jsonb, text and msgpack and comes back equal."""

    @given(anything)
    def test_any_value_is_accepted_and_reads_back(self, value):
        clean, _ = cleaned(value)
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s::jsonb", [json.dumps(clean)])
            cursor.fetchone()
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(clean)) == clean

    @given(text)
    def test_any_short_text_is_accepted_and_reads_back(self, value):
        short = short_text(value)
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s::varchar(200)", [short])
            assert cursor.fetchone() == (short,)
        assert len(short.encode()) <= 400
