"""What a model's name says about the parameters it takes (pure).

Only where the same request is right for one model and refused by the next; an unknown name counts as a new model.
"""

import re

_CLAUDE = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)")
_OPENAI = re.compile(r"(?:^|/)(?:o\d|gpt-|chatgpt-|codex-)")
_OPENAI_THINKS = re.compile(r"(?:^|/)(?:o\d|gpt-[5-9]|gpt-oss|codex-)")
_GPT = re.compile(r"(?:^|/)gpt-(\d+)(?:\.(\d+))?")
_GEMINI_THINKS = re.compile(r"gemini-(?:2\.5|[3-9])")
_REASONS_ON = re.compile(r"deepseek|kimi|glm-|minimax", re.IGNORECASE)
_NEWEST = (99, 0)


def claude_version(model: str) -> tuple[int, int]:
    """(4, 6) for claude-opus-4-6; later than all others when the name tells none."""
    found = _CLAUDE.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else _NEWEST


def is_claude(model: str) -> bool:
    """Whether the name is a Claude's."""
    return _CLAUDE.search(model) is not None


def takes_sampling(model: str) -> bool:
    """Whether a Claude model takes temperature and top_p: from 4.7 on they are refused."""
    return claude_version(model) < (4, 7)


def thinks_adaptively(model: str) -> bool:
    """Whether a Claude model decides itself how much to think (4.6 on); older ones want a budget."""
    return claude_version(model) >= (4, 6)


def takes_json_schema(model: str) -> bool:
    """Whether a Claude model has structured output of its own (4.5 on); older ones are given a tool."""
    return claude_version(model) >= (4, 5)


def default_max_tokens(model: str) -> int:
    """The output limit for a Claude model when the client, whose wire needs none, stated none."""
    version = claude_version(model)
    if version >= (4, 0):
        return 16_384
    return 8_192 if version >= (3, 5) else 4_096


def fitting_effort(model: str, effort: str) -> str:
    """The effort in the words the model knows: `xhigh` came with GPT-5.2, `max` with GPT-6."""
    version = _GPT.search(model)
    known = (int(version[1]), int(version[2] or 0)) if version else (0, 0)
    if effort == "max" and known < (6, 0):
        effort = "xhigh"
    return "high" if effort == "xhigh" and known < (5, 2) else effort


def takes_sampling_in_chat(model: str) -> bool:
    """Whether a model behind Chat Completions takes temperature and top_p: OpenAI's that think refuse them."""
    return not _OPENAI_THINKS.search(model) or "gpt-oss" in model


def takes_effort(model: str) -> bool:
    """Whether a model behind Chat Completions takes `reasoning_effort`; those that do not think refuse it."""
    return bool(_OPENAI_THINKS.search(model) or _GEMINI_THINKS.search(model))


def wants_reasoning_back(model: str) -> bool:
    """Whether the model goes on thinking after tool calls and is to see what it thought before them."""
    return bool(_REASONS_ON.search(model))


def limit_field(model: str, kind: str) -> str:
    """The name of the output limit: OpenAI's models want the new one, many compatible servers know the old one only."""
    is_new = kind in ("openai", "azure") or bool(_OPENAI.search(model))
    return "max_completion_tokens" if is_new else "max_tokens"
