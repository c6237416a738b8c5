"""What a provider can do to a call, as a table: how streams break, stall and lie, on two wires, piece by piece
(pure but for `play`).

The engine's tests and `python -m benchmarks.gateway_faults` go through the same table; the name of a fault is the model
that a call asks for.
"""

import asyncio
import json
from typing import Any, NamedTuple

WORDS = tuple(f"word{number} " for number in range(4))
TEXT = "".join(WORDS).strip()
# What a client must not wait for.
SILENCE_S = 60.0
PAUSE_S = 0.03
CHAT_USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
MESSAGES_USAGE = {"input_tokens": 7, "output_tokens": 3}
_EVENTS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
_BODY = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


class Fault(NamedTuple):
    """One way to answer. `end`: the stream ends, dies (the connection breaks), or falls silent."""

    pieces: tuple[bytes, ...]
    end: str = "ends"
    pause: int = -1
    status: int = 0  # not 0: `pieces[0]` is a whole body with this status, not a stream
    # Whether all of the answer arrives all the same.
    is_whole: bool = False


def _sse(document: Any, name: str = "") -> bytes:
    event = f"event: {name}\n" if name else ""
    return f"{event}data: {json.dumps(document)}\n\n".encode()


def _chunk(text: str | None, *, finish: str | None = None, usage: Any = None) -> bytes:
    delta = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return _sse(
        {
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026",
            "choices": [] if text is None else [delta], "usage": usage,
        }
    )  # fmt: skip


def _chat(usages: dict[int, Any]) -> tuple[bytes, ...]:
    """A stream with these usages in these pieces."""
    texts = [_chunk(text, usage=usages.get(n)) for n, text in enumerate(WORDS)]
    last = [_chunk("", finish="stop", usage=usages.get(4))]
    extra = [_chunk(None, usage=usages[5])] if 5 in usages else []
    return (*texts, *last, *extra, b"data: [DONE]\n\n")


def _messages(first: Any, last: Any, middle: Any = None) -> tuple[bytes, ...]:
    """A stream with these usages in message_start and message_delta, and one in a text's event."""
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m-2026", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": first,
    }  # fmt: skip
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}  # fmt: skip
    deltas = [
        {
            "type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text},
            **({"usage": middle} if middle else {}),
        }
        for text in WORDS
    ]  # fmt: skip
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    documents = [
        {"type": "message_start", "message": message}, block, *deltas,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": end, "usage": last}, {"type": "message_stop"},
    ]  # fmt: skip
    return tuple(_sse(one, str(one["type"])) for one in documents)


def answer(wire: str) -> dict[str, Any]:
    """A whole good answer."""
    if wire == "chat":
        message = {"role": "assistant", "content": TEXT}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m-2026",
            "choices": [choice], "usage": CHAT_USAGE,
        }  # fmt: skip
    return {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m-2026",
        "content": [{"type": "text", "text": TEXT}], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": MESSAGES_USAGE,
    }  # fmt: skip


def _usages(wire: str) -> dict[str, tuple[bytes, ...]]:
    """Good streams whose usage is where none looks for it, is nothing, or is nonsense."""
    if wire == "chat":
        zeros = dict.fromkeys(CHAT_USAGE, 0)
        return {
            **{f"usage-{n}": _chat({n: CHAT_USAGE}) for n in range(5)},
            "no-usage": _chat({}),
            "zeros": _chat({5: zeros}),
            "zeros-everywhere": _chat(dict.fromkeys(range(6), zeros)),
            "zeros-first": _chat({0: zeros, 5: CHAT_USAGE}),
            "usage-twice": _chat({4: CHAT_USAGE, 5: CHAT_USAGE}),
            "usage-nonsense": _chat({4: "many"}),
            "usage-negative": _chat({5: {"prompt_tokens": -7, "completion_tokens": 1e300}}),
        }
    zeros = dict.fromkeys(MESSAGES_USAGE, 0)
    return {
        "usage-first": _messages(MESSAGES_USAGE, None),
        "usage-last": _messages(None, MESSAGES_USAGE),
        "usage-middle": _messages(None, None, MESSAGES_USAGE),
        "usage-split": _messages({"input_tokens": 7}, {"output_tokens": 3}),
        "no-usage": _messages(None, None),
        "zeros": _messages(zeros, zeros),
        "zeros-everywhere": _messages(zeros, zeros, zeros),
        "zeros-last": _messages(MESSAGES_USAGE, zeros),
        "usage-twice": _messages(MESSAGES_USAGE, MESSAGES_USAGE),
        "usage-nonsense": _messages("many", ["3"]),
        "usage-negative": _messages({"input_tokens": -7}, {"output_tokens": 1e300}),
    }


