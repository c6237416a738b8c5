"""Imports: formats, resuming, refusals by line, batches. What the real server makes of them: tests/functional."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_server import Server, answer

from llmlab.cli.imports import langfuse_usage
from llmlab.cli.imports.formats import Source

COSTS = "/api/v1/projects/shop/costs"
TRACES = "/api/v1/projects/shop/traces"


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def cost(number: int) -> dict[str, Any]:
    return {
        "id": f"c-{number}",
        "occurred_at": "2026-11-21T09:00:00Z",
        "model": "m",
        "cost_usd": "0.1",
    }


def csv_text(*rows: dict[str, Any]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


LITELLM = {
    "request_id": "r-1", "call_type": "aembedding", "spend": "1e-05", "total_tokens": "10", "prompt_tokens": "10",
    "completion_tokens": "0", "startTime": "2026-11-21 09:00:00", "endTime": "2026-11-21 09:00:01",
    "completionStartTime": "2026-11-21 09:00:01", "model": "azure/text-embedding-3-small",
    "custom_llm_provider": "", "user": "u-1", "end_user": "", "request_tags": "[]", "metadata": "{}",
    "cache_hit": "", "status": "success",
}  # fmt: skip
OPENAI = {
    "start_time": "1795251600", "num_model_requests": "3", "model": "gpt-5-mini", "batch": "", "service_tier": "",
    "input_tokens": "10", "output_tokens": "4", "input_cached_tokens": "2", "project_id": "p", "user_id": "",
    "api_key_id": "",
}  # fmt: skip
SPAN = {
    "trace_id": "t", "span_id": "s", "parent_span_id": "", "kind": "llm", "name": "n", "status": "ok",
    "started_at": "2026-11-21T09:00:00Z", "ended_at": "2026-11-21T09:00:01Z", "cost_usd": "0.1",
    "price_status": "priced", "input_tokens": 10, "output_tokens": 1,
}  # fmt: skip
OBSERVATION = {"id": "o", "traceId": "t", "type": "SPAN", "startTime": "2026-11-21T09:00:00Z"}
OTLP = {
    "resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [{"spanId": "1", "name": "n"}]}]}]
}


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.jsonl", lines(SPAN), "jsonl"),
        ("a.jsonl", lines({"trace_id": "t", "steps": []}), "jsonl"),
        ("a.jsonl", lines(cost(1)), "jsonl"),
        ("a.json", json.dumps({"traces": [{"trace_id": "t", "steps": []}]}), "jsonl"),
        ("a.json", json.dumps([OBSERVATION], indent=2), "langfuse"),
        ("a.jsonl", lines(OBSERVATION), "langfuse"),
        ("a.json", json.dumps({"data": [OBSERVATION], "meta": {}}), "langfuse"),
        (
            "a.jsonl",
            lines({"id": "t", "timestamp": "2026-11-21T09:00:00Z", "name": "x"}),
            "langfuse",
        ),
        (
            "a.jsonl",
            lines({"id": "x", "trace_id": "t", "name": "n", "value": 1, "data_type": "NUMERIC"}),
            "langfuse",
        ),
        (
            "a.jsonl",
            lines(
                {"score_id": "x", "trace_id": "t", "name": "n", "value": 1, "data_type": "numeric"}
            ),
            "jsonl",
        ),
        ("a.jsonl", lines({"trace_id": "t", "name": "n", "value": 1}), "jsonl"),
        ("a.json", json.dumps(OTLP), "otlp"),
        ("a.json", json.dumps(OTLP, indent=1), "otlp"),
        ("a.jsonl", lines(OTLP, OTLP), "otlp"),
        ("a.csv", csv_text(LITELLM), "litellm"),
        ("a.csv", "\ufeff" + csv_text(OPENAI), "openai"),
    ],
)
def test_the_format_is_found_out(name: str, text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert Source(tmp_path / name, "").form == expected
    with gzip.open(tmp_path / f"{name}.gz", "wt", encoding="utf-8") as file:
        file.write(text)
    assert Source(tmp_path / f"{name}.gz", "").form == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ('{"colour": "red"}', "It has: colour."),
        ("a,b\n1,2\n", "It has: a, b."),
        ("amount_value,line_item\n1,x\n", "Export the usage"),
        ("[1, 2", "is no JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_none_of_them_is_refused(
    text: str, words: str, cli: Callable[..., Any], logged_in: Server, tmp_path: Path
) -> None:
    (tmp_path / "x").write_text(text)
    code, _, err = cli("import", str(tmp_path / "x"))
    assert (code, err.count("\n")) == (2, 1)
    assert words in err
    assert logged_in.requests == []


def test_an_import_goes_on_where_the_server_was_lost(
    cli: Callable[..., Any], logged_in: Server, tmp_path: Path, home: Path
) -> None:
    file = tmp_path / "costs.jsonl"
    file.write_text(lines(*(cost(number) for number in range(1_200))))
    logged_in.routes[f"POST {COSTS}"] = [
        None,
        answer({"detail": "The key was revoked", "code": "forbidden"}, 403),
    ]
    code, _, err = cli("import", str(file))
    assert code == 2
    assert "Stopped after 500 of 1,200 records" in err
    (state,) = (home / "config" / "imports").glob("*.json")
    assert state.stat().st_mode & 0o777 == 0o600
    assert json.loads(state.read_text())["done"] == 500

    code, out, err = cli("import", str(file))
    assert (code, out) == (0, "1,200 records read: 1,200 stored.\n")
    assert "Going on after 500 records" in err
    sent = [len(request["body"]["costs"]) for request in logged_in.asked(COSTS)]
    assert sent == [500, 500, 500, 200]
    assert len(logged_in.stored) == 1_200
    assert not state.exists()
    assert cli("import", str(file))[1] == "1,200 records read: 1,200 already there.\n"


def test_another_project_is_another_import(
    cli: Callable[..., Any], logged_in: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "costs.jsonl"
    file.write_text(lines(*(cost(number) for number in range(600))))
    logged_in.routes[f"POST {COSTS}"] = [None, answer({"detail": "no", "code": "forbidden"}, 403)]
    cli("import", str(file))
    monkeypatch.setenv("LLMLAB_PROJECT", "other")
    cli("import", str(file))
    assert (
        sum(len(one["body"]["costs"]) for one in logged_in.asked("/api/v1/projects/other/costs"))
        == 600
    )


def test_busy_servers_are_waited_for(
    cli: Callable[..., Any], logged_in: Server, tmp_path: Path
) -> None:
    (tmp_path / "c.jsonl").write_text(lines(cost(1)))
    logged_in.routes[f"POST {COSTS}"] = [
        answer({"detail": "busy", "code": "busy"}, 503, Retry_After="0"),
        None,
    ]
    assert cli("import", str(tmp_path / "c.jsonl"))[:2] == (0, "1 records read: 1 stored.\n")


def test_what_is_too_large_is_halved(
    cli: Callable[..., Any], logged_in: Server, tmp_path: Path
) -> None:
    logged_in.most = 7
    (tmp_path / "c.jsonl").write_text(lines(*(cost(number) for number in range(30))))
    assert cli("import", str(tmp_path / "c.jsonl"))[1] == "30 records read: 30 stored.\n"
    logged_in.most = 0
    code, out, err = cli("import", str(tmp_path / "c.jsonl"))
    assert (code, out) == (1, "30 records read: 30 refused.\n")
    assert "line 30: too many" in err


def test_refused_rows_have_their_line_and_reason(
    cli: Callable[..., Any], logged_in: Server, tmp_path: Path
) -> None:
    logged_in.refuse = lambda item: "it is too old" if item["id"] == "c-2" else ""
    (tmp_path / "c.jsonl").write_text(
        lines(cost(1)) + "{broken\n\n" + lines(cost(2), "text", {"a": 1}, cost(3))
    )
    code, out, err = cli("import", str(tmp_path / "c.jsonl"), "--json")
    told = json.loads(out)
    assert (code, told["records"], told["stored"], told["rejected"]) == (1, 6, 2, 4)
    assert [one["line"] for one in told["rejections"]] == [2, 4, 5, 6]
    assert told["rejections"][0]["reason"].startswith("it is no JSON")
    assert told["rejections"][1]["reason"] == "it is too old"
    assert err.startswith("Reading c.jsonl")


def test_refused_spans_of_otlp_are_found_by_halves(
    cli: Callable[..., Any], logged_in: Server, tmp_path: Path
) -> None:
    """The answer names two of five: the others are found by sending less at once."""
    logged_in.refuse = lambda span: f"bad {span['spanId']}" if span["spanId"] in "13579" else ""
    documents = [
        {
            "resourceSpans": [
                {"resource": {"r": number}, "scopeSpans": [{"spans": [{"spanId": str(number)}]}]}
            ]
        }
        for number in range(10)
    ]
    (tmp_path / "o.jsonl").write_text(lines(*documents))
    code, out, err = cli("import", str(tmp_path / "o.jsonl"))
    assert (code, out) == (1, "10 records read: 5 accepted (new or already there), 5 refused.\n")
    for number in (1, 3, 5, 7, 9):
        assert f"line {number + 1}: span {number}: bad {number}\n" in err
    assert len(logged_in.stored) == 5


def test_spans_of_one_resource_share_it_again(logged_in: Server, cli: Any, tmp_path: Path) -> None:
    spans = [{"spanId": str(number)} for number in range(3)]
    body = {
        "resourceSpans": [
            {"resource": {"a": 1}, "scopeSpans": [{"scope": {"name": "x"}, "spans": spans}]}
        ]
    }
    (tmp_path / "o.json").write_text(json.dumps(body))
    cli("import", str(tmp_path / "o.json"))
    assert logged_in.asked("/v1/traces")[0]["body"] == body


def test_a_trace_of_many_steps_is_sent_in_parts(
    logged_in: Server, cli: Any, tmp_path: Path
) -> None:
    steps = [{"id": str(number)} for number in range(2_500)]
    (tmp_path / "t.jsonl").write_text(lines({"trace_id": "t", "name": "big", "steps": steps}))
    assert cli("import", str(tmp_path / "t.jsonl"))[0] == 0
    parts = [item for request in logged_in.asked(TRACES) for item in request["body"]["traces"]]
    assert [len(part["steps"]) for part in parts] == [1_000, 1_000, 500]
    assert {part["name"] for part in parts} == {"big"}


def test_litellm_rows_become_cost_records(logged_in: Server, cli: Any, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(csv_text(LITELLM, {**LITELLM, "request_id": "has/slash"}))
    assert cli("import", str(tmp_path / "s.csv"))[0] == 0
    first, second = logged_in.asked(COSTS)[0]["body"]["costs"]
    assert first == {
        "id": "r-1", "occurred_at": "2026-11-21T09:00:00Z", "provider": "azure", "model": "text-embedding-3-small",
        "operation": "embeddings", "latency_ms": 1000.0, "user": "u-1", "cost_usd": "0.00001", "input_tokens": 10,
        "output_tokens": 0, "usage_convention": "inclusive",
    }  # fmt: skip
    assert len(second["id"]) == 32


def test_openai_sums_become_as_many_records_of_the_same_sum(
    logged_in: Server, cli: Any, tmp_path: Path
) -> None:
    (tmp_path / "u.csv").write_text(
        csv_text(OPENAI, {**OPENAI, "num_model_requests": "5000", "input_tokens": "7"})
    )
    assert cli("import", str(tmp_path / "u.csv"))[0] == 0
    records = [item for request in logged_in.asked(COSTS) for item in request["body"]["costs"]]
    assert len(records) == 3 + 1_000
    assert [one["input_tokens"] for one in records[:3]] == [4, 3, 3]
    assert [one.get("cache_read_input_tokens", 0) for one in records[:3]] == [1, 1, 0]
    assert sum(one["input_tokens"] for one in records[3:]) == 7
    assert records[0]["occurred_at"] == "2026-11-21T09:00:00Z"
    assert len({one["id"] for one in records}) == 1_003


def test_steps_take_over_what_their_trace_says_in_another_file(
    logged_in: Server, cli: Any, tmp_path: Path
) -> None:
    trace = {
        "trace_id": "t", "name": "agent", "status": "ok", "started_at": "2026-11-21T09:00:00Z", "unpriced_calls": 0,
        "steps": 1, "user": "u", "session": "", "tags": ["gold"], "metadata": {"k": 1},
    }  # fmt: skip
    (tmp_path / "spans.jsonl").write_text(lines(SPAN))
    (tmp_path / "traces.jsonl").write_text(lines(trace))
    assert cli("import", str(tmp_path / "spans.jsonl"), str(tmp_path / "traces.jsonl"))[0] == 0
    (item,) = logged_in.asked(TRACES)[0]["body"]["traces"]
    assert (item["root_id"], item["name"], item["user"], item["tags"]) == (
        "s",
        "agent",
        "u",
        ["gold"],
    )
    assert item["steps"][0]["metadata"] == {"k": 1}
    assert item["steps"][0]["cost_usd"] == "0.1"


def test_a_cost_record_belongs_to_its_step_when_that_is_there(
    logged_in: Server, cli: Any, tmp_path: Path
) -> None:
    row = {
        "record_id": "t/s", "trace_id": "t", "span_id": "s", "occurred_at": "2026-11-21T09:00:00Z", "model": "m",
        "service_tier": "flex", "user_id": "u", "tags": ["gold"], "price_status": "priced", "cost_usd": "0.1",
        "usage_extra": {"processing": "batch", "w1": 7}, "is_error": False, "input_tokens": 10,
    }  # fmt: skip
    alone = {**row, "record_id": "t/other", "span_id": "other"}
    (tmp_path / "costs.jsonl").write_text(lines(row, alone))
    (tmp_path / "spans.jsonl").write_text(lines(SPAN))
    assert cli("import", str(tmp_path / "costs.jsonl"), str(tmp_path / "spans.jsonl"))[0] == 0
    (item,) = logged_in.asked(TRACES)[0]["body"]["traces"]
    said = {
        "service_tier": "flex",
        "processing": "batch",
        "cache_write_1h_input_tokens": 7,
        "user": "u",
    }
    assert said.items() <= item["steps"][0].items()
    (record,) = logged_in.asked(COSTS)[0]["body"]["costs"]
    assert said.items() <= record.items()
    assert "/" not in record["id"]


def test_langfuse_rows_of_blob_storage_are_read(
    logged_in: Server, cli: Any, tmp_path: Path
) -> None:
    row = {
        "id": "o", "trace_id": "t", "type": "GENERATION", "start_time": "2026-11-21 09:00:00.5",
        "end_time": "2026-11-21 09:00:02", "parent_observation_id": None, "provided_model_name": "claude-x",
        "usage_details": '{"input": 5, "output": 2}', "total_cost": 0.00012345678901234567, "prompt_name": "p",
        "prompt_version": 3, "level": "WARNING", "status_message": "slow",
    }  # fmt: skip
    (tmp_path / "o.jsonl").write_text(
        lines(row).replace("0.00012345678901234567", "0.00012345678901234567")
    )
    assert cli("import", str(tmp_path / "o.jsonl"))[0] == 0
    (item,) = logged_in.asked(TRACES)[0]["body"]["traces"]
    assert item == {
        "trace_id": "t",
        "root_id": "o",
        "steps": [
            {
                "id": "o", "type": "generation", "status": "ok", "started_at": "2026-11-21T09:00:00.500000Z",
                "ended_at": "2026-11-21T09:00:02Z", "prompt_version": "p:3", "model": "claude-x", "input_tokens": 5,
                "output_tokens": 2, "usage_convention": "inclusive", "cost_usd": "0.00012345678901234567",
                "attributes": {"level": "WARNING", "status_message": "slow"},
            }
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"usageDetails": {"input": 6, "input_cached_tokens": 4, "output": 1, "total": 11}},
            (10, 1, 4),
        ),
        (
            {"usageDetails": {"input": 10, "input_cached_tokens": 4, "output": 1, "total": 11}},
            (10, 1, 4),
        ),
        ({"usageDetails": {"input": 3, "output": 1, "output_reasoning_tokens": 2}}, (3, 3, None)),
        ({"usage": {"input": 3, "output": 1, "total": 4, "unit": "TOKENS"}}, (3, 1, None)),
        ({"usage": {"input": 3, "output": 1, "unit": "CHARACTERS"}}, (None, None, None)),
        ({"promptTokens": 3, "completionTokens": 1, "totalTokens": 4}, (3, 1, None)),
        ({"promptTokens": 0, "completionTokens": 0, "totalTokens": 0}, (None, None, None)),
    ],
)
def test_langfuse_counts(row: dict[str, Any], expected: tuple[Any, ...]) -> None:
    found = langfuse_usage.counts_of(row)
    assert (
        tuple(
            found.get(name) for name in ("input_tokens", "output_tokens", "cache_read_input_tokens")
        )
        == expected
    )
