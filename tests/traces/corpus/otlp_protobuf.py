"""OTLP in protobuf: broken outside, broken inside one span, odd ids, times and values."""

import random
import struct
from datetime import datetime, timedelta
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.traces.corpus.case import PROTOBUF, Case, nanoseconds

TRACE, SPAN = bytes(range(1, 17)), bytes(range(1, 9))
OTHER = bytes(range(11, 19))


def key_value(key: bytes, value: bytes) -> bytes:
    return field(1, key) + field(2, value)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def span_bytes(
    now: datetime, *, span_id: bytes = SPAN, trace_id: bytes = TRACE, **more: Any
) -> bytes:
    """A span; `start`, `end` in nanoseconds, `attributes` and `tail` as wire bytes."""
    start = more.get("start", nanoseconds(now))
    end = more.get("end", start + 1_000_000_000 if start < 2**63 else start)
    out = field(1, trace_id) + field(2, span_id) + field(4, more.get("parent", b""))
    out += field(5, more.get("name", b"chat")) + b"\x30\x03"
    out += b"\x39" + struct.pack("<Q", start % 2**64) + b"\x41" + struct.pack("<Q", end % 2**64)
    return out + more.get("attributes", b"") + more.get("tail", b"")


def request(*spans: bytes, resource: bytes = b"", scope: bytes = b"") -> bytes:
    scope_spans = field(1, scope) + b"".join(field(2, span) for span in spans)
    return field(1, field(1, resource) + field(2, scope_spans))


def good(now: datetime) -> bytes:
    """The neighbour: a whole call."""
    values = {b"gen_ai.operation.name": b"chat", b"gen_ai.provider.name": b"openai"}
    attributes = b"".join(
        field(9, key_value(key, field(1, value))) for key, value in values.items()
    )
    return span_bytes(now, span_id=OTHER, attributes=attributes)


def nested(levels: int, kind: int = 5) -> bytes:
    """An AnyValue of `levels` arrays (5) or one-key maps (6) inside each other."""
    value = field(1, b"core")
    for _ in range(levels):
        inner = field(1, value) if kind == 5 else field(1, field(1, b"k") + field(2, value))
        value = field(kind, inner)
    return value


def cases(now: datetime) -> list[Case]:
    found = [*_structure(now), *_spans(now), *_values(now), *_counts(now), *_noise(now)]
    for case in found:
        case.content_type = PROTOBUF
    return found


def _case(name: str, body: bytes, *statuses: int, **outcome: int) -> Case:
    return Case(
        name=f"otlp-pb/{name}",
        door="otlp",
        body=body,
        statuses=statuses or (400,),
        stored=outcome.get("stored"),
        rejected=outcome.get("rejected"),
    )


