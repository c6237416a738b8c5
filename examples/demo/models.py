"""The models the company uses: how fast they are, and how their calls are counted."""

import random
from dataclasses import dataclass
from typing import Any

from examples.demo.story import Recorder, Step


@dataclass(frozen=True)
class Model:
    """A model: who serves it, seconds to its first token, tokens a second, its reasoning share."""

    name: str
    provider: str
    first_token: float
    speed: float
    reasoning: float = 0.0
    served: str = ""  # the dated snapshot that answers, where the provider names one

    @property
    def names(self) -> dict[str, str]:
        """The facts of a step that name the model."""
        found = {"model": self.served or self.name, "provider": self.provider}
        return {**found, "request_model": self.name} if self.served else found


SONNET = Model("claude-sonnet-5-5", "anthropic", 0.55, 78)
OLD_SONNET = Model("claude-sonnet-4-6", "anthropic", 0.8, 62)
OPUS = Model("claude-opus-5-5", "anthropic", 1.4, 48)
SOL = Model("gpt-6.1-sol", "openai", 0.9, 70, reasoning=0.45)
MINI = Model("gpt-5-mini", "openai", 0.35, 120, reasoning=0.3, served="gpt-5-mini-2025-08-07")
FLASH = Model("gemini-3.8-flash", "google", 0.3, 160, reasoning=0.2)
LLAMA = Model("acme-llama-70b", "acme", 0.25, 40)
EMBEDDING = Model("text-embedding-3-small", "openai", 0.06, 0)


def call(
    recorder: Recorder,
    model: Model,
    name: str,
    *,
    messages: list[dict[str, str]],
    says: Any,
    tokens: tuple[int, int],
    cached: int = 0,
    written: int = 0,
    slow: float = 1.0,
    **facts: Any,
) -> Step:
    """A model call. `tokens` are (whole input, visible output); reasoning comes on top."""
    chance = recorder.chance
    thought = int(tokens[1] * model.reasoning * chance.uniform(0.3, 2.2))
    output = tokens[1] + thought
    counts: dict[str, int] = {"input_tokens": tokens[0], "output_tokens": output}
    if cached:
        counts["cache_read_input_tokens"] = cached
    if written:
        counts["cache_write_input_tokens"] = written
    if thought:
        counts["reasoning_output_tokens"] = thought
    step = recorder.begin("llm", name, input=messages, **model.names)
    wait = (model.first_token + tokens[0] / 60_000) * chance.lognormvariate(0, 0.35) * slow
    recorder.clock += wait + output / (model.speed * chance.uniform(0.75, 1.25)) * slow
    if facts.pop("is_streamed", False):
        step.facts["first_token_ms"] = round(wait * 1000, 1)
    is_tool_call = isinstance(says, dict) and "tool_calls" in says
    step.facts |= {
        **counts,
        "operation": "chat",
        "finish_reason": "tool_calls" if is_tool_call else "stop",
        "parameters": {"temperature": 0.2, "max_tokens": 1024},
        **facts,
    }
    return recorder.end(step, output=says)


def failed_call(
    recorder: Recorder, model: Model, name: str, messages: list[dict[str, str]], kind: str
) -> Step:
    """A call the provider refused or broke: no usage."""
    chance = recorder.chance
    text = {
        "rate_limit": (
            "RateLimitError",
            f"Error code: 429 - Rate limit reached for {model.name}. Try again in {chance.randrange(2, 9)} s.",
        ),
        "overloaded": (
            "OverloadedError",
            f"Error code: 529 - The model is overloaded. request_id req_{chance.getrandbits(64):016x}",
        ),
        "timeout": ("APITimeoutError", "Request timed out after 30 s."),
    }[kind]
    seconds = (29.5, 30.5) if kind == "timeout" else (0.15, 0.6)
    error = {"type": text[0], "message": text[1]}
    names: dict[str, Any] = {**model.names}
    return recorder.leaf(
        "llm", name, *seconds, input=messages, error=error, operation="chat", **names
    )


def embed(recorder: Recorder, text: str) -> Step:
    """Embeds a search text."""
    step = recorder.begin("embedding", "embed-question", input=text, **EMBEDDING.names)
    recorder.pass_time(0.04, 0.18)
    step.facts |= {"input_tokens": max(6, len(text) // 4), "operation": "embeddings"}
    return recorder.end(step)


def cache_split(chance: random.Random, prefix: int) -> tuple[int, int]:
    """What of a shared prefix was read from the cache and what had to be written anew."""
    return (prefix, 0) if chance.random() < 0.9 else (0, prefix)
