"""Langfuse's batch door: every field of every event with every kind of wrong value, and bodies that are no batch."""

import gzip
import json
from datetime import datetime, timedelta
from typing import Any

from tests.traces.corpus.case import Case, iso, raw_json
from tests.traces.corpus.json_traces import NEVER_A_NUMBER, NEVER_A_TIME, NEVER_AN_ID

# Written into the body as they stand; no field of text, no object and no list may break on one.
ODD = {
    "nan": "NaN",
    "true": "true",
    "zero": "0",
    "2^200": str(2**200),
    "1e400": "1e400",
    "4301-digits": "9" * 4301,
    "list": "[[[]]]",
    "object": '{"a": {"b": {"c": NaN}}}',
    "nul": '"a\\u0000b"',
    "surrogate": '"\\ud800"',
    "rtl": '"\\u202eabc"',
    "empty": '""',
    "10k": '"' + "x" * 10_000 + '"',
    "nul-key": '{"\\u0000": "\\u0000", "\\ud800": 1, "' + "k" * 5_000 + '": 1}',
    "deep": "[" * 200 + "]" * 200,
    "many-keys": json.dumps({f"k{number}": number for number in range(2_000)}),
}
_TEXT = ("name", "userId", "sessionId", "release", "version", "environment", "tags")
_STEP = (*("name", "model", "level", "statusMessage", "version", "environment", "promptName"), *(
    "promptVersion", "usage", "usageDetails", "costDetails", "modelParameters", "type"))  # fmt: skip
_SAID = ("input", "output", "metadata")
# Fields that Langfuse lets hold anything: no value of theirs is refused.
_SCORE = ("name", "value", "dataType", "comment", "metadata", "environment", "sessionId")


def _event(now: datetime, kind: str, event_id: str = "bad", **body: Any) -> dict[str, Any]:
    return {"id": event_id, "type": kind, "timestamp": iso(now), "body": body}


def _good(now: datetime) -> dict[str, Any]:
    return _event(now, "generation-create", "good", id="good", traceId="t1", model="gpt-5-mini")


def _case(name: str, body: bytes, *statuses: int, **outcome: int) -> Case:
    return Case(
        name=f"langfuse/{name}",
        door="langfuse",
        body=body,
        statuses=statuses or (400,),
        stored=outcome.get("stored"),
        rejected=outcome.get("rejected"),
    )


def cases(now: datetime) -> list[Case]:
    return [*_fields(now), *_envelopes(now), *_orders(now), *_bodies(now), *_packed(now)]


def _beside(name: str, now: datetime, bad: Any, literal: str, **outcome: int) -> Case:
    """`bad` before a good event, `"@x@"` in it replaced by `literal`."""
    ahead = f'"{iso(now + timedelta(days=400))}"'
    body = raw_json({"batch": [bad, _good(now)]}, x=ahead if literal == "@ahead@" else literal)
    return _case(name, body, 207, **outcome)


def _fields(now: datetime) -> list[Case]:
    found = []
    step = {"id": "b1", "traceId": "t1"}
    refused = {"stored": 1, "rejected": 1}
    for name, literal in ODD.items():
        for field in (*_TEXT, *_SAID):
            bad = _event(now, "trace-create", **{"id": "t1", field: "@x@"})
            said = {"stored": 2, "rejected": 0} if field in _SAID else {}
            found.append(_beside(f"trace/{field}-{name}", now, bad, literal, **said))
        for field in (*_STEP, *_SAID):
            kind = "observation-create" if field == "type" else "generation-update"
            bad = _event(now, kind, **{**step, field: "@x@"})
            said = {"stored": 2, "rejected": 0} if field in _SAID else {}
            found.append(_beside(f"step/{field}-{name}", now, bad, literal, **said))
        for field in _SCORE:
            given = {"traceId": "t1", "name": "n", "value": 1, field: "@x@"}
            bad = _event(now, "score-create", **given)
            found.append(_beside(f"score/{field}-{name}", now, bad, literal))
    for name, literal in NEVER_A_NUMBER.items():
        for field in ("usage", "usageDetails", "costDetails"):
            bad = _event(
                now, "generation-update", **step, **{field: {"input": "@x@", "total": "@x@"}}
            )
            found.append(_beside(f"step/{field}.input-{name}", now, bad, literal))
    for name, literal in NEVER_A_TIME.items():
        for field in ("startTime", "endTime", "completionStartTime"):
            bad = _event(now, "span-create", **step, **{field: "@x@"})
            found.append(_beside(f"step/{field}-{name}", now, bad, literal, **refused))
        bad = _event(now, "trace-create", id="t1", timestamp="@x@")
        found.append(_beside(f"trace/timestamp-{name}", now, bad, literal, **refused))
        bad = {**_event(now, "span-create", **step), "timestamp": "@x@"}
        found.append(_beside(f"event/timestamp-{name}", now, bad, literal))
    for name, literal in NEVER_AN_ID.items():
        for field in ("id", "traceId", "parentObservationId"):
            bad = _event(now, "span-update", **{**step, field: "@x@"})
            # Without a trace an update waits; without a parent it is the trace's child.
            outcome = {} if name == "null" and field != "id" else refused
            found.append(_beside(f"step/{field}-{name}", now, bad, literal, **outcome))
    return found  # fmt: skip


