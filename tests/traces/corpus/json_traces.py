"""The JSON door for traces: every field with every kind of wrong value, one bad step or item beside a good one."""

from datetime import datetime, timedelta
from typing import Any

from tests.traces.corpus.case import Case, iso, raw_json

# No field takes any of these; written into the body as they stand.
NEVER_A_NUMBER = {
    "nan": "NaN",
    "infinity": "Infinity",
    "minus-one": "-1",
    "true": "true",
    "text": '"many"',
    "2^63": str(2**63),
    "4301-digits": "9" * 4301,
    "1e400": "1e400",
    "list": "[1]",
    "object": "{}",
    "arabic": '"١٢"',
    "1e99999999999": "1e99999999999",
}
NEVER_A_TIME = {
    "text": '"yesterday"',
    "year-1": '"0001-01-01T00:00:00+14:00"',
    "year-9999": '"9999-12-31T23:59:59-14:00"',
    "negative": "-5",
    "true": "true",
    "list": "[]",
    "nan": "NaN",
    "400-days-ahead": "@ahead@",
    "1e400": "1e400",
    "month-13": '"2026-13-01T00:00:00Z"',
    "zero": "0",
    "nul": '"2026\\u0000"',
    "arabic": '"٢٠٢٦-١١-٢٠"',
    "empty": '""',
    "10k": '"' + "2" * 10_000 + '"',
}
NEVER_AN_ID = {
    "null": "null",
    "empty": '""',
    "space": '"a b"',
    "slash": '"a/b"',
    "nul": '"a\\u0000"',
    "129": '"' + "a" * 129 + '"',
    "list": "[]",
    "object": "{}",
    "true": "true",
    "float": "1.5",
    "surrogate": '"\\ud800"',
    "dots": '".."',
    "rtl": '"\\u202eabc"',
    "negative": "-1",
}


def _case(name: str, body: bytes, *statuses: int, **outcome: int) -> Case:
    return Case(
        name=f"traces/{name}",
        door="traces",
        body=body,
        statuses=statuses or (400,),
        stored=outcome.get("stored"),
        rejected=outcome.get("rejected"),
    )


def _trace(now: datetime, *steps: Any, **changes: Any) -> dict[str, Any]:
    return {"trace_id": "t1", "name": "bot", "started_at": iso(now), "steps": list(steps)} | changes


def cases(now: datetime) -> list[Case]:
    ahead = f'"{iso(now + timedelta(days=400))}"'
    good = {
        "id": "good",
        "type": "llm",
        "model": "gpt-5.5",
        "started_at": iso(now),
        "latency_ms": 5,
    }
    found = _bodies(now, good)

    def step(label: str, literal: str, is_refused: bool = True, **changes: Any) -> None:
        bad = {"id": "bad", "type": "llm", "started_at": iso(now)} | changes
        body = raw_json(
            {"traces": [_trace(now, bad, good)]}, x=literal.replace("@ahead@", ahead.strip('"'))
        )
        stored = 2 if is_refused else 3
        found.append(_case(f"step/{label}", body, 207, stored=stored, rejected=3 - stored))

    for name, literal in NEVER_A_NUMBER.items():
        for field in ("input_tokens", "cost_usd", "latency_ms"):
            step(f"{field}-{name}", literal, **{field: "@x@"})
        step(f"usage-{name}", literal, usage={"prompt_tokens": "@x@"})
    for name, literal in NEVER_A_TIME.items():
        step(f"started_at-{name}", ahead if literal == "@ahead@" else literal, started_at="@x@")
    for name, literal in NEVER_AN_ID.items():
        step(f"id-{name}", literal, id="@x@")
    for field, value in {
        "type": "quantum",
        "status": "maybe",
        "name": [],
        "model": {},
        "tags": 5,
        "metadata": [],
        "error": 5,
        "usage": 5,
        "parent_id": "a/b",
        "cache_hit": "yes",
        "attributes": "x",
        "provider": [],
    }.items():
        step(f"{field}-wrong-kind", "", **{field: value})
    step("tokens-fraction", "0.5", output_tokens="@x@")
    step(
        "cached-exceed-input",
        "",
        provider="openai",
        model="gpt-5.5",
        input_tokens=5,
        cache_read_input_tokens=6,
    )
    step("51-tags", "", tags=[str(n) for n in range(51)])
    step("metadata-10001-keys", "", metadata={str(n): 1 for n in range(10_001)})
    kept = {
        "nul": '"a\\u0000b"',
        "surrogate": '"\\ud800 x \\udfff"',
        "nan-inside": '[NaN, 1e400, {"a": -Infinity}]',
        "2^64": str(2**64),
        "4301-digits": "9" * 4301,
        "deep-100": "[" * 100 + "]" * 100,
        "proto": '{"__proto__": 1, "constructor": 2, "$where": 3, "a.b[0]": 4}',
        "key-nul": '{"\\u0000": 1, "\\ud800": 2, "\\u007f\\u202e": 3}',
        "2mb": '"' + "x" * 2_000_000 + '"',
        "null": "null",
        "10k-key": '{"' + "k" * 10_000 + '": 1}',
        "emoji": '"\\ud83d\\ude00"',
        "20k-items": "[" + "1," * 20_000 + "1]",
    }
    for name, literal in kept.items():
        step(f"input-{name}", literal, is_refused=False, input="@x@")
        step(f"unknown-field-{name}", literal, is_refused=False, something_new="@x@")
    for name in (
        "project_id",
        "org_id",
        "organization",
        "user_pk",
        "created_at",
        "is_billed",
        "price_status",
    ):
        step(f"foreign-{name}", '"evil"', is_refused=False, **{name: "@x@"})
    step("long-name", "", is_refused=False, name="n" * 5_000, model="m" * 5_000)
    step(
        "wide-text",
        "",
        is_refused=False,
        name="\U0001f600" * 300,
        model="\U0001f600" * 300,
        tags=["\U0001f600" * 300],
    )
    step(
        "leap-second",
        "",
        is_refused=False,
        started_at=f"{now:%Y-%m-%d}T00:00:60Z" if now.hour else iso(now),
    )
    return found + _items(now, good, ahead)


