"""What every client of the tests asks the simulated providers, with the official SDKs, whoever traces it.

Imported by programs that run on other packages than ours: nothing here but the SDK it is handed.
"""

from collections.abc import Callable
from typing import Any

QUESTION = "Where is my order 55180? It should have arrived on Monday."
SYSTEM = "You answer customers of a shop. " + "Be exact, kind and short. " * 300
TOOL = {
    "name": "lookup_order",
    "description": "Finds an order",
    "schema": {
        "type": "object",
        "properties": {"order": {"type": "string"}},
        "required": ["order"],
    },
}
Told = dict[str, Any]


def openai_scenarios(address: str, client_class: Any = None) -> dict[str, Callable[[], Told]]:
    """Chat completions: whole, streamed, with a tool, with a cached prompt, refused.

    `client_class` is what a tracing client puts in the place of openai's own.
    """
    from openai import NotFoundError, OpenAI

    client = (client_class or OpenAI)(
        base_url=f"{address}/v1", api_key="sk-simulated", max_retries=0
    )
    asked: list[Any] = [{"role": "user", "content": QUESTION}]

    def whole(model: str = "gpt-4o-mini", messages: Any = asked, **more: Any) -> Told:
        answer = client.chat.completions.create(model=model, messages=messages, **more)
        assert answer.usage
        return {
            "model": answer.model,
            "usage": answer.usage.model_dump(),
            "text": answer.choices[0].message.content,
        }

    def stream() -> Told:
        chunks = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=asked,
            stream=True,
            stream_options={"include_usage": True},
        )
        told: Told = {"text": ""}
        for chunk in chunks:
            told["model"] = chunk.model
            if chunk.choices:
                told["text"] += chunk.choices[0].delta.content or ""
            if chunk.usage:
                told["usage"] = chunk.usage.model_dump()
        return told

    def tool() -> Told:
        function = {"name": TOOL["name"], "parameters": TOOL["schema"]}
        return whole(tools=[{"type": "function", "function": function}])

    def refused() -> Told:
        try:
            whole(model="gpt-4o-mini+not_found")
        except NotFoundError as error:
            return {"error": str(error)}
        raise AssertionError("the simulator should have refused")

    return {
        "whole": whole,
        "stream": stream,
        "tool": tool,
        "reasoning": lambda: whole("gpt-5-mini"),
        "cached": lambda: whole(messages=[{"role": "system", "content": SYSTEM}, *asked]),
        "unknown": lambda: whole("acme-llama-70b"),
        "refused": refused,
    }


def anthropic_scenarios(address: str) -> dict[str, Callable[[], Told]]:
    """Messages: whole, streamed, with a tool, with a written cache, refused."""
    from anthropic import Anthropic, NotFoundError

    client = Anthropic(base_url=address, api_key="sk-ant-simulated", max_retries=0)
    asked: list[Any] = [{"role": "user", "content": QUESTION}]
    model = "claude-sonnet-4-5"

    def told(message: Any) -> Told:
        texts = [block.text for block in message.content if block.type == "text"]
        return {
            "model": message.model,
            "usage": message.usage.model_dump(),
            "text": texts[0] if texts else None,
        }

    def whole(model: str = model, **more: Any) -> Told:
        return told(client.messages.create(model=model, max_tokens=500, messages=asked, **more))

    def stream() -> Told:
        with client.messages.stream(model=model, max_tokens=500, messages=asked) as events:
            return told(events.get_final_message())

    def refused() -> Told:
        try:
            whole(f"{model}+not_found")
        except NotFoundError as error:
            return {"error": str(error)}
        raise AssertionError("the simulator should have refused")

    cached = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]
    return {
        "whole": whole,
        "stream": stream,
        "tool": lambda: whole(tools=[{"name": TOOL["name"], "input_schema": TOOL["schema"]}]),
        "cached": lambda: whole(system=cached),
        "refused": refused,
    }