def _envelopes(now: datetime) -> list[Case]:
    """What is around a body."""
    found = []
    whole = _event(now, "span-create", id="b1", traceId="t1")
    for name, literal in {**ODD, "null": "null"}.items():
        for field in ("id", "type", "body"):
            found.append(_beside(f"event/{field}-{name}", now, {**whole, field: "@x@"}, literal))
        found.append(_beside(f"event/whole-{name}", now, "@x@", literal, stored=1, rejected=1))
    for field in ("id", "type", "body"):
        bad = {key: value for key, value in whole.items() if key != field}
        found.append(_beside(f"event/no-{field}", now, bad, "0", stored=1, rejected=1))
    bad = {key: value for key, value in whole.items() if key != "timestamp"}
    found.append(_beside("event/no-timestamp", now, bad, "0", stored=2, rejected=0))
    unknown = {**whole, "type": "dataset-run-create"}
    found.append(_beside("event/unknown-type", now, unknown, "0", stored=1, rejected=1))
    return found  # fmt: skip


def _orders(now: datetime) -> list[Case]:
    """Events that repeat, contradict or precede one another: all are taken."""
    good, later = _good(now), now + timedelta(seconds=2)
    end = _event(later, "generation-update", "end", id="good", traceId="t1", endTime=iso(later))
    before = _event(
        later, "span-update", "e2", id="s1", traceId="t1", endTime=iso(now - timedelta(days=1))
    )
    batches = {
        "end-first": [end, good],
        "twice": [good, good],
        "one-id-two-events": [good, {**end, "id": "good"}],
        "ends-before-it-starts": [_event(now, "span-create", id="s1", traceId="t1"), before],
        "own-parent": [_event(now, "span-create", id="s1", traceId="t1", parentObservationId="s1")],
        "parents-in-a-ring": [
            _event(now, "span-create", "e1", id="r1", traceId="t1", parentObservationId="r2"),
            _event(now, "span-create", "e2", id="r2", traceId="t1", parentObservationId="r1"),
        ],
        "two-traces": [good, _event(later, "generation-update", "e2", id="good", traceId="t2")],
        "id-of-its-trace": [_event(now, "span-create", id="t1", traceId="t1")],
        "no-trace": [_event(now, "span-update", id="lonely")],
        "only-the-sdks-log": [_event(now, "sdk-log", log={"x": "\x00"})],
        "none": [],
    }
    return [
        _case(f"order/{name}", raw_json({"batch": events}), 207, stored=len(events), rejected=0)
        for name, events in batches.items()
    ]


def _bodies(now: datetime) -> list[Case]:
    good = raw_json({"batch": [_good(now)]})
    many = raw_json({"batch": [_good(now)] * 5_001})
    bodies = {
        "empty": b"",
        "blank": b"  \n",
        "scalar": b"1",
        "null": b"null",
        "list": b"[]",
        "text": b'"batch"',
        "no-batch": b"{}",
        "batch-null": b'{"batch": null}',
        "batch-text": b'{"batch": "x"}',
        "batch-object": b'{"batch": {}}',
        "batch-twice": b'{"batch": [], "batch": []}',
        "cut": good[:-5],
        "two-bodies": good + good,
        "trailing": good + b"x",
        "not-utf8": good.replace(b"gpt", b"\xff\xfe"),
        "utf16": good.decode().encode("utf-16"),
        "raw-nul": good.replace(b"gpt", b"g\x00t"),
        "only-nul": b"\x00" * 100,
        "deep": b'{"batch": ' + b"[" * 100_000,
        "deep-objects": b'{"batch": [' + b'{"body":' * 100_000,
        "protobuf": b"\x0a\x10\x12\x08",
        "form": b"batch=1&batch=2",
    }
    found = [_case(f"body/{name}", body) for name, body in bodies.items()]
    commas = b'{"batch": [' + b"[]," * 1_100_000 + b"1]}"
    return [
        *found,
        _case("body/5001", many, 413),
        _case("body/a-million-values", commas, 413),
        _case("body/bom", b"\xef\xbb\xbf" + good, 207, 400),
    ]


def _packed(now: datetime) -> list[Case]:
    packed = gzip.compress(raw_json({"batch": [_good(now)]}))
    sent = {
        "gzip": ("gzip", packed, 207),
        "truncated": ("gzip", packed[:-9], 400),
        "header-only": ("gzip", packed[:10], 400),
        "not-gzip": ("gzip", b'{"batch": []}', 400),
        "empty": ("gzip", b"", 400),
        "wrong-crc": ("gzip", packed[:-8] + bytes(4) + packed[-4:], 400),
        "twice": ("gzip, gzip", gzip.compress(packed), 415),
        "brotli": ("br", packed, 415),
    }
    return [
        Case(name=f"langfuse/packed/{name}", door="langfuse", body=body, encoding=encoding, statuses=(status,))
        for name, (encoding, body, status) in sent.items()
    ]  # fmt: skip
