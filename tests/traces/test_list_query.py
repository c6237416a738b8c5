"""The query language without a database: what is read, what is refused and where, and that printing loses nothing."""

import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traces import query_terms as terms
from traces.query_language import parse_query
from traces.query_printing import normal, print_query
from traces.query_terms import KEYS, And, Between, Compare, Exact, Glob, Not, Or, Term, Text, When

EXAMPLE = 'status:error cost:>0.05 model:claude-* -env:dev duration:>2s "refund policy"'


def test_the_example_of_the_documentation_means_what_it_says():
    assert parse_query(EXAMPLE).node.nodes == (
        Term("status", (Exact("error"),)),
        Term("cost", (Compare(">", Decimal("0.05")),)),
        Term("model", (Glob(("claude-", "")),)),
        Not(Term("env", (Exact("dev"),))),
        Term("duration", (Compare(">", Decimal(2000)),)),
        Text("refund policy", is_phrase=True),
    )
    assert print_query(parse_query(EXAMPLE).node) == EXAMPLE


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Environment:prod", "env:prod"),
        ("latency:1..5", "duration:1s..5s"),
        ("duration:90000ms", "duration:90s"),
        ("duration:0.5m", "duration:30s"),
        ("duration:2h", "duration:120m"),
        ("duration:1.5", "duration:1.5s"),
        ("tokens:>10k", "tokens:>10000"),
        ("tokens:1.5M", "tokens:1500000"),
        ("cost:$1..$5", "cost:1..5"),
        ("cost:<=.5", "cost:<=0.5"),
        ("status:ERROR", "status:error"),
        ("status:(error OR running)", "status:(error OR running)"),
        ("status:(error running error)", "status:(error OR running)"),
        ('user:""', 'user:""'),
        ('name:"two words"', 'name:"two words"'),
        ('name:"a*b"', 'name:"a*b"'),
        ("name:a**b", "name:a*b"),
        (r"name:a\ b*", r"name:a\ b*"),
        ("user:acct:12", "user:acct:12"),
        ("refund  policy", "refund policy"),
        ("a AND b", "a b"),
        ("a OR b", "(a OR b)"),
        ("(status:error OR cost:>1) env:prod", "(status:error OR cost:>1) env:prod"),
        ("NOT tag:x", "-tag:x"),
        ("--tag:x", "tag:x"),
        ("-(a b)", "-(a b)"),
        ("-(status:ok OR tag:x)", "-(status:ok OR tag:x)"),
        ("((a))", "a"),
        ("score.helpful:>0.5", "score.helpful:>0.5"),
        ("score.helpful:-1", "score.helpful:-1"),
        ("score.tone:good", "score.tone:good"),
        ('score.tone:"1"', 'score.tone:"1"'),
        ("metadata.user-plan:gold", "metadata.user-plan:gold"),
        ("started:>-2h", "started:>-2h"),
        ("started:-2h", "started:>=-2h"),
        ("started:2026-11-01", "started:2026-11-01T00:00Z..2026-11-02T00:00Z"),
        ("started:2026-11-01..2026-11-05", "started:2026-11-01T00:00Z..2026-11-06T00:00Z"),
        ("has:score -has:comment", "has:score -has:comment"),
        ("https://example.com/x", "https://example.com/x"),
        ("tag:a tag:a", "tag:a"),
    ],
)
def test_canonical_text(text, canonical):
    parsed = parse_query(text)
    assert parsed.problems == ()
    assert print_query(parsed.node) == canonical
    assert parse_query(canonical) == parsed


@pytest.mark.parametrize(
    ("text", "bad", "reason", "left"),
    [
        ("status:melted tag:x", "status:melted", "one of ok, error, running", "tag:x"),
        ("colour:blue x", "colour:blue", "not a key", "x"),
        ("cost:>abc", "cost:>abc", "amount in dollars", ""),
        ("cost:5..1", "cost:5..1", "smaller one first", ""),
        ("tokens:1.5", "tokens:1.5", "whole number", ""),
        ("duration:2y", "duration:2y", "length of time", ""),
        ("started:soon", "started:soon", "not a time", ""),
        ("env: x", "env:", "value is missing", "x"),
        ("metadata:x", "metadata:x", "needs a name", ""),
        ("env.x:y", "env.x:y", "has no 'x'", ""),
        ("a ) b", ")", "no (", "a b"),
        ("a (b c", "(b c", "the ) of this ( is missing", "a"),
        ('tag:x "open', '"open', "closing quote", "tag:x"),
        ("OR a", "OR", "before it is missing", "a"),
        ("name:()", "name:()", "between the parentheses", ""),
        ("cost:99999999999999", "cost:99999999999999", "too large", ""),
    ],
)
def test_an_unreadable_part_is_named_and_the_rest_is_kept(text, bad, reason, left):
    parsed = parse_query(text)
    (problem,) = parsed.problems
    assert text[problem.start : problem.end] == bad
    assert reason in problem.reason
    assert print_query(parsed.node) == left


