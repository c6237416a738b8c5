"""The words of the search: the same for what is stored and for what is asked, and never an error."""

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from traces.search.words import parse, snippet, vector, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Refund policy", ["refund", "policy"]),
        ("Café CAFÉ ｃａｆｅ", ["cafe", "cafe", "cafe"]),
        ("gpt-4o-mini", ["gpt", "4o", "mini"]),
        ("user@example.com/a?b=1", ["user", "example", "com", "a", "b", "1"]),
        ("issue_refund", ["issue", "refund"]),
        ("退款政策 ok", ["退", "款", "政", "策", "ok"]),
        ("Straße", ["strasse"]),
        ("", []),
        ("-- '\"\\", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("refund", "'refund':*"),
        ("ab", "'ab'"),
        ("ab*", "'ab':*"),
        ('"refund"', "'refund'"),
        ('"late delivery"', "('late' <-> 'delivery')"),
        ("refund -spam", "'refund':* & !'spam':*"),
        ('refund -"cold call"', "'refund':* & !('cold' <-> 'call')"),
        ("-spam", "!'spam':*"),
        ("one OR two three", "('one':*) | ('two':* & 'three':*)"),
        ("OR one | OR", "'one':*"),
        ("one or two", "'one':* & 'or' & 'two':*"),
        ("gpt-4o", "'gpt' & '4o'"),
        ("-gpt-4o", "!('gpt' <-> '4o')"),
        ('"gpt-4o"', "('gpt' <-> '4o')"),
        ('"never closed', "('never' <-> 'closed')"),
        ("退款", "('退' <-> '款')"),
        ("!!! -", ""),
    ],
)
def test_what_is_asked(text: str, asked: str) -> None:
    assert parse(text).tsquery() == asked


def test_vector_has_weights_and_no_phrase_across_sections() -> None:
    made = vector([("A", "Refund"), ("D", "policy refund")], label="p:1")
    assert made == "'refund':1A,4 'policy':3 'p:1'"


def test_snippet_marks_what_was_asked_as_it_was_written() -> None:
    pieces = snippet("The Café's REFUNDS were late.", parse("cafe refund -late"))
    assert [(piece.text, piece.is_hit) for piece in pieces] == [
        ("The ", False),
        ("Café", True),
        ("'s ", False),
        ("REFUNDS", True),
        (" were late.", False),
    ]


def test_snippet_of_a_long_text_is_cut_around_the_first_hit() -> None:
    body = "word " * 500 + "needle " + "word " * 500
    text = "".join(piece.text for piece in snippet(body, parse("needle"), length=60))
    assert text.startswith("… word")
    assert text.endswith("…")
    assert "needle" in text
    assert len(text) < 80
    assert snippet(body, parse("absent")) == []


@pytest.mark.django_db
@settings(max_examples=150, deadline=None)
@given(
    asked=st.one_of(st.text(max_size=60), st.text(alphabet="ab -\"*|&!:()'\\OR<>退é", max_size=40)),
    said=st.text(max_size=80),
)
def test_whatever_is_typed_postgresql_takes(asked: str, said: str) -> None:
    query = parse(asked)
    snippet(said, query)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT %s::tsvector @@ %s::tsquery",
            [vector([("A", said), ("D", asked)], label="p:1"), query.tsquery(label="p:1") or "'x'"],
        )
        assert cursor.fetchone() is not None


@pytest.mark.django_db
@settings(max_examples=80, deadline=None)
@given(said=st.text(min_size=1, max_size=60))
def test_a_text_is_found_by_itself_as_a_phrase(said: str) -> None:
    query = parse('"' + said.replace('"', " ") + '"')
    if query.is_empty:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT %s::tsvector @@ %s::tsquery", [vector([("D", said)]), query.tsquery()]
        )
        assert cursor.fetchone() == (True,)