def _bodies(now: datetime, good: dict[str, Any]) -> list[Case]:
    whole = raw_json({"traces": [_trace(now, good)]})
    hopeless = {
        "empty": b"",
        "null": b"null",
        "number": b"5",
        "text": b'"x"',
        "object-without-traces": b'{"a":1}',
        "traces-object": b'{"traces":{}}',
        "traces-null": b'{"traces":null}',
        "bom": b"\xef\xbb\xbf" + whole,
        "utf-16": whole.decode().encode("utf-16"),
        "latin-1": b'{"traces":[],"x":"\xe9"}',
        "deep": b'{"traces":' + b"[" * 100_000,
        "duplicate-key": b'{"traces":[],"traces":[]}',
        "truncated": whole[:-4],
        "trailing": whole + b"x",
        "form": b"traces=1&project=2",
        "duplicate-key-inside": b'{"traces":[{"trace_id":"a","trace_id":"b"}]}',
        "nul-byte": b"\x00",
    }
    return [
        *(_case(f"body/{name}", body) for name, body in hopeless.items()),
        _case("body/no-traces", b'{"traces":[]}', 207, stored=0, rejected=0),
        _case("body/bare-trace", raw_json(_trace(now, good)), 207, stored=2, rejected=0),
        _case("body/bare-list", raw_json([_trace(now, good)]), 207, stored=2, rejected=0),
        _case(
            "body/1001-traces",
            raw_json({"traces": [_trace(now, trace_id=str(n)) for n in range(1_001)]}),
            413,
        ),
        _case(
            "body/5001-steps",
            raw_json({"traces": [_trace(now, *[{"id": str(n)} for n in range(5_001)])]}),
            413,
        ),
        _case("body/1m-values", b'{"traces":[' + b"[]," * 1_000_001 + b"[]]}", 413),
    ]


def _items(now: datetime, good: dict[str, Any], ahead: str) -> list[Case]:
    """A refused trace item leaves its neighbours alone; its own steps are not stored without it."""
    found = []
    neighbour = _trace(now, good, trace_id="neighbour")
    wrong = {f"trace_id-{name}": ("trace_id", literal) for name, literal in NEVER_AN_ID.items()}
    wrong |= {
        f"started_at-{name}": ("started_at", literal) for name, literal in NEVER_A_TIME.items()
    }
    wrong |= {
        "status": ("status", '"maybe"'),
        "steps-object": ("steps", "{}"),
        "metadata-list": ("metadata", "[]"),
        "tags-number": ("tags", "5"),
        "user-object": ("user", "{}"),
        "duration-negative": ("duration_ms", "-1"),
        "duration-nan": ("duration_ms", "NaN"),
        "name-list": ("name", "[]"),
    }
    for name, (field, literal) in wrong.items():
        body = raw_json(
            {"traces": [_trace(now, good) | {field: "@x@"}, neighbour]},
            x=ahead if literal == "@ahead@" else literal,
        )
        found.append(_case(f"item/{name}", body, 207, stored=2, rejected=1))
    for name, item in {"null": None, "number": 5, "list": [], "text": "x"}.items():
        found.append(
            _case(
                f"item/is-{name}",
                raw_json({"traces": [item, neighbour]}),
                207,
                stored=2,
                rejected=1,
            )
        )
    twice = [_trace(now, good, status="running"), _trace(now, good, status="ok")]
    found.append(_case("item/twice", raw_json({"traces": twice}), 207, stored=2, rejected=0))
    cycle = [
        {"id": "a", "parent_id": "b"},
        {"id": "b", "parent_id": "a"},
        {"id": "c", "parent_id": "c"},
    ]
    found.append(
        _case(
            "item/cycle-of-parents",
            raw_json({"traces": [_trace(now, *cycle)]}),
            207,
            stored=4,
            rejected=0,
        )
    )
    ended = iso(now - timedelta(hours=1))
    found.append(
        _case(
            "item/end-before-start",
            raw_json({"traces": [_trace(now, good, ended_at=ended)]}),
            207,
            stored=2,
            rejected=0,
        )
    )
    return found
