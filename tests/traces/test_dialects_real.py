"""Bodies recorded from the clients of tests/clients: whole, streamed, with a tool, refused, each in an outer step."""

import pytest

from costs.usage import Usage
from tests.traces.decoding import decode_protobuf as decode
from tests.traces.decoding import one, otlp_request, otlp_span, real_spans
from traces.ingest.duplicates import without_duplicates
from traces.ingest.span import NormalSpan

NAMES = ("langfuse-5", "traceloop", "logfire", "mlflow", "vercel-ai-6")
DIALECTS = dict(
    zip(NAMES, ("langfuse", "traceloop", "logfire", "mlflow", "vercel_ai"), strict=True)
)
QUESTION = "Where is my order 55180? It should have arrived on Monday."


def calls(name: str) -> list[NormalSpan]:
    """Whole, streamed, tool, refused."""
    found = [span for span in without_duplicates(real_spans(name)) if span.is_call]
    return sorted(found, key=lambda span: span.started_at)


def text(content: object) -> str:
    """A message's words, whichever way they are kept."""
    said = content[-1] if isinstance(content, list) else content
    assert isinstance(said, dict)
    return said.get("content") or said["parts"][0]["content"]


@pytest.mark.parametrize("name", NAMES)
def test_whole_and_streamed_calls(name: str):
    whole, stream = calls(name)[:2]
    for call in (whole, stream):
        assert (call.dialect, call.kind, call.operation, call.status) == (
            DIALECTS[name],
            "llm",
            "chat",
            "ok",
        )
        assert call.usage is not None
        assert (call.usage.input_tokens, call.usage.output_tokens) == (19, 69)
        assert call.flags == ()
        assert text(call.input) == QUESTION
        assert text(call.output).startswith("Hi Noah, I have looked into this for you.")
    assert whole.response_model == "gpt-4o-mini-2024-07-18"
    assert whole.finish_reason == ("" if name == "langfuse-5" else "stop")
    assert whole.provider == ("" if name == "langfuse-5" else "openai")
    assert whole.response_id == (
        "" if name == "langfuse-5" else "chatcmpl-70c278aee4401f15c3794d50"
    )
    if name != "logfire":  # its stream's end says how long it took, not when it began to speak
        assert stream.first_token_ms is not None
        assert 0 < stream.first_token_ms < 1000


@pytest.mark.parametrize("name", NAMES)
def test_a_tool_that_the_model_asked_for(name: str):
    call = calls(name)[2]
    assert call.output[0]["role"] == "assistant"
    part = call.output[0]["parts"][-1]
    assert (part["type"], part["name"], list(part["arguments"])) == (
        "tool_call",
        "lookup_order",
        ["order"],
    )
    assert call.tools is not None
    assert "lookup_order" in str(call.tools)


@pytest.mark.parametrize("name", ["langfuse-5", "traceloop", "logfire", "mlflow"])
def test_a_refusal_is_one(name: str):
    call = calls(name)[-1]
    assert (call.status, call.is_rejected, call.usage) == ("error", True, None)
    assert call.error_message.startswith("Error code: 404")
    assert call.error_type.rpartition(".")[2] in ("NotFoundError", "404")
    assert call.request_model == "gpt-4o-mini+not_found"


def test_vercel_names_no_status_so_its_failure_stays_unknown():
    call = calls("vercel-ai-6")[-1]
    assert (call.status, call.error_type, call.is_rejected) == ("error", "AI_APICallError", False)


@pytest.mark.parametrize("name", NAMES)
def test_outer_steps_are_no_calls(name: str):
    spans = without_duplicates(real_spans(name))
    outer = [span for span in spans if not span.parent_span_id]
    assert [span.is_call for span in outer] == [False] * len(outer)
    keys = {span.span_id for span in spans}
    assert all(span.parent_span_id in keys for span in spans if span.parent_span_id)
    assert {span.status for span in outer} <= {"ok"}


@pytest.mark.parametrize("name", ["langfuse-5", "traceloop", "logfire", "vercel-ai-6"])
def test_user_session_and_tags_are_on_the_calls(name: str):
    for call in calls(name):
        assert call.user_id == "user-7"
        assert call.session_id == ("" if name == "logfire" else "session-3")
        expected = {"traceloop": set(), "logfire": {"shop", "beta", "LLM"}}
        assert set(call.tags) == expected.get(name, {"shop", "beta"})


def test_langfuse_environment_release_and_trace_name():
    span = calls("langfuse-5")[0]
    assert (span.environment, span.release, span.trace_name) == ("staging", "2.1", "whole")
    assert span.parameters["temperature"] == 1
    assert (span.service_tier, span.scope_version) == ("default", "5.0.4")


