"""A translated Chat Completions request as the server behind it takes it (pure).

Only for requests made here: one that came on this wire goes on as the client wrote it.
"""

from typing import Any

from gateway.dialects import model_traits
from gateway.dialects.schemas import for_google

# Google answers 400 for every field it does not know.
_GOOGLES = frozenset(
    {
        "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop",
        "stream", "stream_options", "tools", "tool_choice", "response_format", "reasoning_effort",
        "n",
    }
)  # fmt: skip


def without_searches(tools: list[Any], choice: Any, dropped: list[str]) -> list[Any]:
    """The tools without the provider's own web search, where there are others and none is forced: agents (Codex) offer
    it with every request, and can do without. Alone it is what was asked for, and stays to be refused."""
    kept = [tool for tool in tools if not _is_search(tool)]
    names = {tool.get("name") for tool in tools if _is_search(tool)}
    is_forced = type(choice) is dict and (
        _is_search(choice) or choice.get("name") in names - {None}
    )
    if len(kept) == len(tools) or not kept or is_forced:
        return tools
    dropped.append("tools.web_search")
    return kept


def _is_search(tool: Any) -> bool:
    kind = tool.get("type") if type(tool) is dict else None
    return type(kind) is str and kind.startswith(("web_search", "web_fetch"))


def fit(made: dict[str, Any], *, kind: str, dropped: list[str]) -> None:
    """Take out of `made` what the server of this kind, or the model, refuses; `dropped` gets its names."""
    model = made["model"]
    if not model_traits.takes_sampling_in_chat(model):
        # One is what they use: saying so is refused by none.
        _drop(made, [name for name in ("temperature", "top_p") if made.get(name) != 1], dropped)
    if "reasoning_effort" in made and type(made["reasoning_effort"]) is str:
        made["reasoning_effort"] = model_traits.fitting_effort(model, made["reasoning_effort"])
    if kind == "gemini":
        _drop(made, [name for name in made if name not in _GOOGLES], dropped)
        for tool in made.get("tools") or ():
            function = tool["function"]
            function.pop("strict", None)
            if "parameters" in function:
                function["parameters"] = for_google(function["parameters"])


def _drop(made: dict[str, Any], names: list[str], dropped: list[str]) -> None:
    for name in names:
        if made.pop(name, None) is not None:
            dropped.append(name)
