"""Which failures are the same one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traces.errors.fingerprint import LENGTH, Failure, fingerprint, pattern_of


@pytest.mark.parametrize(
    ("message", "pattern"),
    [
        ("Timed out after 30.5 s", "Timed out after <n> s"),
        ('column "foo" does not exist', "column <text> does not exist"),
        ("no user a.b+c@example.com", "no user <email>"),
        ("GET https://api.x.com/v1?k=1 failed", "GET <url> failed"),
        ("request req_011CSHoEeqs5C35K2U failed", "request <id> failed"),
        ("HTTP 503 from upstream 7", "HTTP 503 from upstream <n>"),
        ("model gpt-4o is away", "model gpt-4o is away"),
        ("it's can't won't", "it's can't won't"),
        (
            "Error code: 429 - {'error': {'message': 'Slow down', 'code': 'rate_limit'}}",
            "Error code: 429 - Slow down rate_limit",
        ),
    ],
)
def test_patterns(message: str, pattern: str) -> None:
    assert pattern_of(message) == pattern


def test_status_codes_and_places_part_failures() -> None:
    def mark(message: str, **fields: str) -> str:
        return fingerprint(Failure("E", message, **fields))

    assert mark("status 429 for 1") == mark("status 429 for 2")
    assert mark("status 429 for 1") != mark("status 500 for 1")
    same = {"kind": "llm", "model": "gpt-5"}
    assert mark("x", name="a", **same) == mark("x", name="b", **same)
    assert mark("x", kind="tool", name="a") != mark("x", kind="tool", name="b")
    assert mark("x", kind="tool", name="worker 1") == mark("x", kind="tool", name="worker 2")


@settings(max_examples=300, deadline=500)
@given(st.text(max_size=2500), st.text(max_size=200))
def test_any_message_has_a_fingerprint(message: str, name: str) -> None:
    mark = fingerprint(Failure("E", message, "tool", name))
    assert len(mark) == LENGTH
    assert len(pattern_of(message)) <= 400


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_numbers_never_part_failures(one: int, two: int) -> None:
    left, right = (fingerprint(Failure("E", f"lost {n} of {n} rows")) for n in (one, two))
    assert left == right