def good(wire: str) -> tuple[bytes, ...]:
    """A stream without a fault, in the pieces that others break it at."""
    return _chat({5: CHAT_USAGE}) if wire == "chat" else _messages(MESSAGES_USAGE, MESSAGES_USAGE)


def streams(wire: str) -> dict[str, Fault]:
    """What can happen to a stream."""
    pieces = good(wire)
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    reported, places = _sse(error, "error"), range(len(pieces))
    lines = b"".join(pieces)
    return {
        **{f"dies-{n}": Fault(pieces[:n], "dies") for n in places},
        **{f"ends-{n}": Fault(pieces[:n]) for n in places},
        **{f"silent-{n}": Fault(pieces[:n], "silent") for n in places},
        **{f"pauses-{n}": Fault(pieces, pause=n, is_whole=True) for n in places},
        **{f"garbage-{n}": Fault((*pieces[:n], b"data: {broken\n\n", *pieces[n:])) for n in places},
        **{f"error-{n}": Fault((*pieces[:n], reported)) for n in places},
        **{f"half-{n}": Fault((*pieces[:n], pieces[n][:9]), "dies") for n in places},
        **{name: Fault(given, is_whole=True) for name, given in _usages(wire).items()},
        "bytewise": Fault(tuple(bytes([one]) for one in lines), is_whole=True),
        "all-at-once": Fault((lines,), is_whole=True),
        "crlf": Fault(tuple(one.replace(b"\n", b"\r\n") for one in pieces), is_whole=True),
        "comments": Fault((b": ping\n\n", *pieces[:3], b": ping\n\n", *pieces[3:]), is_whole=True),
        "twice": Fault((*pieces, *pieces[-1:])),
        "no-stream": Fault((json.dumps(answer(wire)).encode(),), status=200),
        "html": Fault((b"<html>down</html>",), status=502),
        "empty": Fault((b"",), status=200),
        "nothing": Fault((), "dies"),
    }


def wholes(wire: str) -> dict[str, Fault]:
    """What can come instead of a whole answer."""
    fine = answer(wire)
    zeros = dict.fromkeys(fine["usage"], 0)
    bodies: dict[str, tuple[int, Any]] = {
        "fine": (200, fine),
        "list": (200, []),
        "text": (200, "hello"),
        "empty-object": (200, {}),
        "error-200": (200, {"error": {"message": "no", "type": "server_error"}}),
        "no-usage": (200, fine | {"usage": None}),
        "zero-usage": (200, fine | {"usage": zeros}),
        "odd-usage": (200, fine | {"usage": {"prompt_tokens": "x", "input_tokens": "x"}}),
        "odd-contents": (200, fine | {"choices": 7, "content": 7}),
        "error-500": (500, {"error": {"message": "no"}}),
        "limited": (429, {"error": {"message": "slow down"}}),
        "empty-redirect": (302, {}),
    }
    found = {
        name: Fault((json.dumps(document).encode(),), status=status)
        for name, (status, document) in bodies.items()
    }
    body = json.dumps(fine).encode()
    return {
        **found,
        "nothing": Fault((b"",), status=200),
        "html-500": Fault((b"<html>",), status=500),
        "empty-429": Fault((b"",), status=429),
        "cut": Fault((body[:40],), "dies", status=200),
        "dies": Fault((), "dies"),
        "silent": Fault((), "silent"),
    }


async def play(fault: Fault, writer: asyncio.StreamWriter) -> None:
    """Answer so. A connection that dies is cut without a word."""
    if fault.status:
        body = fault.pieces[0]
        # One that dies promises more than it sends.
        length = len(body) + (100 if fault.end == "dies" else 0)
        writer.write(_BODY % (fault.status, length, body))
    elif fault.pieces or fault.end == "ends":
        writer.write(_EVENTS)
    await writer.drain()
    for number, piece in enumerate(() if fault.status else fault.pieces):
        if number == fault.pause:
            await asyncio.sleep(PAUSE_S)
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()
        await asyncio.sleep(0)
    if fault.end == "silent":
        await asyncio.sleep(SILENCE_S)
    elif fault.end == "dies":
        # What was sent is to arrive before the connection breaks.
        await asyncio.sleep(0.005)
        writer.transport.abort()
    elif not fault.status:
        writer.write(b"0\r\n\r\n")
        await writer.drain()
