"""Files as other tools write them, with calls of this week: 1,000 tokens in and 100 out of gpt-5-mini cost $0.00045."""

import csv
import datetime as dt
import io
import json
from typing import Any

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0) - dt.timedelta(hours=3)


def at(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def iso(seconds: float) -> str:
    return at(seconds).isoformat().replace("+00:00", "Z")


def csv_text(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def litellm_rows() -> list[dict[str, Any]]:
    """As `LiteLLM_SpendLogs` is dumped: two calls, one cache hit, one failure."""

    def row(number: int, **fields: Any) -> dict[str, Any]:
        start = at(number * 10).strftime("%Y-%m-%d %H:%M:%S.123")
        return {
            "request_id": f"chatcmpl-{number}", "call_type": "acompletion", "api_key": "88dc28", "spend": "4.5e-04",
            "total_tokens": "1100", "prompt_tokens": "1000", "completion_tokens": "100", "startTime": start,
            "endTime": at(number * 10 + 1).strftime("%Y-%m-%d %H:%M:%S.123"), "completionStartTime": start,
            "model": "openai/gpt-5-mini", "custom_llm_provider": "openai", "user": "u-1", "end_user": "",
            "metadata": json.dumps({"user_api_key_alias": "support"}), "cache_hit": "False",
            "request_tags": '["gold"]', "status": "success", **fields,
        }  # fmt: skip

    failed = row(
        4, status="failure", spend="0", prompt_tokens="0", completion_tokens="0", total_tokens="0"
    )
    return [row(1), row(2), row(3, cache_hit="True", spend="0"), failed]


def openai_rows() -> list[dict[str, Any]]:
    """As the usage page exports it: sums per bucket. Three requests, then a batch of two at half the price."""
    bucket = {
        "start_time": str(int(NOW.timestamp())), "end_time": str(int(at(3600).timestamp())),
        "start_time_iso": iso(0), "end_time_iso": iso(3600), "num_model_requests": "3", "project_id": "proj_1",
        "user_id": "", "api_key_id": "key_1", "model": "gpt-5-mini-2025-08-07", "batch": "False",
        "service_tier": "default", "input_tokens": "3001", "output_tokens": "299", "input_cached_tokens": "0",
        "input_audio_tokens": "0", "output_audio_tokens": "0",
    }  # fmt: skip
    other = {
        **bucket,
        "num_model_requests": "2",
        "batch": "True",
        "input_tokens": "2000",
        "output_tokens": "200",
    }
    return [bucket, other]


LANGFUSE = json.dumps(
    [
        {
            "id": "lf-trace", "timestamp": iso(0), "name": "answer", "userId": "cus_1", "sessionId": "s-1",
            "tags": ["gold"], "environment": "production", "metadata": {"k": 1}, "input": "hi", "output": "ho",
            "observations": [
                {
                    "id": "lf-generation", "type": "GENERATION", "name": "plan", "startTime": iso(1),
                    "endTime": iso(2), "completionStartTime": at(1.25).isoformat(), "model": "gpt-5-mini",
                    "parentObservationId": None, "level": "DEFAULT",
                    "usageDetails": {"input": 600, "input_cached_tokens": 400, "output": 100, "total": 1100},
                    "costDetails": {"total": 0.00036}, "input": [{"role": "user", "content": "hi"}],
                },
                {
                    "id": "lf-tool", "type": "TOOL", "name": "search", "startTime": iso(2), "endTime": iso(3),
                    "parentObservationId": "lf-generation", "level": "ERROR", "statusMessage": "no index",
                },
            ],
            "scores": [
                {
                    "id": "lf-score", "name": "helpful", "value": 0.9, "dataType": "NUMERIC", "source": "API",
                    "timestamp": iso(4),
                }
            ],
        }
    ]
)  # fmt: skip

OTLP = json.dumps(
    {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
                "scopeSpans": [
                    {
                        "scope": {"name": "test"},
                        "spans": [
                            {
                                "traceId": "5b8efff798038103d269b633813fc60c", "spanId": span_id,
                                "name": "chat gpt-5-mini",
                                "startTimeUnixNano": str(int(at(1).timestamp()) * 10**9),
                                "endTimeUnixNano": str(int(at(2).timestamp()) * 10**9),
                                "attributes": [
                                    {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                                    {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
                                    {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-5-mini"}},
                                    {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1000"}},
                                    {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "100"}},
                                ],
                            }
                            for span_id in ("eee19b7ec3c1b174", "eee19b7ec3c1b175")
                        ],
                    }
                ],
            }
        ]
    }
)  # fmt: skip

ITEMS = "".join(
    json.dumps(line) + "\n"
    for line in (
        {
            "trace_id": "own-1", "name": "agent", "status": "ok", "started_at": iso(0), "ended_at": iso(2),
            "steps": [{"id": "own-2", "type": "llm", "model": "gpt-5-mini", "provider": "openai",
                       "started_at": iso(1), "latency_ms": 500, "input_tokens": 1000, "output_tokens": 100}],
        },
        {
            "id": "bare-1", "occurred_at": iso(0), "provider": "openai", "model": "gpt-5-mini",
            "input_tokens": 1000, "output_tokens": 100,
        },
    )
)  # fmt: skip


def told(stored: int = 0, accepted: int = 0) -> dict[str, int]:
    return {"stored": stored, "accepted": accepted, "rejected": 0}


# Name, text, (traces, steps, calls, cost), what the first import says.
ALL = [
    ("lines.jsonl", ITEMS, (1, 2, 2, "0.0009"), told(2)),
    ("otlp.json", OTLP, (1, 2, 2, "0.0009"), told(accepted=2)),
    ("langfuse.json", LANGFUSE, (1, 3, 1, "0.00036"), told(4)),
    ("spend.csv", csv_text(litellm_rows()), (0, 0, 4, "0.0009"), told(4)),
    ("usage.csv", csv_text(openai_rows()), (0, 0, 5, "0.00179825"), told(5)),
]
