"""What a program does with a provider's client, in every way the clients offer; run with each version of them.

`python scenarios.py openai http://simulator http://front` prints `{scenario: {"told": …, "steps": […]}}`. A scenario
whose feature a version does not have says `{"missing": …}`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from typing import Any

from kept import Kept, recording

HI: Any = [{"role": "user", "content": "Tell me about the harbour."}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
# How many steps a scenario ends with, where it is not one.
_STEPS = {"models": 0, "count_tokens": 0, "chat_stream_refused_options": 2}
CHAT, CLAUDE = "gpt-4o-mini", "claude-opus-5-5"


def _chunks(stream: Any) -> dict[str, Any]:
    seen = list(stream)
    usages = [chunk.usage for chunk in seen if getattr(chunk, "usage", None)]
    return {
        "text": "".join(
            choice.delta.content or "" for chunk in seen for choice in chunk.choices if choice.delta
        ),
        "usages": len(usages),
        "empty": sum(not chunk.choices for chunk in seen),
    }


def _raised(call: Any, **arguments: Any) -> dict[str, Any]:
    try:
        call(**arguments)
    except Exception as error:
        return {"raised": type(error).__name__}
    return {"raised": None}


class Clients:
    """Those made on the way, to be closed at the end."""

    def __init__(self) -> None:
        self._made: list[Any] = []

    def _keep(self, client: Any) -> Any:
        self._made.append(client)
        return client

    def _close(self) -> None:
        for client in self._made:
            client.close()


class OpenAIScenarios(Clients):
    """The openai client."""

    def __init__(self, base: str, front: str) -> None:
        import openai

        super().__init__()
        self.openai, self.base, self.front = openai, base, front
        self.client = self._keep(
            openai.OpenAI(api_key="sk-x", base_url=f"{base}/v1", max_retries=1)
        )
        self.create: Any = self.client.chat.completions.create

    def chat(self) -> Any:
        return self.create(model=CHAT, messages=HI, temperature=0.5).choices[0].message.content

    def chat_tools(self) -> Any:
        made = self.create(model=CHAT, messages=HI, tools=[TOOL])
        return made.choices[0].message.tool_calls[0].function.arguments

    def chat_raw(self) -> Any:
        raw = self.client.chat.completions.with_raw_response.create(model=CHAT, messages=HI)
        return raw.parse().choices[0].message.content

    def chat_streaming_response(self) -> Any:
        make = self.client.chat.completions.with_streaming_response.create
        with make(model=CHAT, messages=HI) as response:
            return response.parse().choices[0].message.content

    def chat_parse(self) -> Any:
        from pydantic import BaseModel

        class Answer(BaseModel):
            city: str

        home = self.client.chat.completions
        parse = home.parse if hasattr(home, "parse") else self.client.beta.chat.completions.parse
        return parse(model=CHAT, messages=HI, response_format=Answer).choices[0].message.content

    def chat_stream(self) -> Any:
        return _chunks(self.create(model=CHAT, messages=HI, stream=True))

    def chat_stream_usage(self) -> Any:
        options = {"include_usage": True}
        return _chunks(
            self.create(
                model=CHAT, messages=HI, stream=True, extra_body={"stream_options": options}
            )
        )

    def chat_stream_tools(self) -> Any:
        return _chunks(self.create(model=CHAT, messages=HI, stream=True, tools=[TOOL]))["text"]

    def chat_stream_helper(self) -> Any:
        home = self.client.chat.completions
        home = home if hasattr(home, "stream") else self.client.beta.chat.completions
        with home.stream(model=CHAT, messages=HI) as stream:
            for _ in stream:
                pass
            return stream.get_final_completion().choices[0].message.content

    def chat_stream_left(self) -> Any:
        for chunk in self.create(model=CHAT, messages=HI, stream=True):
            if chunk.choices[0].delta.content:
                return chunk.choices[0].delta.content
        return None

    def chat_stream_cut(self) -> Any:
        call = lambda: list(self.create(model=f"{CHAT}+cut", messages=HI, stream=True))  # noqa: E731
        return _raised(call)

    def error_retried(self) -> Any:
        return _raised(self.create, model=f"{CHAT}+error", messages=HI)

    def error_connection(self) -> Any:
        away = self._keep(
            self.openai.OpenAI(api_key="x", base_url="http://127.0.0.1:9/v1", max_retries=0)
        )
        return _raised(away.chat.completions.create, model=CHAT, messages=HI)

    def embeddings(self) -> Any:
        made = self.client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
        return len(made.data)

    def responses(self) -> Any:
        return self.client.responses.create(model="gpt-5-mini", input="Hi").output_text

    def responses_stream(self) -> Any:
        stream = self.client.responses.create(model="gpt-5-mini", input="Hi", stream=True)
        return [event.type for event in stream][-1]

    def responses_stream_helper(self) -> Any:
        with self.client.responses.stream(model="gpt-5-mini", input="Hi") as stream:
            for _ in stream:
                pass
            return stream.get_final_response().output_text

    def azure(self) -> Any:
        client = self._keep(
            self.openai.AzureOpenAI(
                api_key="x", api_version="2024-10-21", azure_endpoint=self.front
            )
        )
        return client.chat.completions.create(model="ours", messages=HI).choices[0].message.content

    def chat_stream_gzip(self) -> Any:
        client = self._keep(self.openai.OpenAI(api_key="x", base_url=f"{self.front}/gzip/v1"))
        return _chunks(client.chat.completions.create(model=CHAT, messages=HI, stream=True))

    def chat_stream_refused_options(self) -> Any:
        client = self._keep(
            self.openai.OpenAI(api_key="x", base_url=f"{self.front}/plain/v1", max_retries=0)
        )
        call = client.chat.completions.create
        told = [_chunks(call(model=CHAT, messages=HI, stream=True)) for _ in range(2)]
        return told

    def models(self) -> Any:
        return len(list(self.client.models.list())) > 0

    def async_chat(self) -> Any:
        return asyncio.run(self._async_chat())

    async def _async_chat(self) -> Any:
        async with self.openai.AsyncOpenAI(api_key="x", base_url=f"{self.base}/v1") as client:
            made = await client.chat.completions.create(model=CHAT, messages=HI)
            return made.choices[0].message.content

    def async_stream(self) -> Any:
        return asyncio.run(self._async_stream(leaves=False))

    def async_stream_left(self) -> Any:
        return asyncio.run(self._async_stream(leaves=True))

    async def _async_stream(self, *, leaves: bool) -> Any:
        async with self.openai.AsyncOpenAI(api_key="x", base_url=f"{self.base}/v1") as client:
            stream = await client.chat.completions.create(model=CHAT, messages=HI, stream=True)
            text = ""
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
                if leaves and text:
                    await stream.response.aclose()
                    await asyncio.sleep(0.3)  # the program goes on meanwhile
                    break
            return text


class AnthropicScenarios(Clients):
    """The anthropic client."""

    def __init__(self, base: str, front: str) -> None:
        import anthropic

        super().__init__()
        self.anthropic, self.base, self.front = anthropic, base, front
        self.client = self._keep(anthropic.Anthropic(api_key="sk-x", base_url=base, max_retries=1))
        self.ask: Any = {"model": CLAUDE, "max_tokens": 60, "messages": HI}

    def message(self) -> Any:
        return self.client.messages.create(**self.ask, system="Be short.").content[0].text

    def message_raw(self) -> Any:
        return self.client.messages.with_raw_response.create(**self.ask).parse().content[0].text

    def message_tools(self) -> Any:
        tool = {"name": "weather", "input_schema": TOOL["function"]["parameters"]}
        return self.client.messages.create(**self.ask, tools=[tool]).content[-1].input

    def message_stream(self) -> Any:
        return [event.type for event in self.client.messages.create(**self.ask, stream=True)][-1]

    def message_stream_helper(self) -> Any:
        with self.client.messages.stream(**self.ask) as stream:
            return "".join(stream.text_stream)

    def message_stream_left(self) -> Any:
        with self.client.messages.stream(**self.ask) as stream:
            for text in stream.text_stream:
                return text
        return None

    def message_stream_error(self) -> Any:
        ask = {**self.ask, "model": f"{CLAUDE}+stream_error"}
        return _raised(lambda: list(self.client.messages.create(**ask, stream=True)))

    def beta_message(self) -> Any:
        return self.client.beta.messages.create(**self.ask).content[0].text

    def _bedrock(self) -> Any:
        return self._keep(
            self.anthropic.AnthropicBedrock(
                aws_access_key="x", aws_secret_key="y", aws_region="us-east-1", base_url=self.front
            )
        )

    def bedrock(self) -> Any:
        ask = {**self.ask, "model": "anthropic.claude-v1:0"}
        return self._bedrock().messages.create(**ask).content[0].text

    def bedrock_stream(self) -> Any:
        ask = {**self.ask, "model": "anthropic.claude-v1:0"}
        return [event.type for event in self._bedrock().messages.create(**ask, stream=True)][-1]

    def vertex(self) -> Any:
        client = self._keep(
            self.anthropic.AnthropicVertex(
                region="eu", project_id="p", access_token="t", base_url=f"{self.front}/v1"
            )
        )
        return client.messages.create(**{**self.ask, "model": "claude@1"}).content[0].text

    def count_tokens(self) -> Any:
        ask = {"model": CLAUDE, "messages": HI}
        return self.client.messages.count_tokens(**ask).input_tokens > 0

    def error_retried(self) -> Any:
        return _raised(self.client.messages.create, **{**self.ask, "model": f"{CLAUDE}+overloaded"})

    def async_message(self) -> Any:
        return asyncio.run(self._async_message())

    async def _async_message(self) -> Any:
        async with self.anthropic.AsyncAnthropic(api_key="x", base_url=self.base) as client:
            return (await client.messages.create(**self.ask)).content[0].text

    def async_stream_helper(self) -> Any:
        return asyncio.run(self._async_stream_helper())

    async def _async_stream_helper(self) -> Any:
        client = self.anthropic.AsyncAnthropic(api_key="x", base_url=self.base)
        async with client, client.messages.stream(**self.ask) as stream:
            return "".join([text async for text in stream.text_stream])


def played(library: str, base: str, front: str) -> dict[str, Any]:
    """Every scenario this version can play: what the program was told and the steps recorded."""
    llm, kept = recording(library, drain_seconds=2)
    home = {"openai": OpenAIScenarios, "anthropic": AnthropicScenarios}[library](base, front)
    try:
        names = [name for name in vars(type(home)) if not name.startswith("_")]
        return {name: _played(home, name, kept) for name in names}
    finally:
        llm.uninstrument()
        home._close()


def _played(home: Any, name: str, kept: Kept) -> Any:
    try:
        told = getattr(home, name)()
    except (AttributeError, ImportError, TypeError) as error:  # not in this version, or needs more
        kept.taken(0)
        return {"missing": str(error)}
    gc.collect()  # a reader that just stops is noticed when its stream is collected
    return {"told": told, "steps": kept.taken(_STEPS.get(name, 1))}


if __name__ == "__main__":
    print(json.dumps(played(*sys.argv[1:4])))
