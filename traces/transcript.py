"""A conversation rebuilt from model calls: every message once, in order, with the calls that sent it. Pure.

A program sends the whole history with each call, so the same message arrives many times; it is shown where it first
came up. Two messages of one call that read alike (a user says "yes" twice) are two: what counts is the n-th time a text
stands in a call. Ids and reasoning are left out of the comparison, for histories rarely repeat them.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from traces.conversation import Message, Part, cut, messages_of, unwrapped
from traces.media import said_with_media
from traces.waterfall import StepFacts

CUT_AT = 16 * 1024  # of one message; the step's own pane has the rest
_SIDES = (("input", "user"), ("output", "assistant"))


@dataclass
class Turn:
    """One message of the conversation. `said_by` is the call that answered with it, `sent_by` those that sent it."""

    number: int
    message: Message
    step: StepFacts  # where it is read from: its media are numbered in this step
    said_by: StepFacts | None = None
    sent_by: list[StepFacts] = field(default_factory=list)
    is_cut: bool = False


@dataclass(frozen=True)
class Call:
    """One model call with what was said in it; `problem` when that cannot be read."""

    step: StepFacts
    content: dict[str, Any]
    problem: str = ""


@dataclass
class Transcript:
    """The turns, and the calls that left nothing to show."""

    turns: list[Turn] = field(default_factory=list)
    silent: list[StepFacts] = field(default_factory=list)
    unreadable: list[StepFacts] = field(default_factory=list)


def transcript_of(calls: Iterable[Call], *, earlier: Iterable[Call] = ()) -> Transcript:
    """The conversation of `calls`, in their order. What `earlier` calls said counts as shown before."""
    book = _Book()
    for call in earlier:
        book.add(call)
    before = len(book.turns)
    book.silent, book.unreadable = [], []
    for call in calls:
        book.add(call)
    shown = list(book.turns.values())[before:]
    for number, turn in enumerate(shown, 1):
        turn.number = number
    return Transcript(shown, book.silent, book.unreadable)


class _Book:
    """Turns by what they say and how often a call said it."""

    def __init__(self) -> None:
        self.turns: dict[tuple[bytes, int], Turn] = {}
        self.silent: list[StepFacts] = []
        self.unreadable: list[StepFacts] = []

    def add(self, call: Call) -> None:
        if call.problem:
            self.unreadable.append(call.step)
            return
        content, _ = said_with_media(call.content)
        if not content:
            self.silent.append(call.step)
            return
        times: dict[bytes, int] = {}
        for side, role in _SIDES:
            for raw in _raw_messages(content.get(side), role):
                self._place(call.step, side, role, raw, times)

    def _place(
        self, step: StepFacts, side: str, role: str, raw: Any, times: dict[bytes, int]
    ) -> None:
        message = _one(raw, role)
        mark = identity(message)
        times[mark] = times.get(mark, 0) + 1
        key = (mark, times[mark])
        turn = self.turns.get(key)
        if turn is None:
            short, is_cut = cut(raw, CUT_AT)
            shown = _one(short, role) if is_cut else message
            turn = self.turns[key] = Turn(0, shown, step, is_cut=is_cut)
        if side == "output":
            turn.said_by = turn.said_by or step
        elif not turn.sent_by or turn.sent_by[-1].span_id != step.span_id:
            turn.sent_by.append(step)


def _raw_messages(value: Any, role: str) -> list[Any]:
    """The messages of one side, unread; a bare text or value is one message of the side's role."""
    if value is None or value == "" or value == []:
        return []
    if messages_of(value, role) is None:
        return [{"role": role, "content": value if isinstance(value, str) else [value]}]
    return raw_items(value)


def raw_items(value: Any) -> list[Any]:
    """The list behind a conversation that `messages_of` understands."""
    value = unwrapped(value)
    return value if isinstance(value, list) else [value]


def _one(raw: Any, role: str) -> Message:
    found = messages_of(raw, role)
    return (
        found[0]
        if found
        else Message(role, role.capitalize(), "message-square", [Part("json", value=raw)])
    )


def identity(message: Message) -> bytes:
    """What two copies of one message have in common."""
    told = [
        [part.kind, part.text.strip(), part.name, part.value, [_blob(one) for one in part.media]]
        for part in message.parts
        if part.kind != "thinking"
    ]
    text = json.dumps([message.words, told], sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


def _blob(media: Any) -> str:
    return str(replace(media, index=0))
