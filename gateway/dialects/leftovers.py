"""What our translations left in a conversation, taken out where another provider goes on with it (pure).

A route may answer one turn by Claude and the next by GPT: each refuses the other's reasoning.
"""

from typing import Any

# How reasoning items made here are named.
OURS = "rs_llmlab_"
# These refuse fields in messages that they do not know.
_STRICT = frozenset({"openai", "azure", "gemini"})


def clean_chat(document: dict[str, Any], kind: str) -> None:
    """Thinking that Claude signed, in messages for Chat Completions."""
    messages = document.get("messages")
    if type(messages) is not list:
        return
    if not any(type(one) is dict and "thinking_blocks" in one for one in messages):
        return
    names = ("thinking_blocks", "reasoning_content") if kind in _STRICT else ("thinking_blocks",)
    document["messages"] = [
        _without(one, names) if type(one) is dict and "thinking_blocks" in one else one
        for one in messages
    ]


def clean_messages(document: dict[str, Any]) -> None:
    """Other models' thinking, which no one signed, in messages for Anthropic."""
    turns = document.get("messages")
    if type(turns) is not list:
        return
    for place, turn in enumerate(turns):
        content = turn.get("content") if type(turn) is dict else None
        if type(content) is not list or not any(map(_is_unsigned, content)):
            continue
        if turns is document["messages"]:
            document["messages"] = list(turns)
        kept = [block for block in content if not _is_unsigned(block)]
        document["messages"][place] = {**turn, "content": kept or "…"}


def clean_responses(document: dict[str, Any]) -> None:
    """Reasoning items made here, in input for Responses."""
    items = document.get("input")
    if type(items) is list and any(map(_is_ours, items)):
        document["input"] = [item for item in items if not _is_ours(item)]


def _without(message: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key not in names}


def _is_unsigned(block: Any) -> bool:
    return type(block) is dict and block.get("type") == "thinking" and not block.get("signature")


def _is_ours(item: Any) -> bool:
    return (
        type(item) is dict
        and item.get("type") == "reasoning"
        and str(item.get("id") or "").startswith(OURS)
    )