def _structure(now: datetime) -> list[Case]:
    whole = request(good(now), span_bytes(now))
    return [
        _case("empty", b"", 200, stored=0, rejected=0),
        _case("json-as-protobuf", b'{"resourceSpans": []}'),
        _case("text", b"hello world, this is not protobuf"),
        _case("html", b"<!doctype html><title>x</title>"),
        _case("zeros", bytes(64)),
        _case("ones", b"\xff" * 64),
        _case("trailing-byte", whole + b"\x0a"),
        _case("trailing-zero", whole + b"\x00"),
        _case(
            "trailing-unknown-field", whole + field(99, b"later version"), 200, stored=2, rejected=0
        ),
        _case("only-unknown-fields", field(7, b"x") + field(8, b"y")),
        _case("groups", b"\x0b\x0c"),
        _case("field-zero", b"\x02\x01x"),
        _case("length-beyond-body", b"\x0a\xff\xff\xff\xff\x0f"),
        _case("length-2^64", b"\x0a" + b"\xff" * 9 + b"\x01"),
        _case("eleven-byte-varint", b"\x0a" + b"\x80" * 10 + b"\x01"),
        _case("resource-as-varint", b"\x08\x01"),
        _case("resource-as-fixed64", b"\x09" + bytes(8)),
        _case(
            "scope-name-invalid-utf8",
            request(good(now), scope=field(1, b"\xff\xfe")),
            200,
            stored=1,
            rejected=0,
        ),
        _case(
            "resource-attribute-damaged", request(good(now), resource=field(1, b"\x0a\x7f")), 400
        ),
        *(_case(f"cut-at-{at}-of-32", whole[: len(whole) * at // 32]) for at in range(1, 32)),
    ]


def _spans(now: datetime) -> list[Case]:
    day = 86_400_000_000_000
    ns = nanoseconds(now)
    bad = {
        "trace-id-missing": span_bytes(now, trace_id=b""),
        "trace-id-15": span_bytes(now, trace_id=TRACE[:15]),
        "trace-id-17": span_bytes(now, trace_id=TRACE + b"x"),
        "trace-id-zero": span_bytes(now, trace_id=bytes(16)),
        "span-id-missing": span_bytes(now, span_id=b""),
        "span-id-7": span_bytes(now, span_id=SPAN[:7]),
        "span-id-9": span_bytes(now, span_id=SPAN + b"x"),
        "span-id-zero": span_bytes(now, span_id=bytes(8)),
        "parent-id-3": span_bytes(now, parent=b"abc"),
        "start-zero": span_bytes(now, start=0, end=ns),
        "start-and-end-zero": span_bytes(now, start=0, end=0),
        "start-uint64-max": span_bytes(now, start=2**64 - 1),
        "end-uint64-max": span_bytes(now, end=2**64 - 1),
        "start-2-years-ago": span_bytes(now, start=ns - 800 * day),
        "start-in-2-days": span_bytes(now, start=ns + 2 * day),
        "end-in-2-days": span_bytes(now, end=ns + 2 * day),
        "start-in-seconds": span_bytes(now, start=ns // 10**9),
        "start-in-milliseconds": span_bytes(now, start=ns // 10**6),
        "empty-span": b"",
        "attribute-cut": span_bytes(now, tail=b"\x4a\x7f\x0a"),
        "attribute-inner-cut": span_bytes(now, tail=field(9, b"\x0a\x09abc")),
        "group-inside": span_bytes(now, tail=b"\x4b\x4c"),
        "lone-tag": span_bytes(now, tail=b"\x4a"),
        "event-cut": span_bytes(now, tail=field(11, b"\x12\x20x")),
        "status-cut": span_bytes(now, tail=field(15, b"\x12\x20x")),
    }
    kept = {
        "end-before-start": span_bytes(now, end=ns - 5_000_000_000),
        "end-zero": span_bytes(now, end=0),
        "start-in-1-hour": span_bytes(now, start=ns + day // 24),
        "start-a-year-ago": span_bytes(now, start=ns - 300 * day),
        "parent-id-zero": span_bytes(now, parent=bytes(8)),
        "parent-is-itself": span_bytes(now, parent=SPAN),
        "parent-never-comes": span_bytes(now, parent=b"nowhere!"),
        "name-invalid-utf8": span_bytes(now, name=b"caf\xe9 \xff"),
        "name-nul": span_bytes(now, name=b"a\x00b"),
        "name-10k": span_bytes(now, name=b"n" * 10_000),
        "name-surrogate-bytes": span_bytes(now, name=b"\xed\xa0\x80"),
        "unknown-field-in-span": span_bytes(now, tail=field(200, b"new")),
        "attributes-as-varint": span_bytes(now, tail=b"\x48\x01"),
        "kind-999": span_bytes(now, tail=b"\x30\xe7\x07"),
        "status-code-99": span_bytes(now, tail=field(15, b"\x18\x63")),
        "event-time-zero": span_bytes(now, tail=field(11, field(2, b"exception"))),
        "link-ids-short": span_bytes(now, tail=field(13, field(1, b"x"))),
    }
    return [
        *(
            _case(f"span/{n}", request(b, good(now)), 200, stored=1, rejected=1)
            for n, b in bad.items()
        ),
        *(
            _case(f"span/{n}", request(b, good(now)), 200, stored=2, rejected=0)
            for n, b in kept.items()
        ),
        _case(
            "span/twice",
            request(span_bytes(now), span_bytes(now), good(now)),
            200,
            stored=2,
            rejected=0,
        ),
    ]


def _values(now: datetime) -> list[Case]:
    def attribute(value: bytes, key: bytes = b"gen_ai.usage.input_tokens") -> bytes:
        marker = field(9, key_value(b"gen_ai.operation.name", field(1, b"chat")))
        return span_bytes(now, attributes=marker + field(9, key_value(key, value)))

    def double(number: float) -> bytes:
        return b"\x21" + struct.pack("<d", number)

    values = {
        "tokens-text": field(1, b"12"),
        "tokens-text-bad": field(1, b"twelve"),
        "tokens-arabic": field(1, "١٢".encode()),
        "tokens-negative": b"\x18" + varint(2**64 - 5),
        "tokens-int64-max": b"\x18" + varint(2**63 - 1),
        "tokens-int64-min": b"\x18" + varint(2**63),
        "tokens-1e308": double(1e308),
        "tokens-nan": double(float("nan")),
        "tokens-inf": double(float("inf")),
        "tokens-half": double(0.5),
        "tokens-minus-zero": double(-0.0),
        "tokens-bool": b"\x10\x01",
        "tokens-bytes": field(7, b"\x00\x01"),
        "tokens-array": field(5, field(1, b"\x18\x05")),
        "tokens-empty": b"",
        "array-99-deep": nested(99),
        "array-101-deep": nested(101),
        "array-5000-deep": nested(5000),
        "map-99-deep": nested(99, 6),
        "map-5000-deep": nested(5000, 6),
        "map-100k-keys": field(6, b"".join(field(1, field(1, b"%d" % i)) for i in range(100_000))),
        "mixed-array": field(
            5, field(1, b"\x18\x05") + field(1, field(1, b"x")) + field(1, field(7, b"\xff"))
        ),
        "text-nul": field(1, b"a\x00b"),
        "text-invalid-utf8": field(1, b"\xc3\x28"),
        "text-2mb": field(1, b"x" * 2_000_000),
        "two-values": field(1, b"text") + b"\x18\x07",
        "unknown-kind-of-value": field(12, b"later"),
    }
    messages = {
        "messages-deep-json": b"[" * 50_000,
        "messages-bad-json": b'[{"role":',
        "messages-nul": b'[{"role":"\\u0000"}]',
        "messages-surrogate": b'[{"content":"\\ud800"}]',
        "messages-huge-number": b'[{"n":' + b"9" * 4301 + b"}]",
        "messages-number": b"5",
        "messages-1e400": b'[{"n":1e400}]',
        "messages-list-of-lists": b"[[[]],[null],[1]]",
    }
    keys = {
        "key-empty": b"",
        "key-nul": b"a\x00",
        "key-10k": b"k" * 10_000,
        "key-invalid-utf8": b"\xff",
        "key-proto": b"__proto__",
        "key-dunder": b"__class__",
        "key-flat-index": b"gen_ai.prompt.999999999999.role",
        "key-flat-deep": b"llm.input_messages.0." + b"a." * 5000,
        "key-flat-clash": b"gen_ai.prompt",
    }
    return [
        *(
            _case(f"value/{n}", request(attribute(v), good(now)), 200, stored=2, rejected=0)
            for n, v in values.items()
        ),
        *(
            _case(
                f"value/{n}",
                request(attribute(field(1, v), b"gen_ai.input.messages"), good(now)),
                200,
                stored=2,
                rejected=0,
            )
            for n, v in messages.items()
        ),
        *(
            _case(
                f"value/{n}",
                request(attribute(field(1, b"v"), k), good(now)),
                200,
                stored=2,
                rejected=0,
            )
            for n, k in keys.items()
        ),
    ]


def _counts(now: datetime) -> list[Case]:
    return [
        _case("count/2m-empty-spans", field(1, field(2, b"\x12\x00" * 2_000_000)), 413),
        _case("count/5001-spans", request(*(span_bytes(now) for _ in range(5_001))), 413),
        _case(
            "count/1m-empty-attributes",
            request(good(now), span_bytes(now, tail=b"\x4a\x00" * 1_000_000)),
            200,
            stored=1,
            rejected=1,
        ),
        _case(
            "count/10001-attributes",
            request(good(now), span_bytes(now, tail=b"\x4a\x00" * 10_001)),
            200,
            stored=1,
            rejected=1,
        ),
        _case(
            "count/400k-events",
            request(good(now), span_bytes(now, tail=b"\x5a\x00" * 400_000)),
            413,
        ),
        _case(
            "count/400k-links", request(good(now), span_bytes(now, tail=b"\x6a\x00" * 400_000)), 413
        ),
        _case(
            "count/1000-events",
            request(good(now), span_bytes(now, tail=b"\x5a\x00" * 1_000)),
            200,
            stored=2,
            rejected=0,
        ),
        _case(
            "count/1m-array-items",
            request(
                good(now),
                span_bytes(now, tail=field(9, key_value(b"k", field(5, b"\x0a\x00" * 1_000_000)))),
            ),
            413,
        ),
        _case("count/1m-scopes", field(1, b"\x12\x00" * 1_000_000), 413),
        _case("count/1m-resources", b"\x0a\x00" * 1_000_000, 200, stored=0, rejected=0),
    ]


def _noise(now: datetime) -> list[Case]:
    """Seeded noise: any clear answer will do, a crash will not."""
    chance = random.Random(20261121)
    whole = request(good(now), span_bytes(now + timedelta(seconds=1)))
    found = []
    for number in range(40):
        body = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        found.append(_case(f"noise/flipped-{number}", bytes(body), 200, 400, 413))
    for number in range(20):
        found.append(
            _case(f"noise/random-{number}", chance.randbytes(chance.randint(1, 400)), 200, 400, 413)
        )
    return found


def parsed(body: bytes) -> ExportTraceServiceRequest:
    """What the official parser makes of a body, for comparison."""
    return ExportTraceServiceRequest.FromString(body)
