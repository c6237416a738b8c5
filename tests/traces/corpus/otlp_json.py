"""OTLP in JSON: its own mapping, its traps, and values no JSON writer produces."""

from datetime import datetime
from typing import Any

from tests.traces.corpus.case import Case, nanoseconds, raw_json

TRACE, SPAN, OTHER = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "eee19b7ec3c1b175"


def span(now: datetime, **changes: Any) -> dict[str, Any]:
    start = nanoseconds(now)
    item = {
        "traceId": TRACE,
        "spanId": SPAN,
        "parentSpanId": "",
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 1_500_000_000),
        "attributes": [],
    } | changes
    return {key: value for key, value in item.items() if value != "@absent@"}


def attribute(value: Any, key: str = "gen_ai.usage.input_tokens") -> dict[str, Any]:
    return {"key": key, "value": value}


def request(*spans: Any) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def _case(name: str, body: bytes, *statuses: int, **outcome: int) -> Case:
    return Case(
        name=f"otlp-json/{name}",
        door="otlp",
        body=body,
        statuses=statuses or (400,),
        stored=outcome.get("stored"),
        rejected=outcome.get("rejected"),
    )


def cases(now: datetime) -> list[Case]:
    good = span(now, spanId=OTHER)
    start = nanoseconds(now)
    hopeless = {
        "empty": b"",
        "spaces": b"   ",
        "null": b"null",
        "number": b"5",
        "text": b'"x"',
        "list": b"[]",
        "true": b"true",
        "bom": b"\xef\xbb\xbf" + raw_json(request(good)),
        "utf-16": raw_json(request(good)).decode().encode("utf-16"),
        "latin-1": b'{"resourceSpans":[],"x":"\xe9"}',
        "truncated": raw_json(request(good))[:-3],
        "trailing": raw_json(request(good)) + b"}",
        "two-documents": raw_json(request(good)) * 2,
        "single-quotes": b"{'resourceSpans': []}",
        "comment": b'{"resourceSpans": [] /* x */}',
        "deep-list": b"[" * 100_000,
        "deep-closed": b"[" * 50_000 + b"]" * 50_000,
        "deep-object": b'{"a":' * 100_000,
        "duplicate-key": b'{"resourceSpans":[],"resourceSpans":[]}',
        "protobuf-as-json": bytes([10, 4, 18, 2, 18, 0]),
        "resource-spans-object": b'{"resourceSpans":{}}',
        "resource-spans-text": b'{"resourceSpans":"x"}',
        "scope-spans-number": b'{"resourceSpans":[{"scopeSpans":5}]}',
        "spans-object": b'{"resourceSpans":[{"scopeSpans":[{"spans":{}}]}]}',
        "resource-null-item": b'{"resourceSpans":[null]}',
    }
    refused = {
        "trace-id-base64": {"traceId": "W47/95gDgQPSabYzgT/GDA=="},
        "trace-id-short": {"traceId": TRACE[:-2]},
        "trace-id-odd": {"traceId": TRACE[:-1]},
        "trace-id-zero": {"traceId": "0" * 32},
        "trace-id-number": {"traceId": 5},
        "trace-id-spaced": {"traceId": "5b 8e ff"},
        "trace-id-arabic": {"traceId": "٣" * 32},
        "trace-id-absent": {"traceId": "@absent@"},
        "trace-id-nul": {"traceId": "\x00" * 32},
        "span-id-zero": {"spanId": "0" * 16},
        "span-id-null": {"spanId": None},
        "span-id-list": {"spanId": []},
        "parent-id-short": {"parentSpanId": "ab"},
        "start-negative": {"startTimeUnixNano": "-1"},
        "start-text": {"startTimeUnixNano": "yesterday"},
        "start-2^64": {"startTimeUnixNano": str(2**64)},
        "start-bool": {"startTimeUnixNano": True},
        "start-float": {"startTimeUnixNano": 1.5},
        "start-absent": {"startTimeUnixNano": "@absent@"},
        "end-huge": {"endTimeUnixNano": str(2**64 - 1)},
        "attributes-object": {"attributes": {"a": 1}},
        "attribute-number": {"attributes": [5]},
        "attribute-key-number": {"attributes": [{"key": 5}]},
        "events-text": {"events": "x"},
    }
    kept = {
        "upper-case-ids": {"traceId": TRACE.upper(), "spanId": SPAN.upper()},
        "times-as-numbers": {"startTimeUnixNano": start, "endTimeUnixNano": start + 5},
        "kind-as-name": {"kind": "SPAN_KIND_CLIENT"},
        "kind-99": {"kind": 99},
        "status-as-name": {"status": {"code": "STATUS_CODE_ERROR"}},
        "status-text": {"status": "bad"},
        "unknown-fields": {"futureField": {"a": [1]}},
        "name-number": {"name": 5},
        "name-nul": {"name": "a\x00b"},
        "end-before-start": {"endTimeUnixNano": str(start - 10**9)},
        "end-absent": {"endTimeUnixNano": "@absent@"},
        "token-text": {"attributes": [attribute({"intValue": "12"})]},
        "token-number": {"attributes": [attribute({"intValue": 12})]},
        "token-negative": {"attributes": [attribute({"intValue": "-5"})]},
        "token-2^63": {"attributes": [attribute({"intValue": str(2**63)})]},
        "token-bool": {"attributes": [attribute({"boolValue": True})]},
        "token-nan-text": {"attributes": [attribute({"doubleValue": "NaN"})]},
        "value-without-key": {"attributes": [{"value": {}}]},
        "value-null": {"attributes": [attribute(None)]},
        "value-unknown-kind": {"attributes": [attribute({"futureValue": 5})]},
        "value-bytes": {"attributes": [attribute({"bytesValue": "AAE="})]},
        "value-array-object": {"attributes": [attribute({"arrayValue": {}})]},
        "value-map": {
            "attributes": [
                attribute({"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "1"}}]}})
            ]
        },
        "event-exception": {
            "events": [{"name": "exception", "timeUnixNano": str(start), "attributes": []}]
        },
        "event-number": {"events": [5]},
        "links": {"links": [{"traceId": TRACE, "spanId": SPAN}]},
        "link-odd": {"links": [{"traceId": "\ud800"}]},
    }
    literals = {
        "value-nan": "NaN",
        "value-infinity": "-Infinity",
        "value-1e400": "1e400",
        "value-4301-digits": "9" * 4301,
        "value-surrogate": '"\\ud800"',
        "value-escaped-nul": '"\\u0000"',
        "value-minus-zero": "-0",
        "value-1e-400": "1E-400",
    }
    found = [_case(f"body/{name}", body) for name, body in hopeless.items()]
    found += [_case("body/empty-object", b"{}", 200, stored=0, rejected=0)]
    for name, changes in refused.items():
        found.append(
            _case(
                f"span/{name}",
                raw_json(request(span(now, **changes), good)),
                200,
                stored=1,
                rejected=1,
            )
        )
    for name, item in {"null": None, "number": 5, "list": [], "text": "x"}.items():
        found.append(
            _case(f"span/is-{name}", raw_json(request(item, good)), 200, stored=1, rejected=1)
        )
    for name, changes in kept.items():
        found.append(
            _case(
                f"span/{name}",
                raw_json(request(span(now, **changes), good)),
                200,
                stored=2,
                rejected=0,
            )
        )
    for name, literal in literals.items():
        odd = span(
            now,
            attributes=[attribute({"doubleValue": "@x@"}), attribute({"stringValue": "@x@"}, "k")],
        )
        found.append(
            _case(
                f"span/{name}", raw_json(request(odd, good), x=literal), 200, stored=2, rejected=0
            )
        )
    snake = {
        "resource_spans": [
            {
                "scope_spans": [
                    {"spans": [{"trace_id": TRACE, "span_id": SPAN, "start_time_unix_nano": start}]}
                ]
            }
        ]
    }
    found.append(_case("body/snake-case", raw_json(snake), 200, stored=1, rejected=0))
    found.append(_case("body/1m-values", b'{"resourceSpans":[' + b"{}," * 1_000_001 + b"{}]}", 413))
    found.append(_case("body/5001-spans", raw_json(request(*[{}] * 5_001)), 413))
    return found