def test_bounds_on_length_depth_and_number_of_parts():
    assert "2,000" in parse_query("x" * 3000).problems[0].reason
    assert "6 deep" in parse_query("(" * 8 + "a" + ")" * 8).problems[0].reason
    many = parse_query(" ".join(f"tag:t{n}" for n in range(70)))
    assert len(many.node.nodes) == 60
    assert "at most 60" in many.problems[0].reason
    assert (
        "at most 50 values"
        in parse_query(f"tag:({' '.join(f't{n}' for n in range(51))})").problems[0].reason
    )


plain = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=("Cs",)), max_size=12
)
number = st.decimals(0, 10**6, places=3, allow_nan=False, allow_infinity=False).map(
    lambda d: d.normalize() + 0
)
whole = st.integers(0, 10**9).map(lambda n: Decimal(n).normalize())


def glob(parts: list[str]) -> Glob:
    return Glob((parts[0], *(part for part in parts[1:-1] if part), parts[-1]))


def values_of(key: terms.Key) -> st.SearchStrategy:
    if key.kind == "choice":
        return st.sampled_from(key.choices).map(Exact)
    texts = st.one_of(plain.map(Exact), st.lists(plain, min_size=2, max_size=4).map(glob))
    if key.kind == "text":
        return texts
    if key.kind == "time":
        return st.builds(
            When,
            st.sampled_from((">", ">=", "<", "<=")),
            st.sampled_from(("-2h", "-7d", "2026-11-01T10:00Z")),
        )
    of = whole if key.kind == "count" else number
    numbers = st.one_of(
        st.builds(Compare, st.sampled_from((">", ">=", "<", "<=", "=")), of),
        st.tuples(of, of).map(lambda pair: Between(*sorted(pair))),
    )
    return st.one_of(numbers, plain.map(Exact)) if key.kind == "score" else numbers


names = st.from_regex(r"[a-zA-Z][\w-]{0,8}", fullmatch=True)
term = st.sampled_from(sorted(KEYS)).flatmap(
    lambda key: st.builds(
        Term,
        st.just(key),
        st.lists(values_of(KEYS[key]), min_size=1, max_size=3, unique=True).map(tuple),
        names if key in terms.NAMED else st.just(""),
    )
)
text = st.builds(Text, plain.filter(lambda t: bool(t.strip())), st.booleans())
nodes = st.recursive(
    st.one_of(term, text),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: Or(tuple(found))),
        st.lists(inner, min_size=1, max_size=3).map(lambda found: And(tuple(found))),
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(st.lists(nodes, max_size=4))
def test_what_is_printed_is_read_back_as_the_same(found):
    node = normal(And(tuple(found)))
    top = node if isinstance(node, And) else And((node,))
    written = print_query(top)
    if len(written) > 2_000:
        return
    parsed = parse_query(written)
    assert parsed.problems == (), written
    assert parsed.node == top, written


def test_noise_never_raises_and_places_lie_inside():
    chance = random.Random(7)
    pieces = [
        *KEYS,
        ":",
        ">",
        "..",
        "(",
        ")",
        '"',
        "-",
        "OR",
        "NOT",
        " ",
        "*",
        "\\",
        "1",
        "s",
        "é",
        "\x00",
        "-2h",
        ".",
        "=",
        "\u202e",
    ]
    for _ in range(4_000):
        text = "".join(chance.choices(pieces, k=chance.randint(0, 25)))
        parsed = parse_query(text)
        for problem in parsed.problems:
            assert 0 <= problem.start < problem.end, text
        again = parse_query(print_query(parsed.node))
        assert again.node == parsed.node, text
        assert again.problems == (), text
