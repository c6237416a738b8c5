"""Words and counts that mean the same on two wires (pure)."""

from typing import Any

# Anthropic's stop reason -> Chat Completions' finish reason. Unknown ones end like a plain stop.
FINISH_OF_STOP = {
    "end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "max_tokens": "length",
    "model_context_window_exceeded": "length", "tool_use": "tool_calls",
    "refusal": "content_filter",
}  # fmt: skip
STOP_OF_FINISH = {
    "stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use",
    "function_call": "tool_use", "content_filter": "refusal",
}  # fmt: skip
EFFORTS = ("minimal", "low", "medium", "high", "xhigh", "max")
# Thinking budgets of older Claude models, by effort.
BUDGETS = {
    "minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576,
    "max": 32_000,
}  # fmt: skip
MIN_BUDGET = 1_024
MOST_BUDGET = 16_384  # where the client states no limit of its own

_EMPTY: dict[str, Any] = {}


def _count(raw: dict[str, Any], name: str) -> int:
    value = raw.get(name)
    return value if type(value) is int and value > 0 else 0


def _part(raw: dict[str, Any], name: str) -> dict[str, Any]:
    found = raw.get(name)
    return found if type(found) is dict else _EMPTY


def effort_of_budget(budget: Any) -> str:
    """The effort a thinking budget stands for."""
    if type(budget) is not int:
        return "medium"
    return "low" if budget < 4_096 else "medium" if budget < 16_384 else "high"


def chat_usage(raw: dict[str, Any]) -> dict[str, Any]:
    """Anthropic's usage as Chat Completions counts: cached tokens are part of the prompt."""
    read, written = (
        _count(raw, "cache_read_input_tokens"),
        _count(raw, "cache_creation_input_tokens"),
    )
    prompt = _count(raw, "input_tokens") + read + written
    output = _count(raw, "output_tokens")
    thinking = _count(_part(raw, "output_tokens_details"), "thinking_tokens")
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": thinking},
    }


def messages_usage(raw: dict[str, Any]) -> dict[str, Any]:
    """Chat Completions' usage as Anthropic counts: cached tokens stand beside the input."""
    details = _part(raw, "prompt_tokens_details")
    read, written = _count(details, "cached_tokens"), _count(details, "cache_write_tokens")
    thinking = _count(_part(raw, "completion_tokens_details"), "reasoning_tokens")
    return {
        "input_tokens": max(_count(raw, "prompt_tokens") - read - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": _count(raw, "completion_tokens"),
        "output_tokens_details": {"thinking_tokens": thinking},
    }


def responses_usage(raw: dict[str, Any]) -> dict[str, Any]:
    """Chat Completions' usage in the words of Responses."""
    details = _part(raw, "prompt_tokens_details")
    put, got = _count(raw, "prompt_tokens"), _count(raw, "completion_tokens")
    thinking = _count(_part(raw, "completion_tokens_details"), "reasoning_tokens")
    return {
        "input_tokens": put,
        "input_tokens_details": {
            "cached_tokens": _count(details, "cached_tokens"),
            "cache_write_tokens": _count(details, "cache_write_tokens"),
        },
        "output_tokens": got,
        "output_tokens_details": {"reasoning_tokens": thinking},
        "total_tokens": _count(raw, "total_tokens") or put + got,
    }


def finish_of_stop(stop: Any) -> str:
    """Chat Completions' finish reason."""
    return FINISH_OF_STOP.get(stop, "stop") if type(stop) is str else "stop"


def stop_of_finish(finish: Any, *, has_calls: bool) -> str:
    """Anthropic's stop reason. Some servers say "stop" after a tool call."""
    stop = STOP_OF_FINISH.get(finish, "end_turn") if type(finish) is str else "end_turn"
    return "tool_use" if has_calls and stop == "end_turn" else stop
