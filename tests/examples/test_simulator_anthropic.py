"""The official anthropic package against the simulator, over real HTTP."""

import anthropic
import pytest
from anthropic import Anthropic

TURN = {"role": "user", "content": "Please cancel my membership before it renews."}
TOOL = {
    "name": "cancel_membership",
    "description": "Ends a membership",
    "input_schema": {
        "type": "object",
        "properties": {"reason": {"type": "string", "enum": ["price"]}},
    },
}
CACHED = {"type": "text", "text": "rules " * 800, "cache_control": {"type": "ephemeral"}}


@pytest.fixture
def client(simulator_url):
    with Anthropic(base_url=simulator_url, api_key="test", max_retries=0) as client:
        yield client


def ask(client, **more):
    return client.messages.create(
        **{"model": "claude-sonnet-5-5", "max_tokens": 1000, "messages": [TURN], **more}
    )


def test_message_is_the_same_every_time(client):
    first = ask(client)
    assert first == ask(client)
    assert (first.stop_reason, first.model, first.role) == (
        "end_turn",
        "claude-sonnet-5-5",
        "assistant",
    )
    assert first.usage.input_tokens == 12 + 3
    assert first.usage.output_tokens == -(-len(first.content[0].text) // 4)


def test_stream_ends_with_the_same_message_and_usage(client):
    whole = ask(client)
    with client.messages.stream(
        model="claude-sonnet-5-5", max_tokens=1000, messages=[TURN]
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert final.usage.input_tokens == whole.usage.input_tokens


def test_raw_stream_starts_with_one_output_token_and_delta_is_cumulative(client):
    events = list(ask(client, stream=True))
    assert [events[0].type, events[-2].type, events[-1].type] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    assert events[0].message.usage.output_tokens == 1
    assert events[-2].usage.output_tokens == ask(client).usage.output_tokens


def test_cache_is_written_on_the_first_turn_and_read_on_the_next(client):
    first = ask(client, system=[CACHED]).usage
    assert (
        first.input_tokens,
        first.cache_creation_input_tokens,
        first.cache_read_input_tokens,
    ) == (
        15,
        1200,
        0,
    )
    assert first.cache_creation.ephemeral_5m_input_tokens == 1200
    hour = {**CACHED, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert ask(client, system=[hour]).usage.cache_creation.ephemeral_1h_input_tokens == 1200
    turns = [TURN, {"role": "assistant", "content": "Done."}, {"role": "user", "content": "Thanks"}]
    later = ask(client, system=[CACHED], messages=turns).usage
    assert (later.cache_creation_input_tokens, later.cache_read_input_tokens) == (0, 1200)


def test_tool_is_used_then_its_result_is_answered(client):
    asked = ask(client, tools=[TOOL])
    use = asked.content[0]
    assert (asked.stop_reason, use.name, use.input) == (
        "tool_use",
        "cancel_membership",
        {"reason": "price"},
    )
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "ended"}
    turns = [
        TURN,
        {"role": "assistant", "content": [use.model_dump(exclude_none=True)]},
        {"role": "user", "content": [result]},
    ]
    assert ask(client, tools=[TOOL], messages=turns).stop_reason == "end_turn"


def test_streamed_tool_input_is_rebuilt_by_the_sdk(client):
    with client.messages.stream(
        model="claude-opus-5-5", max_tokens=500, messages=[TURN], tools=[TOOL]
    ) as stream:
        final = stream.get_final_message()
    assert final.content[0].input == {"reason": "price"}


def test_thinking_is_a_block_of_its_own_and_counted_in_the_output(client):
    usage = ask(client, thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2000).usage
    assert 0 < usage.output_tokens_details.thinking_tokens < usage.output_tokens


def test_token_limit_ends_with_max_tokens(client):
    cut = ask(client, max_tokens=4)
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 4)


def test_counting_tokens_agrees_with_the_answer(client):
    counted = client.messages.count_tokens(
        model="claude-sonnet-5-5", messages=[TURN], system=[CACHED]
    ).input_tokens
    usage = ask(client, system=[CACHED]).usage
    assert counted == usage.input_tokens + usage.cache_creation_input_tokens


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ("rate_limit:3", anthropic.RateLimitError, 429),
        ("quota", anthropic.PaymentRequiredError, 402),
        ("error", anthropic.InternalServerError, 500),
        ("overloaded", anthropic.OverloadedError, 529),
        ("not_found", anthropic.NotFoundError, 404),
    ],
)
def test_faults_are_the_errors_the_sdk_knows(client, fault, error, status):
    with pytest.raises(error) as caught:
        ask(client, model=f"claude-sonnet-5-5+{fault}")
    assert caught.value.status_code == status
    if status == 429:
        assert caught.value.response.headers["retry-after"] == "3"


def test_error_event_in_the_middle_of_a_stream(client):
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        list(ask(client, model="claude-sonnet-5-5+stream_error", stream=True))


def test_missing_max_tokens_is_a_bad_request(client):
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        ask(client, max_tokens=0)


def test_its_models_are_listed_as_anthropic_does(client):
    page = client.models.list()
    assert [one.type for one in page.data] == ["model"] * len(page.data)
    assert "claude-haiku-5-5" in [one.id for one in page.data]
    assert page.has_more is False
