"""Makes the dictionary that payloads are compressed with: `python -m benchmarks.dictionary traces/payload_v1.dict`.

The shape of real clients' spans (tests/traces/corpus/real: attribute names, JSON, msgpack) with long texts cut, and
English's commonest words; nothing of the benchmark's traffic. A dictionary in use is never changed: stored payloads
need it. A better one gets another file and another form byte in `traces.packing`.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
import msgspec

ROOT = Path(__file__).resolve().parents[1]
WORDS = """
the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which one
you were all her she there would their we him been has when who will no more if out so said what up its about than into
them can only other new some could time these two may then do first any my now such like our over me even most made
after also did many before must through back years where much your way well down should because each just those people
how too little state good very make world still own see men work long get here between both life being under never day
same another know while last might us great old year off come since against go came right used take three please could
""".split()  # noqa: SIM905 - easier to read than quoted words
# What most payloads hold, nearest to where the compressor looks first.
COMMON: dict[str, Any] = {
    "input": [{"role": "user", "parts": [{"type": "text", "content": ""}]}],
    "output": [{"role": "assistant", "parts": [{"type": "text", "content": ""}], "finish_reason": "stop"}],
    "parameters": {"temperature": 0.2, "max_tokens": 1024, "top_p": 1.0},
    "attributes": {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-",
        "gen_ai.response.model": "claude-",
        "gen_ai.response.id": "resp_",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.tool.name": "",
        "gen_ai.tool.call.id": "call_",
        "gen_ai.conversation.id": "session-",
        "user.id": "user-",
        "server.address": "api.openai.com",
        "server.port": 443,
        "resource": {
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": "1.",
            "service.name": "",
            "service.version": "1.",
            "deployment.environment.name": "production",
        },
    },
    "scope_name": "opentelemetry.instrumentation.",
    "scope_version": "1.0",
}  # fmt: skip


def _cut(value: Any) -> Any:
    """The structure with long texts shortened: words are the senders' own."""
    if isinstance(value, dict):
        return {name: _cut(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value[:3]]
    return value[:16] if isinstance(value, str) and len(value) > 40 else value


def structures(encoder: "msgspec.msgpack.Encoder") -> list[bytes]:
    """The largest payload of each kind of step in each real body."""
    from traces.ingest.limits import Limits, Window
    from traces.ingest.otlp_decode import decode_otlp
    from traces.ingest.rows import payload_content

    now = datetime.now(UTC)
    window = Window.around(now, retention_days=36_500)
    largest: dict[tuple[str, str], bytes] = {}
    for path in sorted((ROOT / "tests/traces/corpus/real").glob("*.pb")):
        decoded = decode_otlp(
            path.read_bytes(), content_type="protobuf", now=now, limits=Limits(), window=window
        )
        for span in decoded.spans:
            key, packed = (path.name, span.kind), encoder.encode(_cut(payload_content(span)))
            largest[key] = max(largest.get(key, b""), packed, key=len)
    return list(largest.values())


def main() -> int:
    """Write the dictionary to the path given."""
    django.setup()
    path = Path(sys.argv[1])
    if path.exists():
        raise SystemExit(f"{path} exists: stored payloads may need it. Choose another name.")
    encoder = msgspec.msgpack.Encoder(decimal_format="string")
    parts = [*structures(encoder), " ".join(WORDS).encode(), encoder.encode(COMMON)]
    path.write_bytes(b"".join(parts))
    print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
