"""The official openai package against the simulator, over real HTTP."""

import json

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

QUESTION = [
    {"role": "system", "content": "You answer for a shop."},
    {"role": "user", "content": "Where is my parcel? The tracking has not moved for days."},
]
TOOL = {
    "type": "function",
    "function": {
        "name": "track_parcel",
        "description": "Where a parcel is",
        "parameters": {
            "type": "object",
            "properties": {
                "order": {"type": "string"},
                "carrier": {"type": "string", "enum": ["Northpost"]},
            },
            "required": ["order", "carrier"],
        },
    },
}


@pytest.fixture
def client(simulator_url):
    with OpenAI(base_url=f"{simulator_url}/v1", api_key="sk-test", max_retries=0) as client:
        yield client


def test_chat_answers_the_same_every_time_and_counts_add_up(client):
    first = client.chat.completions.create(model="gpt-5-mini", messages=QUESTION)
    second = client.chat.completions.create(model="gpt-5-mini", messages=QUESTION)
    assert first == second
    assert first.model == "gpt-5-mini-2025-08-07"
    assert first.choices[0].finish_reason == "stop"
    assert len(first.choices[0].message.content) > 80
    usage = first.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens == 6 + 14 + 8  # system, question, 4 per message
    assert 0 < usage.completion_tokens_details.reasoning_tokens < usage.completion_tokens


def test_stream_says_the_same_as_the_whole_answer(client):
    whole = client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == (
        whole.choices[0].message.content
    )
    assert [c.usage for c in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert (chunks[-1].choices, chunks[-1].usage) == ([], whole.usage)


def test_stream_has_no_usage_unless_asked_for(client):
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True))
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_tool_is_called_then_its_result_is_answered(client):
    asked = client.chat.completions.create(model="gpt-4o", messages=QUESTION, tools=[TOOL])
    call = asked.choices[0].message.tool_calls[0]
    assert (asked.choices[0].finish_reason, call.function.name) == ("tool_calls", "track_parcel")
    assert json.loads(call.function.arguments)["carrier"] == "Northpost"
    rest = [
        asked.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": '{"status": "in transit"}'},
    ]
    final = client.chat.completions.create(model="gpt-4o", messages=QUESTION + rest, tools=[TOOL])
    assert final.choices[0].finish_reason == "stop"


def test_streamed_tool_arguments_join_to_the_same_json(client):
    whole = client.chat.completions.create(model="gpt-4o", messages=QUESTION, tools=[TOOL])
    with client.chat.completions.stream(model="gpt-4o", messages=QUESTION, tools=[TOOL]) as stream:
        streamed = stream.get_final_completion().choices[0].message.tool_calls[0]
    assert streamed.function.arguments == whole.choices[0].message.tool_calls[0].function.arguments


def test_structured_output_is_parsed_by_the_sdk(client):
    class Verdict(BaseModel):
        topic: str
        urgency: int

    parsed = client.chat.completions.parse(
        model="gpt-4o", messages=QUESTION, response_format=Verdict
    )
    assert 1 <= parsed.choices[0].message.parsed.urgency < 50


def test_long_prompt_is_read_from_cache_in_steps_of_128(client):
    long = [{"role": "system", "content": "x" * 8000}, QUESTION[1]]
    usage = client.chat.completions.create(model="gpt-4o", messages=long).usage
    assert usage.prompt_tokens_details.cached_tokens == 1920
    short = client.chat.completions.create(model="gpt-4o", messages=QUESTION).usage
    assert short.prompt_tokens_details.cached_tokens == 0


def test_token_limit_ends_with_length(client):
    cut = client.chat.completions.create(model="gpt-4o", messages=QUESTION, max_completion_tokens=5)
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 5)


def test_responses_whole_and_streamed_agree(client):
    whole = client.responses.create(model="gpt-6.1-sol", input="Where is my refund?")
    assert (whole.status, whole.model) == ("completed", "gpt-6.1-sol")
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    events = list(
        client.responses.create(model="gpt-6.1-sol", input="Where is my refund?", stream=True)
    )
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert events[-1].response == whole
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text


def test_responses_stream_helper_and_function_call(client):
    tool = {"type": "function", "strict": False, **TOOL["function"]}
    with client.responses.stream(model="gpt-5.5", input="track my parcel", tools=[tool]) as stream:
        final = stream.get_final_response()
    assert final.output[0].type == "function_call"
    assert json.loads(final.output[0].arguments)["carrier"] == "Northpost"
    answered = client.responses.create(
        model="gpt-5.5",
        tools=[tool],
        input=[
            {"type": "function_call_output", "call_id": final.output[0].call_id, "output": "late"}
        ],
    )
    assert answered.output[0].type == "message"


def test_embeddings_of_like_texts_are_close(client):
    texts = ["late parcel delivery", "parcel delivery is late", "invoice with vat number"]
    made = client.embeddings.create(model="text-embedding-3-small", input=texts)
    first, like, other = (item.embedding for item in made.data)
    assert len(first) == 1536
    assert sum(a * b for a, b in zip(first, first, strict=True)) == pytest.approx(1, abs=1e-5)
    assert sum(a * b for a, b in zip(first, like, strict=True)) > 0.8
    assert abs(sum(a * b for a, b in zip(first, other, strict=True))) < 0.3
    assert made.usage.prompt_tokens == made.usage.total_tokens == 5 + 6 + 6


def test_models_are_listed(client):
    assert "gpt-5-mini" in [model.id for model in client.models.list()]


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("rate_limit:7", openai.RateLimitError, "rate_limit_exceeded"),
        ("quota", openai.RateLimitError, "insufficient_quota"),
        ("error", openai.InternalServerError, None),
        ("overloaded", openai.InternalServerError, None),
        ("not_found", openai.NotFoundError, "model_not_found"),
        ("too_long", openai.BadRequestError, "context_length_exceeded"),
    ],
)
def test_faults_are_the_errors_the_sdk_knows(client, fault, error, code):
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=f"gpt-4o+{fault}", messages=QUESTION)
    assert caught.value.code == code
    if fault == "rate_limit:7":
        assert caught.value.response.headers["retry-after"] == "7"


def test_fault_by_header_and_by_metadata(client):
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(
            model="gpt-4o", messages=QUESTION, extra_headers={"x-simulate": "error"}
        )
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(
            model="gpt-4o", messages=QUESTION, metadata={"simulate": "error"}
        )


def test_unknown_fault_is_explained(client):
    with pytest.raises(
        openai.BadRequestError, match="Cannot simulate 'explode'; known: cut, error"
    ):
        client.chat.completions.create(model="gpt-4o+explode", messages=QUESTION)


def test_cut_stream_breaks_without_usage(client):
    got = []
    with pytest.raises(openai.APIConnectionError):  # noqa: PT012
        for chunk in client.chat.completions.create(
            model="gpt-4o+cut", messages=QUESTION, stream=True
        ):
            got.append(chunk)
    assert len(got) == 4  # the role, then three pieces


def test_wrong_key_is_refused(simulator_url):
    refused = OpenAI(base_url=f"{simulator_url}/v1", api_key="sk-invalid", max_retries=0)
    with refused as client, pytest.raises(openai.AuthenticationError):
        client.models.list()


@pytest.mark.parametrize("messages", [[], "hi", [1]])
def test_senseless_messages_are_a_bad_request(client, messages):
    with pytest.raises(openai.BadRequestError, match="non-empty array"):
        client.chat.completions.create(model="gpt-4o", messages=messages)
