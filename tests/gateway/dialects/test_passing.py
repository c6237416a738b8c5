"""Equal wires: nothing is lost, added or changed but the model's name and the usage nobody asked for."""

from typing import Any

import pytest

from gateway.dialects.sse import Events, frame, frame_json
from gateway.dialects.translate import Translator, can_translate, translator
from gateway.structs import Dialect

CHAT = Dialect.CHAT
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


def through(made: Translator, stream: bytes) -> bytes:
    events = Events()
    found = events.feed(stream) + events.end()
    return b"".join(made.event(event) for event in found) + made.end()


@pytest.mark.parametrize("dialect", list(Dialect))
def test_request_keeps_what_it_does_not_know(dialect: Dialect) -> None:
    document = {"model": "alias", "future": {"a": [1, None]}, "metadata": {"k": "v"}}
    made = translator(dialect, dialect).request(document, model="real")
    assert made == {**document, "model": "real"}
    assert document["model"] == "alias"
    assert can_translate(dialect, dialect)


def test_usage_is_asked_for_in_streams() -> None:
    document: dict[str, Any] = {
        "model": "a",
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }
    made = translator(CHAT, CHAT, wants_usage=False).request(document, model="b")
    assert made["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert document["stream_options"] == {"include_obfuscation": False}
    responses = translator(Dialect.RESPONSES, Dialect.RESPONSES)
    assert "stream_options" not in responses.request({"model": "a", "stream": True}, model="b")


def test_tags_for_a_gateway_stay_here() -> None:
    document = {
        "model": "a",
        "tags": ["x"],
        "litellm_session_id": "s",
        "metadata": {"tags": ["y"], "k": "v"},
    }
    made = translator(CHAT, CHAT).request(document, model="b")
    assert made == {"model": "b", "metadata": {"k": "v"}}
    assert document["metadata"] == {"tags": ["y"], "k": "v"}


FIRST = frame(b'{ "id":"c",  "choices":[{"index":0,"delta":{"content":"\\u00e9"}}],"usage":null}')
LAST = frame_json({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})
COUNT = frame_json({"id": "c", "choices": [], "usage": USAGE})
AZURE = frame_json({"choices": [], "prompt_filter_results": [], "usage": None})
ODD = b": keep-alive\n\n" + frame(b"not json") + b"event: future\nid: 3\ndata: {}\n\n"
DONE = frame(b"[DONE]")


@pytest.mark.parametrize("wants_usage", [True, False])
def test_stream_passes_byte_for_byte(wants_usage: bool) -> None:
    stream = AZURE + FIRST + ODD + LAST + COUNT + DONE
    made = through(translator(CHAT, CHAT, wants_usage=wants_usage), stream)
    assert made == (stream if wants_usage else AZURE + FIRST + ODD + LAST + DONE)


def test_end_mark_is_added_where_it_is_missing() -> None:
    assert through(translator(CHAT, CHAT), FIRST) == FIRST + DONE
    error = frame_json({"error": {"message": "x"}})
    assert through(translator(CHAT, CHAT), FIRST + error) == FIRST + error


@pytest.mark.parametrize("dialect", [Dialect.MESSAGES, Dialect.RESPONSES])
def test_typed_streams_pass_byte_for_byte(dialect: Dialect) -> None:
    stream = b'event: future.thing\ndata: {"type":"future.thing","x":1.50}\n\n' + ODD
    assert through(translator(dialect, dialect), stream) == stream


def test_broken_responses_stream_goes_on_counting() -> None:
    made = translator(Dialect.RESPONSES, Dialect.RESPONSES)
    through(made, frame_json({"type": "x", "sequence_number": 7}, "x"))
    assert b'"sequence_number":8' in made.fail(status=502, code="cut", message="No.")


def test_unknown_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="no translation"):
        translator(Dialect.EMBEDDINGS, Dialect.MESSAGES)
