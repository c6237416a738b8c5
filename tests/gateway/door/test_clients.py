"""Unmodified clients of OpenAI and Anthropic, through web process, line and worker to a provider and back."""

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from django.conf import settings
from pydantic import BaseModel
from redis import Redis

from gateway.models import CachedResponse, Connection, LLMRequest
from gateway.snapshot import touch
from tests.clients.run import run_client
from tests.factories.gateway import LimitFactory, RouteFactory
from tests.functional.server import Server
from tests.gateway.door.conftest import NOBODY, connect, make_key, until

MODEL, CLAUDE = "gpt-5.4-mini", "claude-opus-4-6"
HI: list[Any] = [{"role": "user", "content": "Say hello to the world"}]
ASKED: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
DOT = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


@pytest.fixture(scope="module")
def key(db: None, simulator: str, worker: Any) -> Any:
    return make_key(simulator)


@pytest.fixture(scope="module")
def gpt(gateway: Server, key: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key.raw, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def claude(gateway: Server, key: Any) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=key.raw, max_retries=0) as client:
        yield client


def test_openai_chat_whole_and_streamed(gpt: openai.OpenAI) -> None:
    raw = gpt.chat.completions.with_raw_response.create(model=MODEL, messages=HI)
    whole = raw.parse()
    assert whole.choices[0].message.content
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0
    assert whole._request_id == raw.headers["x-llmlab-request-id"]
    assert raw.headers["x-llmlab-model"] == MODEL
    assert Decimal(raw.headers["x-litellm-response-cost"]) > 0
    assert raw.headers["x-litellm-attempted-retries"] == "0"

    pieces = list(gpt.chat.completions.create(model=MODEL, messages=HI, stream=True))
    assert len(pieces) > 3
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert all(piece.usage is None for piece in pieces)

    options: Any = {"include_usage": True}
    *_, last = gpt.chat.completions.create(
        model=MODEL, messages=HI, stream=True, stream_options=options
    )
    assert last.usage is not None


def test_openai_responses_embeddings_and_models(gpt: openai.OpenAI) -> None:
    assert gpt.responses.create(model=MODEL, input="Say hello").output_text
    events = [event.type for event in gpt.responses.create(model=MODEL, input="Hi", stream=True)]
    assert (events[0], events[-1]) == ("response.created", "response.completed")

    vectors = gpt.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    assert len(vectors.data) == 2

    assert MODEL in {one.id for one in gpt.models.list()}


def test_anthropic_messages_whole_streamed_and_counted(claude: anthropic.Anthropic) -> None:
    whole = claude.messages.create(model=CLAUDE, max_tokens=50, messages=HI)
    assert whole.content[0].type == "text"
    assert whole.usage.output_tokens > 0

    with claude.messages.stream(model=CLAUDE, max_tokens=50, messages=HI) as stream:
        assert "".join(stream.text_stream)
        assert stream.get_final_message().usage.output_tokens > 0

    assert claude.messages.count_tokens(model=CLAUDE, messages=HI).input_tokens > 0
    assert claude.models.list().data


