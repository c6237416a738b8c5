"""Events come out whole wherever the network cut them, and raw bytes add up to what went in."""

import pytest

from gateway.dialects import sse
from gateway.dialects.sse import Event, Events, EventTooLongError

STREAMS = {
    "openai": (b'data: {"a":1}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n', ["", "", ""]),
    "anthropic": (b'event: ping\ndata: {"type":"ping"}\n\nevent: x\ndata: {}\n\n', ["ping", "x"]),
    "crlf": (b'event: ping\r\ndata: {"a":1}\r\n\r\ndata: 2\r\n\r\n', ["ping", ""]),
    "cr": (b"data: 1\r\rdata: 2\r\r", ["", ""]),
    "cr, cut": (b"data: 1\r\rdata: 2\revent: x\rdata: 3\r\r", ["", "x"]),
    "comments": (b": OPENROUTER PROCESSING\n\ndata: 1\n\n: x\ndata: 2\n\n", ["", "", ""]),
    "lines": (b"data: a\ndata: b\nid: 7\nretry: 3\n\ndata:c\n\n", ["", ""]),
}


def fed(stream: bytes, step: int) -> list[Event]:
    events = Events()
    found = [e for at in range(0, len(stream), step) for e in events.feed(stream[at : at + step])]
    return found + events.end()


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("name", STREAMS)
def test_cut_anywhere_gives_the_same_events(name: str, step: int) -> None:
    stream, names = STREAMS[name]
    found, whole = fed(stream, step), fed(stream, len(stream))
    assert [e.name for e in found] == names
    assert [e.data for e in found] == [e.data for e in whole]
    assert b"".join(e.raw for e in whole) == stream
    joined = b"".join(e.raw for e in found)
    assert joined.strip(b"\r\n") == stream.strip(b"\r\n")


def test_data_lines_are_joined_and_other_fields_are_not_data() -> None:
    assert [e.data for e in fed(STREAMS["lines"][0], 5)] == [b"a\nb", b"c"]
    assert [e.data for e in fed(STREAMS["comments"][0], 5)] == [b"", b"1", b"2"]


def test_last_event_may_end_with_one_carriage_return() -> None:
    events = Events()
    assert [e.data for e in [*events.feed(b"data: 1\rdata: 2\r"), *events.end()]] == [b"1\n2"]


def test_event_without_its_blank_line_comes_out_at_the_end() -> None:
    events = Events()
    assert events.feed(b'data: {"a":1}\n') == []
    (left,) = events.end()
    assert (left.document, left.raw) == ({"a": 1}, b'data: {"a":1}\n\n')
    assert events.end() == []


@pytest.mark.parametrize(
    ("data", "document", "is_broken"),
    [
        (b'{"a":1}', {"a": 1}, False),
        (b'{"a":', None, True),
        (b"hello", None, True),
        (b"[1]", None, True),
        (b"[DONE]", None, False),
        (b"", None, False),
        (b"\xff\xfe", None, True),
        (b'{"a":' * 50_000, None, True),
    ],
)
def test_document_of_an_event(data: bytes, document: object, is_broken: bool) -> None:
    event = Event("", data, b"")
    assert (event.document, event.is_broken) == (document, is_broken)


def test_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1000)
    events = Events()
    events.feed(b"data: " + b"x" * 900)
    with pytest.raises(EventTooLongError):
        events.feed(b"x" * 200)


def test_frames_are_read_back() -> None:
    (event,) = Events().feed(sse.frame_json({"a": "é\n"}, "x"))
    assert (event.name, event.document) == ("x", {"a": "é\n"})
