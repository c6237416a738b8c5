"""Conversations as all wires have them: who says what, where the texts are, and where one may be cut (pure)."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from gateway.dialects.tokens import tokens_in_bytes
from gateway.structs import Dialect

Item = dict[str, Any]
_encode = msgspec.json.encode

FIELDS = {Dialect.CHAT: "messages", Dialect.MESSAGES: "messages", Dialect.RESPONSES: "input"}
# The field of a system prompt that is no message.
SYSTEM = {Dialect.MESSAGES: "system", Dialect.RESPONSES: "instructions"}
_TEXT_PARTS = frozenset({"text", "input_text"})
# Results of Responses that may be any text; others have a shape of their own.
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})


def items_of(dialect: Dialect, document: Item) -> list[Item]:
    """The conversation; empty for what is none, or one this module does not understand."""
    found = document.get(FIELDS.get(dialect, ""))
    if type(found) is not list or not all(type(one) is dict for one in found):
        return []
    return found


def role_of(item: Item) -> str:
    """user, assistant, system, or tool for a message that carries results."""
    role = item.get("role")
    if role in ("system", "developer"):
        return "system"
    if role in ("tool", "function") or str(item.get("type") or "").endswith("_output"):
        return "tool"
    if role == "user":
        return "tool" if any(_is_result(part) for part in _parts(item)) else "user"
    return "assistant"


def _parts(item: Item) -> list[Item]:
    content = item.get("content")
    return [one for one in content if type(one) is dict] if type(content) is list else []


def _is_result(part: Any) -> bool:
    return str(part.get("type") or "").endswith("tool_result")


def steps_after(items: list[Item]) -> list[int]:
    """For each item, how many times the model spoke after it."""
    found, count, was_model = [0] * len(items), 0, False
    for place in range(len(items) - 1, -1, -1):
        found[place] = count
        # Responses has an item for each thing the model does: a run of them is one time.
        is_model = role_of(items[place]) == "assistant"
        count += is_model and not was_model
        was_model = is_model
    return found


def tokens_of(item: Item) -> int:
    return tokens_in_bytes(_encode(item))


def change_texts(holder: Item, field: str, change: Callable[[list[str]], list[str]]) -> Item:
    """The holder with the texts of one field changed, all of them at once; itself when none was."""
    content = holder.get(field)
    if type(content) is str:
        (changed,) = change([content])
        return holder if changed == content else {**holder, field: changed}
    if type(content) is not list:
        return holder
    places = [place for place, part in enumerate(content) if _is_text(part)]
    before = [content[place]["text"] for place in places]
    after = change(before) if before else before
    if before == after:
        return holder
    made = list(content)
    for place, text in zip(places, after, strict=True):
        made[place] = {**content[place], "text": text}
    return {**holder, field: made}


def _is_text(part: Any) -> bool:
    # A text with citations is quoted by its places.
    return (
        type(part) is dict
        and part.get("type") in _TEXT_PARTS
        and type(part.get("text")) is str
        and not part.get("citations")
    )


def change_results(item: Item, change: Callable[[Any], Any]) -> Item:
    """The item with each tool result's content changed; itself when none was."""
    kind = item.get("type")
    if item.get("role") in ("tool", "function"):
        return _changed(item, "content", change)
    if kind in _OUTPUTS:
        return _changed(item, "output", change)
    if item.get("role") != "user" or type(item.get("content")) is not list:
        return item
    made = [
        _changed(part, "content", change)
        if type(part) is dict and part.get("type") == "tool_result"
        else part
        for part in item["content"]
    ]
    is_same = all(one is other for one, other in zip(made, item["content"], strict=True))
    return item if is_same else {**item, "content": made}


def _changed(holder: Item, field: str, change: Callable[[Any], Any]) -> Item:
    if field not in holder:
        return holder
    before = holder[field]
    after = change(before)
    return holder if after is before else {**holder, field: after}


def cuts(items: list[Item]) -> list[int]:
    """Where a conversation may begin anew: at a user's message, when no result after it belongs to a call before it.

    The last is the last user's message.
    """
    made: set[str] = set()
    used: list[set[str]] = [set() for _ in items]
    later: set[str] = set()
    for place in range(len(items) - 1, -1, -1):
        later |= set(_ids(items[place], is_result=True))
        used[place] = set(later)
    found = []
    for place, item in enumerate(items):
        if place and role_of(item) == "user" and not (made & used[place]):
            found.append(place)
        made |= set(_ids(item, is_result=False))
    return found


def _ids(item: Item, *, is_result: bool) -> Iterator[str]:
    """The ids of calls an item makes, or of those it answers."""
    if is_result:
        answered = [item.get("tool_call_id")]
        if role_of(item) == "tool":
            answered.append(item.get("call_id"))
        answered += [part.get("tool_use_id") for part in _parts(item)]
        if item.get("type") in ("item_reference", "mcp_approval_response"):
            answered += [item.get("id"), item.get("approval_request_id")]
        yield from (one for one in answered if type(one) is str)
        return
    if role_of(item) == "tool":
        return
    calls = item.get("tool_calls")
    asked = [item.get("call_id"), item.get("id")] + [part.get("id") for part in _parts(item)]
    asked += [one.get("id") for one in calls if type(one) is dict] if type(calls) is list else []
    yield from (one for one in asked if type(one) is str)