def test_tools_and_structured_output(gpt: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    shape = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    function: Any = {"name": "get_weather", "parameters": shape}
    said = gpt.chat.completions.create(
        model=MODEL, messages=ASKED, tools=[{"type": "function", "function": function}]
    )
    assert said.choices[0].message.tool_calls
    parsed = gpt.chat.completions.parse(model=MODEL, messages=ASKED, response_format=Forecast)
    assert isinstance(parsed.choices[0].message.parsed, Forecast)

    tool: Any = {"name": "get_weather", "input_schema": shape}
    with claude.messages.stream(
        model=CLAUDE, max_tokens=99, messages=ASKED, tools=[tool]
    ) as stream:
        final = stream.get_final_message()
    assert final.stop_reason == "tool_use"


def test_asynchronous_clients_all_at_once(gateway: Server, key: Any) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(
            base_url=f"{gateway.url}/v1", api_key=key.raw, max_retries=0
        ) as client:
            return await asyncio.gather(*(read(client, number) for number in range(30)))

    async def read(client: openai.AsyncOpenAI, number: int) -> str:
        asked: list[Any] = [{"role": "user", "content": f"Say {number}"}]
        stream = await client.chat.completions.create(model=MODEL, messages=asked, stream=True)
        return "".join([piece.choices[0].delta.content or "" async for piece in stream])

    assert all(asyncio.run(ask()))


def test_each_reaches_the_others_models(gpt: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    assert gpt.chat.completions.create(model=CLAUDE, messages=HI).choices[0].message.content
    said = claude.messages.create(model=MODEL, max_tokens=50, messages=HI)
    assert said.content[0].type == "text"
    # Nobody counts for OpenAI's models: the estimate does.
    assert claude.messages.count_tokens(model=MODEL, messages=HI).input_tokens > 0


class Forecast(BaseModel):
    city: str
    degrees: int


@pytest.mark.parametrize("model", [MODEL, CLAUDE])
def test_openai_does_its_usual_calls_with_either_provider(gpt: openai.OpenAI, model: str) -> None:
    with gpt.chat.completions.with_streaming_response.create(model=model, messages=HI) as raw:
        assert raw.parse().choices[0].message.content
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": DOT}},
    ]
    seen: list[Any] = [{"role": "user", "content": content}]
    assert gpt.chat.completions.create(model=model, messages=seen).choices[0].message.content

    with gpt.chat.completions.stream(
        model=model, messages=ASKED, response_format=Forecast
    ) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Forecast)
    said = gpt.responses.parse(model=model, input="Weather?", text_format=Forecast, store=False)
    assert isinstance(said.output_parsed, Forecast)

    tool = openai.pydantic_function_tool(Forecast, name="tell")
    first = gpt.chat.completions.parse(model=model, messages=ASKED, tools=[tool])
    (call,) = first.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, Forecast)
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "Sunny"}
    turns: list[Any] = [*ASKED, first.choices[0].message, result]
    again = gpt.chat.completions.create(model=model, messages=turns, tools=[tool], stream=True)
    assert "".join(piece.choices[0].delta.content or "" for piece in again)


