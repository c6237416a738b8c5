"""Real calls to the simulated providers: OpenAI's through its own package, Anthropic's over HTTP.

The anthropic package would double this process's memory, so its stream is read by hand here.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import httpx2
from openai import APIError, OpenAI

LOOKUP = {
    "name": "lookup_order",
    "description": "Finds an order by its number",
    "parameters": {"type": "object", "properties": {"order": {"type": "string"}}},
}


@dataclass
class Answer:
    """What a model said and what it counted, in LLMLab's field names."""

    model: str
    text: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def said(self) -> Any:
        """The output as a step shows it."""
        if not self.tool_calls:
            return self.text
        return {"role": "assistant", "tool_calls": self.tool_calls}


class ProviderError(Exception):
    """The provider said no; `kind` is the error's class name."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Providers:
    """Clients for one simulator."""

    def __init__(self, simulator_url: str) -> None:
        self._http = httpx2.Client(
            base_url=simulator_url, headers={"x-api-key": "demo"}, timeout=60.0
        )
        self._openai = OpenAI(base_url=f"{simulator_url}/v1", api_key="demo", max_retries=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self._openai.close()

    def are_up(self) -> bool:
        """Whether the simulator answers."""
        try:
            return self._http.get("/healthz").is_success
        except httpx2.TransportError:
            return False

    def embed(self, text: str) -> int:
        """Embeds a text; returns the tokens it had."""
        made = self._openai.embeddings.create(model="text-embedding-3-small", input=text)
        return made.usage.prompt_tokens

    def chat(
        self,
        model: str,
        messages: list[dict[str, Any]],
        *,
        with_tools: bool,
        first: Callable[[], None],
    ) -> Answer:
        """Streams an answer; calls `first` when the first token arrives. Raises ProviderError."""
        ask = self._anthropic if model.startswith("claude") else self._chat_completion
        answer, is_waiting = Answer(model), True
        try:
            for piece in ask(answer, model, messages, with_tools):
                if piece and is_waiting:
                    is_waiting = False
                    first()
        except httpx2.TransportError as error:
            raise ProviderError(type(error).__name__, str(error)) from error
        return answer

    def _chat_completion(
        self, answer: Answer, model: str, messages: list[Any], with_tools: bool
    ) -> Iterator[str]:
        options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
        if with_tools:
            options["tools"] = [{"type": "function", "function": LOOKUP}]
        try:
            stream = self._openai.chat.completions.create(model=model, messages=messages, **options)
            for chunk in stream:
                answer.model = chunk.model
                if chunk.usage:
                    answer.counts = _openai_counts(chunk.usage)
                for choice in chunk.choices:
                    answer.finish_reason = choice.finish_reason or answer.finish_reason
                    yield self._take(answer, choice.delta)
        except APIError as error:
            raise ProviderError(type(error).__name__, error.message) from error

    @staticmethod
    def _take(answer: Answer, delta: Any) -> str:
        answer.text += delta.content or ""
        piece = delta.content or ""
        for call in delta.tool_calls or ():
            if call.function.name:
                answer.tool_calls.append({"name": call.function.name, "arguments": ""})
            answer.tool_calls[-1]["arguments"] += call.function.arguments or ""
            piece += call.function.arguments or ""
        return piece

    def _anthropic(
        self, answer: Answer, model: str, messages: list[Any], with_tools: bool
    ) -> Iterator[str]:
        system = [
            {"type": "text", "text": item["content"], "cache_control": {"type": "ephemeral"}}
            for item in messages
            if item["role"] == "system"
        ]
        # A tool's result travels as text here; one made-up turn each keeps the roles alternating.
        turns = [item for item in messages if item["role"] in ("user", "assistant")]
        body: dict[str, Any] = {
            "model": model, "max_tokens": 1024, "stream": True, "system": system, "messages": turns,
        }  # fmt: skip
        if with_tools:
            tool = {"name": LOOKUP["name"], "description": LOOKUP["description"]}
            body["tools"] = [{**tool, "input_schema": LOOKUP["parameters"]}]
        usage: dict[str, Any] = {}
        with self._http.stream("POST", "/v1/messages", json=body) as reply:
            if not reply.is_success:
                error = json.loads(reply.read())["error"]
                raise ProviderError(error["type"], error["message"])
            for line in reply.iter_lines():
                if line.startswith("data: "):
                    yield _take_event(answer, usage, json.loads(line[6:]))
        answer.counts = _anthropic_counts(usage)


def _take_event(answer: Answer, usage: dict[str, Any], event: dict[str, Any]) -> str:
    kind = event["type"]
    if kind == "message_start":
        usage.update(event["message"]["usage"])
    elif kind == "content_block_start" and event["content_block"]["type"] == "tool_use":
        answer.tool_calls.append({"name": event["content_block"]["name"], "arguments": ""})
    elif kind == "content_block_delta":
        piece = event["delta"].get("text") or event["delta"].get("partial_json") or ""
        if "text" in event["delta"]:
            answer.text += piece
        else:
            answer.tool_calls[-1]["arguments"] += piece
        return str(piece)
    elif kind == "message_delta":
        # Cumulative: replaces what message_start said, never adds to it.
        usage.update({key: value for key, value in event["usage"].items() if value is not None})
        answer.finish_reason = event["delta"]["stop_reason"]
    elif kind == "error":
        raise ProviderError(event["error"]["type"], event["error"]["message"])
    return ""


def _openai_counts(usage: Any) -> dict[str, int]:
    return {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "cache_read_input_tokens": usage.prompt_tokens_details.cached_tokens or 0,
        "reasoning_output_tokens": usage.completion_tokens_details.reasoning_tokens or 0,
    }


def _anthropic_counts(usage: dict[str, Any]) -> dict[str, int]:
    """Anthropic counts cached tokens apart; LLMLab's `input_tokens` is everything."""
    read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    return {
        "input_tokens": usage["input_tokens"] + read + written,
        "output_tokens": usage["output_tokens"],
        "cache_read_input_tokens": read,
        "cache_write_input_tokens": written,
    }
