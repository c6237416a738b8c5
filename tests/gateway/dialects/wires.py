"""Official clients whose server is a translator over a canned answer of a provider."""

from typing import Any

import anthropic
import httpx2
import msgspec
import openai

from gateway.dialects.facts import facts_of
from gateway.dialects.sse import Events, frame, frame_json
from gateway.dialects.translate import Translator, translator
from gateway.structs import Dialect

PATHS = {
    "/v1/chat/completions": Dialect.CHAT,
    "/v1/responses": Dialect.RESPONSES,
    "/v1/messages": Dialect.MESSAGES,
    "/v1/completions": Dialect.COMPLETIONS,
    "/v1/embeddings": Dialect.EMBEDDINGS,
}
DONE = frame(b"[DONE]")


class Wire:
    """One provider's canned answer; remembers what was asked of it and what the client was given."""

    def __init__(self, provider: Dialect, answer: bytes | list[bytes], *, kind: str = "") -> None:
        self.provider = provider
        self.answer = answer
        self.kind = kind
        self.model = "real"
        self.asked: dict[str, Any] = {}
        self.given = b""
        self.step = 0  # bytes per piece; 0: as they are
        self.breaks = False
        self.is_strict = True

    def openai(self) -> openai.OpenAI:
        client = httpx2.Client(transport=httpx2.MockTransport(self._serve))
        return openai.OpenAI(
            api_key="k",
            base_url="http://gateway/v1",
            http_client=client,
            max_retries=0,
            _strict_response_validation=self.is_strict,
        )

    def anthropic(self) -> anthropic.Anthropic:
        client = httpx2.Client(transport=httpx2.MockTransport(self._serve))
        return anthropic.Anthropic(
            api_key="k",
            base_url="http://gateway",
            http_client=client,
            max_retries=0,
            _strict_response_validation=self.is_strict,
        )

    def _serve(self, request: httpx2.Request) -> httpx2.Response:
        client = PATHS[request.url.path]
        facts = facts_of(client, request.content)
        made = translator(
            client, self.provider, wants_usage=facts.wants_usage, kind=self.kind, created=1
        )
        self.asked = made.request(facts.document, model=self.model)
        if isinstance(self.answer, bytes):
            self.given = made.answer(self.answer)
            return httpx2.Response(
                200, content=self.given, headers={"content-type": "application/json"}
            )
        self.given = self._streamed(made, b"".join(self.answer))
        return httpx2.Response(
            200, content=self.given, headers={"content-type": "text/event-stream"}
        )

    def _streamed(self, made: Translator, stream: bytes) -> bytes:
        events, step = Events(), self.step or len(stream) or 1
        found = [
            event
            for at in range(0, len(stream), step)
            for event in events.feed(stream[at : at + step])
        ]
        given = b"".join(made.event(event) for event in [*found, *events.end()])
        if self.breaks:
            return given + made.fail(status=502, code="provider_gone", message="It broke.")
        return given + made.end()


# --- What providers send


def chat_answer(message: dict[str, Any], finish: str = "stop", **rest: Any) -> bytes:
    message = {"role": "assistant", "content": None, "refusal": None, **message}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    head = {"id": "c1", "object": "chat.completion", "created": 7, "model": "gpt-x"}
    return msgspec.json.encode({**head, "choices": [choice], "usage": CHAT_USAGE, **rest})


CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 40,
    "total_tokens": 140,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 15},
}


def chat_stream(
    *deltas: dict[str, Any], finish: str | None = "stop", usage: Any = CHAT_USAGE
) -> list[bytes]:
    head = {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "gpt-x"}

    def chunk(delta: dict[str, Any], end: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}
        return frame_json({**head, "choices": [choice], "usage": None})

    made = [chunk({"role": "assistant", "content": ""})]
    made += [chunk(delta) for delta in deltas]
    made += [chunk({}, finish)] if finish else []
    made += [frame_json({**head, "choices": [], "usage": usage})] if usage else []
    return [*made, DONE]


def chat_call(index: int, name: str, function: str, arguments: str) -> dict[str, Any]:
    function_part = {"name": function, "arguments": arguments}
    return {"index": index, "id": name, "type": "function", "function": function_part}


MESSAGE_USAGE = {
    "input_tokens": 30,
    "cache_creation_input_tokens": 10,
    "cache_read_input_tokens": 60,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 40,
    "output_tokens_details": {"thinking_tokens": 15},
    "service_tier": "standard",
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "stop_sequence": None,
}


def message(content: list[dict[str, Any]], stop: str = "end_turn", **rest: Any) -> bytes:
    return msgspec.json.encode(
        {**MESSAGE, "content": content, "stop_reason": stop, "usage": MESSAGE_USAGE, **rest}
    )


def message_stream(
    content: list[dict[str, Any]], stop: str = "end_turn", **ended: Any
) -> list[bytes]:
    first = {**MESSAGE_USAGE, "output_tokens": 1, "output_tokens_details": None}
    opening: dict[str, Any] = {**MESSAGE, "content": [], "stop_reason": None, "usage": first}
    made = [_event("message_start", message=opening), _event("ping")]
    for index, block in enumerate(content):
        start, deltas = _block(block)
        made.append(_event("content_block_start", index=index, content_block=start))
        made += [_event("content_block_delta", index=index, delta=delta) for delta in deltas]
        made.append(_event("content_block_stop", index=index))
    counted = {"output_tokens": 40, "output_tokens_details": {"thinking_tokens": 15}}
    delta = {"stop_reason": stop, "stop_sequence": None, **ended}
    return [*made, _event("message_delta", delta=delta, usage=counted), _event("message_stop")]


def _event(kind: str, **data: Any) -> bytes:
    return frame_json({"type": kind, **data}, kind)


def _block(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if block["type"] == "text":
        halves = (block["text"][:3], block["text"][3:])
        return {**block, "text": ""}, [{"type": "text_delta", "text": half} for half in halves]
    if block["type"] == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}, [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    text = msgspec.json.encode(block["input"]).decode() if block["input"] else ""
    pieces = [text[:4], text[4:]] if text else []
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces]]
    return {**block, "input": {}}, deltas
