"""What calls take over from the steps above them in one upload."""

import pytest

from tests.traces.decoding import decode_protobuf as decode
from tests.traces.decoding import otlp_request, otlp_span
from tests.traces.spans import llm, span
from traces.ingest.inherit import inherit


def test_nearest_step_wins_and_tags_add_up():
    root = span(
        "root", user_id="u", session_id="s", environment="prod", feature="f", tags=("a", "b")
    )
    agent = span("agent", parent_span_id="root", session_id="inner", tags=("b", "c"))
    call = llm("call", parent_span_id="agent", environment="own")
    inherit([call, agent, root])
    assert (call.user_id, call.session_id, call.environment, call.feature) == (
        "u",
        "inner",
        "own",
        "f",
    )
    assert set(call.tags) == {"a", "b", "c"}
    assert (agent.user_id, agent.session_id) == ("", "inner")


def test_other_traces_and_missing_parents_give_nothing():
    root = span("root", trace_id="t2", user_id="u")
    call = llm("call", parent_span_id="root")
    lonely = llm("lonely", parent_span_id="nowhere")
    inherit([root, call, lonely])
    assert (call.user_id, lonely.user_id) == ("", "")


def test_a_circle_of_parents_ends():
    one, other = (
        span("one", parent_span_id="other", tags=("a",)),
        span("other", parent_span_id="one"),
    )
    call = llm("call", parent_span_id="one")
    inherit([one, other, call])
    assert call.tags == ("a",)


@pytest.mark.parametrize("is_root_last", [False, True])
def test_the_door_lets_calls_inherit(is_root_last: bool):
    root = otlp_span({"user.id": "u", "session.id": "s", "llmlab.tags": ["gold"]}, number=1)
    call = otlp_span(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt-5.5",
            "gen_ai.usage.input_tokens": 5,
        },
        number=2,
        parent_span_id=(1).to_bytes(8, "big"),
    )
    spans = [call, root] if is_root_last else [root, call]
    decoded = decode(otlp_request(*spans).SerializeToString()).spans
    told = next(span for span in decoded if span.is_call)
    assert (told.user_id, told.session_id, told.tags) == ("u", "s", ("gold",))
