"""Wherever a stream is cut, it says what the whole text would say with masks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.guards.finding import Look
from gateway.guards.tail import Tail
from gateway.structs import GuardRule

RULES = (
    GuardRule(kind="pii", action="mask", on="output"),
    GuardRule(kind="secrets", action="mask", on="output"),
)
PIECES = [
    "jane@example.com", "sk-proj-abcdefghijklmnopqrstuvwx", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00",
    "+49 30 901820", "203.0.113.7", "Bearer abcdefghijklmnopqrstuvwxyz", "word ", " and then ", "日本語。", "größer ",
    "\n\n", "x" * 150, " y" * 150, "-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----",
]  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8), st.lists(st.integers(1, 120), min_size=1))
def test_cuts_do_not_matter(pieces: list[str], sizes: list[int]) -> None:
    text = "So: " + " | ".join(pieces)
    tail = Tail(RULES, {rule: Look(rule) for rule in RULES}, is_json=False)
    out, place, turn = "", 0, 0
    while place < len(text):
        size = sizes[turn % len(sizes)]
        out += tail.push(text[place : place + size], is_last=False)
        place, turn = place + size, turn + 1
    out += tail.push("", is_last=True)
    both = Tail(RULES, {rule: Look(rule) for rule in RULES}, is_json=False)
    assert out == both.push(text, is_last=True)
    for found in PIECES[:7]:
        assert found not in out