@pytest.mark.parametrize("model", [CLAUDE, MODEL])
def test_anthropic_does_its_usual_calls_with_either_provider(
    gateway: Server, key: Any, claude: anthropic.Anthropic, model: str
) -> None:
    source = {"type": "base64", "media_type": "image/gif", "data": DOT.partition(",")[2]}
    content: list[Any] = [{"type": "image", "source": source}, {"type": "text", "text": "It is?"}]
    raw = claude.messages.with_raw_response.create(
        model=model, max_tokens=50, messages=[{"role": "user", "content": content}]
    )
    assert raw.parse()._request_id == raw.headers["x-llmlab-request-id"]
    parsed = claude.messages.parse(
        model=model, max_tokens=200, messages=ASKED, output_format=Forecast
    )
    assert isinstance(parsed.parsed_output, Forecast)

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather there."""
        return f"Sunny in {city}"

    runner = claude.beta.messages.tool_runner(
        model=model, max_tokens=200, messages=ASKED, tools=[get_weather]
    )
    assert runner.until_done().stop_reason == "end_turn"

    async def stream() -> str:
        async with (
            anthropic.AsyncAnthropic(
                base_url=gateway.url, api_key=key.raw, max_retries=0
            ) as client,
            client.messages.stream(model=model, max_tokens=50, messages=HI) as stream,
        ):
            return await stream.get_final_text()

    assert asyncio.run(stream())


def test_providers_errors_are_the_clients_own(
    gpt: openai.OpenAI, claude: anthropic.Anthropic
) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        gpt.chat.completions.create(model="no-such-model", messages=HI)
    assert unknown.value.code == "model_not_found"

    with pytest.raises(openai.RateLimitError) as limited:
        gpt.chat.completions.create(model=f"{MODEL}+quota", messages=HI)
    assert limited.value.response.headers["x-llmlab-request-id"]

    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(model=f"{CLAUDE}+too_long", max_tokens=9, messages=HI)

    with pytest.raises(openai.APIError):
        list(gpt.chat.completions.create(model=f"{MODEL}+cut", messages=HI, stream=True))


def test_clients_in_javascript(gateway: Server, key: Any) -> None:
    told = run_client("official", gateway.url, gateway.url, key.raw)

    assert len(told) == 29
    assert not {name: wrong for name, wrong in told.items() if wrong}


def test_late_call_is_a_504_of_its_dialect(gpt: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    patience = {"x-llmlab-timeout": "0.3"}
    begun = time.monotonic()

    with pytest.raises(openai.APIStatusError) as late:
        gpt.chat.completions.create(model=f"{MODEL}+slow:5", messages=HI, extra_headers=patience)
    with pytest.raises(anthropic.APIStatusError) as later:
        claude.messages.create(
            model=f"{CLAUDE}+slow:5", max_tokens=9, messages=HI, extra_headers=patience
        )

    assert (late.value.status_code, later.value.status_code) == (504, 504)
    assert time.monotonic() - begun < 3


def test_same_request_is_answered_from_the_cache_whole_and_as_a_stream(
    gpt: openai.OpenAI, key: Any
) -> None:
    wish = {"x-llmlab-cache": "on"}
    asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": "Once"}]}
    create = gpt.chat.completions.with_raw_response.create

    first = create(**asked, extra_headers=wish)
    assert first.headers["x-llmlab-cache"] == "miss"
    until(lambda: CachedResponse.objects.filter(project_id=key.project_id).exists())
    again = create(**asked, extra_headers=wish)

    assert (again.headers["x-llmlab-cache"], again.headers["helicone-cache"]) == ("exact", "HIT")
    assert again.headers["x-litellm-response-cost"] == "0"
    assert Decimal(again.headers["x-llmlab-saved-usd"]) > 0
    said = first.parse().choices[0].message.content
    assert again.parse().choices[0].message.content == said
    pieces = gpt.chat.completions.create(**asked, stream=True, extra_headers=wish)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == said
    refreshed = create(**asked, extra_headers={"x-llmlab-cache": "refresh"})
    assert "x-llmlab-saved-usd" not in refreshed.headers

    until(lambda: LLMRequest.objects.filter(project_id=key.project_id, state="cached").count() == 2)
    row = LLMRequest.objects.filter(project_id=key.project_id, state="cached").first()
    assert row is not None
    assert (row.cost_usd, row.cache) == (0, "exact")


def test_limits_are_told_kept_and_recorded(gateway: Server, simulator: str, worker: Any) -> None:
    key = make_key(simulator)
    LimitFactory(
        organization=key.project.organization,
        amount=2,
        is_hard=True,
        name="Two a day",
        window="day",
    )
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key.raw, max_retries=0) as client:
        create = client.chat.completions.with_raw_response.create
        assert create(model=MODEL, messages=HI).headers["x-ratelimit-remaining-requests"] == "1"
        with pytest.raises(openai.NotFoundError):
            create(model="nothing", messages=HI)
        assert create(model=MODEL, messages=HI).headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as refused:
            create(model=MODEL, messages=HI)

    assert refused.value.code == "rate_limit_exceeded"
    assert int(refused.value.response.headers["retry-after"]) > 0
    assert "Two a day" in refused.value.message
    rows = LLMRequest.objects.filter(project_id=key.project_id)
    until(lambda: rows.count() == 4)
    assert sorted(rows.values_list("state", "error")) == [
        ("done", ""), ("done", ""), ("refused", "model_not_found"), ("refused", "rate_limit_exceeded")
    ]  # fmt: skip


@pytest.fixture(scope="module")
def broken(key: Any) -> Connection:
    """The first target of the route Steady, where nobody listens; Best leads to one that works."""
    connection = Connection.objects.get(organization=key.project.organization, kind="openai")
    dead = connect(key.project, "compatible", f"http://{NOBODY}/v1")
    good = {"connection": connection.pk.hex, "model": MODEL}
    steps = [{"connection": dead.pk.hex, "model": MODEL}, good | {"step": 1}]
    RouteFactory(project=key.project, name="Best", rules={"targets": [good]})
    RouteFactory(
        project=key.project, name="Steady", rules={"targets": steps, "retry": {"tries": 1}}
    )
    touch(key.project.organization_id)
    time.sleep(1.1)
    return dead


def test_a_broken_target_is_left_rests_and_heals(
    gpt: openai.OpenAI, key: Any, simulator: str, broken: Connection
) -> None:
    """Fallback, breaker and half-open probe; no client sees anything of it."""
    circuit = f"{broken.pk.hex}|{MODEL}"

    def fallbacks() -> tuple[str, str]:
        raw = gpt.chat.completions.with_raw_response.create(model="steady", messages=HI)
        return raw.headers["x-llmlab-connection"], raw.headers["x-llmlab-fallbacks"]

    with Redis.from_url(settings.REDIS_URL) as redis:
        first = [fallbacks() for _ in range(5)]
        assert {one[1] for one in first} == {"1"}
        until(lambda: redis.hexists("{gw}:circuits", circuit))
        other = first[0][0]
        # Nobody is sent there any more.
        until(lambda: fallbacks() == (other, "0"))

        def is_healed() -> bool:
            held = redis.hget("{gw}:circuits", circuit)
            if held is not None:
                # Fifteen seconds later.
                old = json.loads(held)
                aged = old | {"o": old["o"] - 15_000, "p": 0}
                redis.hset("{gw}:circuits", circuit, json.dumps(aged))
            return fallbacks() == (broken.pk.hex, "0")

        Connection.objects.filter(pk=broken.pk).update(base_url=f"{simulator}/v1")
        touch(key.project.organization_id)
        until(is_healed)
        until(lambda: not redis.hexists("{gw}:circuits", circuit))
    rows = LLMRequest.objects.filter(project=key.project, route="Steady")
    assert set(rows.values_list("status_code", flat=True)) == {200}


def test_route_is_followed_and_named(gpt: openai.OpenAI, broken: Connection) -> None:
    answer = gpt.chat.completions.with_raw_response.create(model="best", messages=HI)

    assert answer.headers["x-llmlab-route"] == "Best"
    assert answer.headers["x-llmlab-model"] == MODEL
    assert "Best" in {one.id for one in gpt.models.list()}


def test_client_that_leaves_is_told_to_the_worker(gateway: Server, key: Any) -> None:
    body = {"model": f"{MODEL}+slow:5", "messages": HI}
    headers = {"authorization": f"Bearer {key.raw}"}
    with httpx2.Client(trust_env=False, timeout=0.5) as client, pytest.raises(httpx2.ReadTimeout):
        client.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers)

    with Redis.from_url(settings.REDIS_URL) as redis:
        end = time.monotonic() + 5
        while not any(redis.hget(name, "g") for name in redis.scan_iter("{gw}:c:*")):
            assert time.monotonic() < end, "Nobody told the worker."
            time.sleep(0.02)


def test_worker_that_dies_is_missed_at_once_and_without_one_calls_wait(
    worker: "subprocess.Popen[bytes]", gpt: openai.OpenAI
) -> None:
    found: list[openai.APIStatusError] = []

    def ask() -> None:
        with pytest.raises(openai.APIStatusError) as error:
            gpt.chat.completions.create(model=f"{MODEL}+slow:20", messages=HI)
        found.append(error.value)

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.5)
    worker.kill()
    killed = time.monotonic()
    asking.join(10)

    assert (found[0].status_code, found[0].code) == (503, "worker_died")
    assert time.monotonic() - killed < 1.5

    with pytest.raises(openai.APIStatusError) as late:
        gpt.chat.completions.create(
            model=MODEL, messages=HI, extra_headers={"x-llmlab-timeout": "1"}
        )
    assert late.value.status_code == 504
