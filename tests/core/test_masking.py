"""Masking: what the built-in rules find, what own patterns may be, and that nothing makes it slow or raise."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.masking import (
    BUDGET_SECONDS,
    TOO_LONG,
    Masker,
    MaskingError,
    all_builtin,
    preview,
    rules_of,
    validate,
)
from core.masking_builtins import BUILTINS
from core.masking_spelling import Ruler, fold


def masked(text: str, *builtin: str) -> str:
    return Masker(rules_of({"builtin": list(builtin)}) if builtin else all_builtin()).text(text)


def own(pattern: str, replacement: str = "[x]", name: str = "mine") -> Any:
    return rules_of({"patterns": [{"name": name, "pattern": pattern, "replacement": replacement}]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to jane.doe+x@mail.example.com.", "write to [email]."),
        ("müller@exämple.de", "[email]"),
        ("call +49 30 901820 or (555) 234-5678 now", "call [phone] or [phone] now"),
        ("tel 0171 2345678", "tel [phone]"),
        ("card 4111 1111 1111 1111, amex 3782-822463-10005", "card [card], amex [card]"),
        ("5555 4111111111111111 x", "5555 [card] x"),
        ("DE89 3704 0044 0532 0130 00 THIS IS", "[iban] THIS IS"),
        ("gb82west12345698765432", "[iban]"),
        ("from 203.0.113.7. and 2001:db8::1, fine", "from [ip]. and [ip], fine"),
        ("536-22-8726", "[ssn]"),
        ("sk-proj-abcdefghijklmnop1234", "[secret]"),
        ("key=sk-ant-api03-abcdefghijklmnop-Q", "key=[secret]"),
        ("AKIAIOSFODNN7EXAMPLE", "[secret]"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[secret]"),
        ("xoxb-123456789012-abcdefghij", "[secret]"),
        ("llmlab_sk_abcdef0123456789", "[secret]"),
        ("Authorization: Bearer abcdefghijklmnop.qrst", "Authorization: [secret]"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJ_S", "[secret]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "[secret]"),
    ],
)
def test_builtin_rules_find(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "card 4111 1111 1111 1112 fails Luhn",
        "DE88370400440532013000 has a wrong check number",
        "at 12:30:45 call std::abs or A::B",
        "127.0.0.1 and ::1 are this machine",
        "1763718000000000000 is a time in nanoseconds",
        "2026-11-21T09:40:24Z v1.2.3",
        "000-12-3456 666-12-3456 900-12-3456 no such numbers",
        "a@b is no address",
        "gpt-4o-2024-08-06 used 12345 tokens",
        "0000 0000 0000 0000",
        "resp_68af4030b2dc81a3",
        "0.5312345678901230 is a share, 4111.111111111111 a time, 5105.105105105100 a sum",
        "v9.012.345678 and v1.01.23.45.67 are versions",
        "row 12 123 45 6789 9 of the table, 12.536.22.8726",
        "536-22.8726 and 536 22-8726",
        "8f14e45f-ad12-4abc-8def-123456789abc",
        "costs ３．１４, ２０２６–１１–２１",
        "4111\u00a01111\u00a01111\u00a01112 fails Luhn",
        "DE88‑3704‑0044‑1532‑1130‑00 has a wrong check number",
    ],
)
def test_builtin_rules_leave_alone(text: str) -> None:
    assert masked(text) == text


def test_every_builtin_example_is_found_by_its_own_rule_alone() -> None:
    for builtin in BUILTINS:
        if builtin.name != "api_key":  # its example only shows beginnings
            assert masked(builtin.example, builtin.name) == builtin.replacement
            assert masked("nothing here", builtin.name) == "nothing here"


def test_only_chosen_rules_apply() -> None:
    assert masked("jane@example.com 203.0.113.7", "ip_address") == "jane@example.com [ip]"


def test_nested_values_keys_numbers_and_json_in_strings() -> None:
    value = {
        "a": ["jane@example.com", {"b": 4111111111111111, "n": 42, "t": True, "f": 1.5, "z": None}],
        "jane@example.com": 1,
        "joe@example.com": 2,
        "json": json.dumps({"mail": "jane@example.com", "deep": json.dumps(["joe@example.com"])}),
        "escaped": '{"mail":"jane\\u0040example.com"}',
        "broken": '{"mail":"jane@example.com"',
    }
    masker = Masker(all_builtin())
    assert masker.value(value) == {
        "a": ["[email]", {"b": "[card]", "n": 42, "t": True, "f": 1.5, "z": None}],
        "[email]": 1,
        "[email] 2": 2,
        "json": '{"mail":"[email]","deep":"[\\"[email]\\"]"}',
        "escaped": '{"mail":"[email]"}',
        "broken": '{"mail":"[email]"',
    }
    assert masker.hits == {"email": 7, "credit_card": 1}


def test_untouched_json_keeps_its_bytes() -> None:
    text = '{ "a" : 1.0, "b":[ ] }'
    assert masked(text) == text


def test_own_patterns_replace_literally_and_overlaps_leave_nothing() -> None:
    assert Masker(own(r"ORD-\d+", r"\1$0")).text("see ORD-123!") == r"see \1$0!"
    rules = rules_of(
        {
            "builtin": ["email"],
            "patterns": [
                {"name": "left", "pattern": "abcd", "replacement": "<"},
                {"name": "right", "pattern": "cdef", "replacement": ">"},
                {"name": "host", "pattern": "example", "replacement": "!"},
                {"name": "mark", "pattern": r"\[email\]", "replacement": "?"},
            ],
        }
    )
    assert Masker(rules).text("abcdef jane@example.com [email]") == "< [email] ?"
    assert Masker(own("(?i)straße")).text("STRASSE Straße") == "STRASSE [x]"
    assert Masker(own("é")).text("caféé") == "caf[x][x]"


@pytest.mark.parametrize(
    ("masking", "said"),
    [
        ({"patterns": [{"name": "n", "pattern": "(a"}]}, "'n' cannot be used: missing [)]"),
        ({"patterns": [{"name": "n", "pattern": "a)(b"}]}, "'n' cannot be used: unexpected [)]"),
        ({"patterns": [{"name": "n", "pattern": "(?=a)"}]}, "no look-ahead"),
        ({"patterns": [{"name": "n", "pattern": r"(a)\1"}]}, "no back references"),
        ({"patterns": [{"name": "n", "pattern": "a{9999}"}]}, "invalid repetition size"),
        ({"patterns": [{"name": "n", "pattern": "a*"}]}, "matches nothing at all"),
        ({"patterns": [{"name": "n", "pattern": ""}]}, "'n' is empty"),
        ({"patterns": [{"name": " ", "pattern": "a"}]}, r"patterns\[0\].name is empty"),
        ({"patterns": [{"name": "n", "pattern": "a" * 501}]}, "at most 500 characters"),
        ({"patterns": [{"name": "n", "pattern": "a", "replacement": "x" * 101}]}, "at most 100"),
        (
            {"patterns": [{"name": "n", "pattern": "a", "replacement": "\x00"}]},
            "control characters",
        ),
        ({"patterns": [{"name": "n", "pattern": "\ud800"}]}, "no text"),
        ({"patterns": [{"name": "n", "pattern": "a", "flags": 1}]}, "must be an object"),
        ({"patterns": [{"name": "n", "pattern": "a"}] * 2}, "Two patterns are named 'n'"),
        ({"patterns": [{"name": str(n), "pattern": "a"} for n in range(21)]}, "at most 20"),
        ({"patterns": "a"}, "must be a list"),
        ({"builtin": ["mail"]}, "no built-in rule 'mail'; choose from email, phone"),
        ({"builtin": "email"}, "must be a list of names"),
        ({"other": 1}, "builtin"),
        ([], "object"),
        ("x", "object"),
    ],
)
def test_rules_that_cannot_be_used_are_named(masking: Any, said: str) -> None:
    with pytest.raises(MaskingError, match=said) as caught:
        validate(masking)
    assert caught.value.fields[0].startswith("masking")


def test_a_valid_setting_comes_back_in_its_normal_form() -> None:
    assert validate({}) == validate(None) == validate({"builtin": [], "patterns": []}) == {}
    assert validate(
        {"patterns": [{"name": " n ", "pattern": "a+"}], "builtin": ["phone", "email", "phone"]}
    ) == {
        "builtin": ["email", "phone"],
        "patterns": [{"name": "n", "pattern": "a+", "replacement": ""}],
    }


ADVERSARIAL = (
    "a" * 200_000,
    "a@" * 100_000,
    "a.a." * 50_000 + "@",
    "4111 " * 40_000,
    "1" * 200_000,
    "1." * 100_000,
    ":" * 200_000,
    "DE89 " * 40_000,
    "eyJ" * 60_000,
    "+1 " * 60_000,
    "(" * 200_000,
    "[" * 200_000,
    "bearer " * 30_000,
    "-----BEGIN PRIVATE KEY-----" * 8_000,
    "sk-" * 60_000,
    "\u0308" * 100_000,
    "e\u0308" * 60_000 + "@",
    "４１１１　" * 20_000,
    "4111." * 20_000,
    "0123." * 20_000,
    "DE89-" * 40_000,
    "536 22 " * 30_000,
    "é@é.éé " * 20_000,
)


@pytest.mark.parametrize("text", ADVERSARIAL, ids=lambda text: repr(text[:12]))
def test_builtin_rules_stay_linear(text: str) -> None:
    started = time.thread_time()
    masked(text)
    assert time.thread_time() - started < 2.5  # 0.7 s at most when measured alone


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+b", "(a*)*b|a", "(.*)(.*)(.*)x"])
def test_patterns_that_explode_elsewhere_do_not_here(pattern: str) -> None:
    started = time.thread_time()
    Masker(own(pattern)).text("a" * 20_000 + "!")
    assert time.thread_time() - started < 2.5


def test_a_pattern_that_looks_far_ahead_for_each_match_costs_its_upload_the_text() -> None:
    masker = Masker(own("a.*b|a"), budget=0.2)
    started = time.perf_counter()
    assert masker.text("a" * 1_000_000) == TOO_LONG
    assert masker.value({"k": "ab"}) == {"k": TOO_LONG}
    assert time.perf_counter() - started < BUDGET_SECONDS / 2


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=()))
    | st.from_regex(r"[\[{\"][0-9a-z@.: \-\\\"]{0,40}", fullmatch=True),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
def test_odd_values_never_raise_and_keep_their_shape(value: Any) -> None:
    result = Masker(all_builtin()).value(value)
    if isinstance(value, dict):
        assert len(result) == len(value)
    if isinstance(value, list):
        assert len(result) == len(value)


@given(
    st.text(max_size=60),
    st.sampled_from([b.example for b in BUILTINS if b.name != "api_key"]),
    st.text(max_size=60),
)
def test_data_among_other_text_is_gone_and_masking_twice_changes_nothing(
    before: str, secret: str, after: str
) -> None:
    once = masked(f"{before} {secret} {after}")
    assert secret not in once or secret in before + after
    assert masked(once) == once


def test_deep_nesting_is_bounded() -> None:
    value: Any = "jane@example.com"
    for _ in range(500):
        value = [value]
    assert "jane@" not in json.dumps(Masker(all_builtin()).value(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # JSON keeps only the last of two equal names; the text kept both.
        ('{"to":"jane@example.com","to":"none"}', '{"to":"[email]","to":"none"}'),
        (' \n{"to":"jane\\u0040example.com"}', '{"to":"[email]"}'),
        ('as {"to":"jane\\u0040example.com"} said', 'as {"to":"[email]"} said'),
        ({"card": 4111111111111111.0}, {"card": "[card]"}),
        ('{"card":4.111111111111111e15}', '{"card":"[card]"}'),
        ("?mail=jane%40example.com", "[email]"),
        ("jane＠example.com", "[email]"),
        ("jane&#64;example.com", "[email]"),
        ({"ratio": 0.25, "big": 12345678.5}, {"ratio": 0.25, "big": 12345678.5}),
        ('{"note":"caf\\u00e9"}', '{"note":"caf\\u00e9"}'),
    ],
)
def test_other_spellings_hide_nothing(value: Any, expected: Any) -> None:
    assert Masker(all_builtin()).value(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pay 4111\u00a01111\u202f1111\u20091111 now", "pay [card] now"),
        ("4111.1111.1111.1111.", "[card]."),
        ("3782.822463.10005", "[card]"),
        ("4111–1111–1111–1111", "[card]"),
        ("カード４１１１　１１１１　１１１１　１１１１です", "カード[card]です"),
        ("٤١١١ ١١١١ ١١١١ ١١١١", "[card]"),
        ("call +49\u00a030\u00a0901820 or ０３０−９０１８２０", "call [phone] or [phone]"),
        ("0171.2345678 / 01.23.45.67.89 / (555)234-5678", "[phone] / [phone] / [phone]"),
        ("tel.030.901820", "tel.[phone]"),
        ("DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000 und", "[iban] und"),
        ("DE89.3704.0044.0532.0130.00", "[iban]"),
        ("DE89-3704-0044-0532-0130-00!", "[iban]!"),
        ("ＤＥ８９　３７０４００４４０５３２０１３０００", "[iban]"),
        ("536‑22‑8726, 536.22.8726, 536\u202f22\u202f8726", "[ssn], [ssn], [ssn]"),
        ("ｊａｎｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", "[email]"),
        ("to:\u00a0jane@example.com\u00a0now", "to:\u00a0[email]\u00a0now"),
        ("mu\u0308ller@exa\u0308mple.de", "[email]"),
        ("x " + "o\u0308" * 40 + "@" + "e\u0301" * 40 + ".de", "x [email]"),
    ],
)
def test_other_keyboards_hide_nothing(text: str, expected: str) -> None:
    assert masked(text) == expected
    assert masked(expected) == expected


def test_what_an_e_mail_address_may_not_hold_any_more_is_cut_between_characters() -> None:
    assert masked("é" * 40 + "@example.com") == "é" * 8 + "[email]"
    assert masked("x" + "é" * 40 + "a@example.com") == "x" + "é" * 8 + "[email]"


BLANKS = ["\u00a0", "\u2007", "\u2009", "\u202f", "\u3000", " "]
DASHES = ["-", "\u2010", "\u2011", "\u2013", "\uff0d", "\u2212"]
DIGITS = [0x30, 0x660, 0x966, 0xFF10]


@given(
    st.text(max_size=30),
    st.sampled_from([b for b in BUILTINS if b.name in ("phone", "credit_card", "iban", "ssn")]),
    st.sampled_from(BLANKS),
    st.sampled_from(DASHES),
    st.sampled_from(DIGITS),
    st.text(max_size=30),
)
def test_a_number_is_found_in_every_script(
    before: str, builtin: Any, blank: str, dash: str, zero: int, after: str
) -> None:
    spelled = builtin.example.translate(
        {ord(" "): blank, ord("-"): dash, **{48 + n: zero + n for n in range(10)}}
    )
    assert masked(spelled, builtin.name) == builtin.replacement
    shown = masked(f"{before}; {spelled}; {after}", builtin.name)
    assert builtin.replacement in shown
    if spelled not in before + after:
        assert spelled not in shown


@given(st.text(max_size=80))
def test_folding_keeps_places(text: str) -> None:
    folded = fold(text)
    assert len(folded) == len(text)
    ruler, data = Ruler(text, folded.encode()), text.encode()
    for place in range(len(text) + 1):
        at = ruler.place(len(folded[:place].encode()))
        assert data[:at].decode() == text[:place]


def test_an_own_pattern_may_look_at_the_keys_of_json() -> None:
    rules = own(r'"password": ?"([^"]+)"', replacement="[x]")
    assert "hunter2" not in Masker(rules).text('{"password":"hunter2","b":1}')
    assert "M\\u00fcller" not in Masker(own("Müller")).text('see {"name":"M\\u00fcller"}')


def test_preview_shows_the_text_and_the_hits() -> None:
    assert preview(all_builtin(), "jane@example.com and joe@example.com") == (
        "[email] and [email]",
        {"email": 2},
    )