def test_vercel_function_metadata_tool_and_embedding():
    spans = real_spans("vercel-ai-6")
    call = calls("vercel-ai-6")[0]
    assert (call.feature, call.metadata["plan"], call.parameters["maxRetries"]) == (
        "answer-customer",
        "pro",
        0,
    )
    tool = next(span for span in spans if span.kind == "tool")
    assert (tool.input, tool.output) == ({"order": "F-937272"}, {"status": "on its way"})
    outer, inner = sorted(
        (span for span in spans if span.name.startswith("ai.embed")),
        key=lambda span: len(span.name),
    )[:2]
    assert (outer.kind, outer.is_call, outer.input) == ("chain", False, QUESTION)
    assert (inner.kind, inner.is_call, inner.input) == ("embedding", True, [QUESTION])
    assert inner.usage == Usage(input_tokens=15)
    assert not any("embedding" in name for name in inner.attributes)


def test_traceloop_association_properties_are_metadata():
    call = calls("traceloop")[0]
    assert call.metadata == {"user_id": "user-7", "session_id": "session-3", "plan": "pro"}
    assert not any(event["name"].endswith("chunk") for event in calls("traceloop")[1].events)


def test_mlflow_content_leaves_the_attributes():
    call = calls("mlflow")[0]
    assert "mlflow.spanOutputs" not in call.attributes
    assert call.attributes["mlflow.spanType"] == "CHAT_MODEL"
    assert calls("mlflow")[1].events == []


# --- Logfire's pending spans


def test_logfire_pending_spans_are_the_real_ones_running():
    spans = real_spans("logfire")
    pending = [span for span in spans if span.status == "running"]
    finals = {span.span_id: span for span in spans if span.status != "running"}
    assert len(pending) == 6  # each outer one, and two calls that took their time
    for span in pending:
        final = finals[span.span_id]
        assert (span.ended_at, span.parent_span_id) == (None, final.parent_span_id)
        assert (span.name, span.started_at) == (final.name, final.started_at)
        assert final.ended_at is not None
    # Together in one upload they are one step, ended.
    assert len(without_duplicates(spans)) == len(spans) - len(pending)


def test_logfire_stream_is_charged_once_where_its_usage_is():
    stream = calls("logfire")[1]
    spans = real_spans("logfire")
    opened = [span for span in spans if span.parent_span_id == stream.parent_span_id]
    assert sorted(span.is_call for span in opened) == [False, True]
    assert stream.name.startswith("streaming response from 'gpt-4o-mini'")
    assert stream.duration_ms is not None
    assert stream.duration_ms > 0


PENDING = {"logfire.span_type": "pending_span", "logfire.msg": "asking"}
PARENT = bytes(7) + b"\x09"


@pytest.mark.parametrize(
    ("pending_parent", "expected"),
    [
        ("000000000000000a", "000000000000000a"),
        ("000000000000000A", "000000000000000a"),
        ("0000000000000000", ""),
        ("not hexadecimal", ""),
        ("", ""),
        (5, ""),
        ("0000000000000009", ""),  # itself
    ],
)
def test_pending_span_takes_the_real_one_s_place(pending_parent, expected: str):
    span = one(PENDING | {"logfire.pending_parent_id": pending_parent}, parent_span_id=PARENT)
    assert (span.span_id, span.parent_span_id) == ("0000000000000009", expected)
    assert (span.status, span.ended_at, span.name) == ("running", None, "asking")


def test_pending_span_that_announces_nothing_stays_a_step():
    span = one(PENDING)
    assert (span.span_id, span.status) == ("0000000000000001", "ok")


def test_pending_spans_of_other_instrumentations_are_read_in_their_vocabulary():
    attributes = PENDING | {"openinference.span.kind": "LLM", "llm.model_name": "gpt-5.5"}
    span = one(attributes, parent_span_id=PARENT)
    assert (span.dialect, span.kind, span.request_model) == ("logfire", "llm", "gpt-5.5")
    assert span.status == "running"


def test_final_span_after_its_announcement_in_one_upload():
    request = otlp_request(
        otlp_span(
            PENDING | {"logfire.pending_parent_id": "0" * 16}, number=3, parent_span_id=PARENT
        ),
        otlp_span({"logfire.span_type": "span", "logfire.msg": "asked"}, number=9),
    )
    decoded = decode(request.SerializeToString())
    (span,) = without_duplicates(decoded.spans)
    assert (span.span_id, span.status, span.name) == ("0000000000000009", "ok", "asked")
