"""What calls become: the shared files of `sdks/contract/calls`, and what those cannot say."""

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any, Optional

import pytest

from llmlab.capture import Call, step_of

CALLS = sorted((Path(__file__).resolve().parents[2] / "contract" / "calls").glob("*.json"))
Json = dict[str, Any]


def _bytes(part: Json) -> bytes:
    if "body" in part:
        return json.dumps(part["body"], ensure_ascii=False).encode()
    if "base64" in part:
        return base64.b64decode(part["base64"])
    return str(part.get("sse", part.get("text", ""))).encode()


def _call(case: Json, chunks: Optional[list[tuple[float, bytes]]] = None) -> Call:
    request, response = case["request"], case["response"]
    raw = [(0.0, _bytes(response))] if chunks is None else chunks
    return Call(
        request["method"],
        request["url"],
        _bytes(request),
        response["status"],
        response["headers"],
        raw,
    )


def _without_time(step: Optional[Json]) -> Optional[Json]:
    return step and {key: step[key] for key in step if key != "time_to_first_token_ms"}


def _named(name: str) -> Any:
    path = next(path for path in CALLS if path.stem == name)
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", CALLS, ids=lambda path: path.stem)
def test_call_becomes_its_step(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    assert _without_time(step_of(_call(case))) == case["step"]


@pytest.mark.parametrize("path", CALLS, ids=lambda path: path.stem)
def test_pieces_of_an_answer_may_end_anywhere(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    raw = _bytes(case["response"])
    chunks = [(float(at), raw[at : at + 1]) for at in range(len(raw))]
    assert _without_time(step_of(_call(case, chunks))) == case["step"]


STREAMS = [path for path in CALLS if '"first_token"' in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_first_token_is_the_event_that_brought_it(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    at, chunks = 0, []
    for part in case["response"]["sse"].replace("\r\n", "\n").split("\n\n"):
        chunks.append((float(at), (part + "\n\n").encode()))
        at += not part.startswith(":")
    waited = (step_of(_call(case, chunks)) or {}).get("time_to_first_token_ms")
    expected = case["first_token"]
    assert waited == (None if expected is None else 1000.0 * expected)


def test_time_to_first_token_is_rounded_to_a_tenth_of_a_millisecond() -> None:
    case = _named("chat_stream")
    call = _call(case, [(100.0123456, _bytes(case["response"]))])
    call.sent_at = 100.0
    assert (step_of(call) or {})["time_to_first_token_ms"] == 12.3


def _deflated(raw: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(raw) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", _deflated)],
    ids=["gzip", "zlib", "deflate"],
)
def test_encoded_answers_are_decoded(encoding: str, encode: Any) -> None:
    for name in ("chat_plain", "chat_stream", "error_openai"):
        case = _named(name)
        raw = encode(_bytes(case["response"]))
        case["response"]["headers"]["Content-Encoding"] = encoding
        call = _call(case, [(0.0, raw[:7]), (0.0, raw[7:])])
        assert _without_time(step_of(call)) == case["step"]


def test_a_broken_or_unknown_encoding_leaves_a_plain_step() -> None:
    for encoding, raw in (
        ("gzip", b"no gzip"),
        ("rot13", b"{}"),
        ("gzip", gzip.compress(b"{}")[:9]),
    ):
        case = _named("chat_plain")
        case["response"]["headers"]["content-encoding"] = encoding
        step = step_of(_call(case, [(0.0, raw)]))
        assert step is not None
        assert step["status"] == "ok"
        assert "output" not in step
        assert step["input"] == case["step"]["input"]


def test_a_broken_connection_is_an_error_with_the_names_of_its_exception() -> None:
    case = _named("chat_plain")
    request = case["request"]
    call = Call(
        "POST", request["url"], _bytes(request), error=("ConnectError", "refused"), retries=2
    )
    step = step_of(call)
    assert step is not None
    assert step["status"] == "error"
    assert step["error"] == {"type": "ConnectError", "message": "refused"}
    assert step["attributes"] == {"server.address": "api.openai.com", "retries": 2}
    assert step["model"] == "gpt-4o-mini"


def test_a_stream_whose_connection_broke_keeps_what_came() -> None:
    case = _named("chat_stream_cut")
    call = _call(case)
    call.error = ("RemoteProtocolError", "peer closed connection")
    step = step_of(call)
    assert step is not None
    assert step["output"] == {"role": "assistant", "content": "Hi the"}
    assert step["error"] == {"type": "RemoteProtocolError", "message": "peer closed connection"}
    assert "stopped_reading" not in step["attributes"]


NESTED = b'{"a":' * 20_000
NOISE = [
    b"", b"\x00\xff\xfe", b"null", b"[]", b'"text"', b"1e999", b"{}", b'{"choices": [[]]}', NESTED,
    b'{"choices": {"0": 1}, "usage": [], "error": "x", "content": 3, "output": {}, "data": 1}',
    b'{"error": {"type": {}, "code": 42, "message": ["m"]}}', b'{"model": "\\ud800"}',
    b'data: {"choices": [{"index": "x", "delta": {"tool_calls": [1, {"index": -1}]}}]}\n\n',
    b'data: {"type": "content_block_delta", "index": 4, "delta": {"type": "input_json_delta"}}\n\n',
    b'data: {"type": "content_block_start", "index": 1, "content_block": 7}\n\n'
    b'data: {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta"}}\n\n',
    b'data: {"type": "message_start", "message": 7}\n\ndata: {"type": "message_delta", "usage": 1}\n\n',
    b'data: {"type": "response.completed", "response": "x"}\n\ndata: {"type": 5}\n\n',
    b"\x00\x00\x00\x01" * 9, b"\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
]  # fmt: skip
PATHS = [
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/messages",
    "/v1/messages/batches", "/model/x/invoke-with-response-stream", "/models/x:rawPredict",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "kind", ["application/json", "text/event-stream", "application/vnd.amazon.eventstream"]
)
def test_noise_gives_a_plain_step_and_no_exception(path: str, kind: str) -> None:
    for status in (200, 500):
        for noise in NOISE:
            call = Call(
                "POST", f"http://h{path}", noise, status, {"content-type": kind}, [(0, noise)]
            )
            step = step_of(call)
            assert step is not None
            assert step["status"] in ("ok", "error")


@pytest.mark.parametrize("url", ["", "http://[bad/v1/messages", "/v1/messagesx", "http://h/"])
def test_other_addresses_are_not_recorded(url: str) -> None:
    assert step_of(Call("POST", url)) is None


@pytest.mark.parametrize(
    "vector", [[0.25, -1.0] * 3000, "AACAPwAAgL8" * 3000], ids=["list", "text"]
)
def test_vectors_are_counted_without_being_parsed(vector: Any) -> None:
    case = _named("embeddings")
    data = [{"object": "embedding", "index": n, "embedding": vector} for n in range(5)]
    case["response"]["body"]["data"] = data
    assert len(_bytes(case["response"])) > 65_536
    case["step"]["attributes"]["vectors"] = 5
    assert step_of(_call(case)) == case["step"]


def test_a_large_body_that_is_built_otherwise_is_read_as_it_is() -> None:
    for end in (b'"embedding"', b'"embedding": [1', b'"embedding": 7, "a": "embedding"}'):
        body = b'{"data": [1, 2], "pad": "' + b"x" * 70_000 + b'", ' + end
        call = _call(_named("embeddings"), [(0.0, body)])
        step = step_of(call)
        assert step is not None
        assert step["status"] == "ok"
        assert step["attributes"].get("vectors") == (2 if end.endswith(b"}") else None)
