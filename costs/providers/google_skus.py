"""Google's SKUs, read: which model, token class, tier, prompt size and modality a SKU's description stands for.

The wording changed with every generation (`Generate content input token count gemini 3.5 flash text`,
`Generate_content text cached input token count for gemini 3 pro short`,
`Gemini 2.5 Pro Thinking Text Output - Predictions`), and "short input" in a description is the prompt's size even where
the tokens are output: what the tokens are is decided first, by KINDS in their order. A description about a model
that the tables do not know is `google:unmapped` and keeps its money.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

UNMAPPED = "google:unmapped"


@dataclass(frozen=True)
class Sku:
    """What a SKU charges for."""

    model: str
    token_class: str = "other"  # noqa: S105
    tier: str = "standard"
    context: str = ""
    unit: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the tables know this SKU."""
        return self.model != UNMAPPED


# The first that is found says what is charged.
KINDS: tuple[tuple[str, str], ...] = (
    (r"storage token hours?|\bcach\w* storage\b", "storage"),
    (r"\bground\w*\b|\bgoogle search\b|\bweb search\b|\bgoogle maps\b", "search"),
    (r"\bprovisioned throughput\b|\bthroughput\b", "provisioned"),
    (r"\btuning\b|\btraining\b|\bfine tun\w*", "tuning"),
    (r"\bcached input token|\bcach(?:ed|ing)\b|\bcache read\b", "cache_read"),
    (
        r"\boutput token|\b(?:text|image|audio|video) output\b|\boutput\b(?!.*\binput token)",
        "output",
    ),
    (r"\binput\b", "input"),
    (r"\bimage generation\b|\bimages?\b", "image"),
    (r"\bvideo generation\b|\bvideos?\b", "video"),
)
TIERS: tuple[tuple[str, str], ...] = (
    (r"\bbatch\b", "batch"),
    (r"\bflex\b", "flex"),
    (r"\bpriority\b", "priority"),
    (r"\bprovisioned\b|\bthroughput\b", "provisioned"),
)
# Prompt size: up to, and above, the model's long-prompt threshold.
CONTEXTS: tuple[tuple[str, str], ...] = ((r"\blong\b", "long"), (r"\bshort\b", "short"))
MODALITIES: tuple[tuple[str, str], ...] = (
    (r"\baudio\b", "audio"),
    (r"\bimages?\b", "image"),
    (r"\bvideos?\b", "video"),
    (r"\btext\b", "text"),
)
# The first that is found names the model, as calls name it. A word like "image" after it may be the modality or part
# of the name; it is read as the modality, which is what the charge depends on.
MODELS: tuple[tuple[str, str], ...] = (
    (r"\b(?:gemini )?embedding[ -](\d+)(?: (?:preview|ga))?\b", r"gemini-embedding-\1"),
    (r"\b(gemini-embedding-[\w.]+)", r"\1"),
    (r"\b(text-(?:multilingual-)?embedding-[\w.]+)", r"\1"),
    (
        r"\bgemini[ -]?(\d+(?:\.\d+)?)[ -](pro|flash[ -]lite|flash|nano|ultra)((?:[ -]preview)?)\b",
        r"gemini-\1-\2\3",
    ),
    (r"\b(imagen)[ -]?(\d+(?:\.\d+)?)((?:[ -](?:fast|ultra))?)\b", r"\1-\2\3"),
    (r"\b(veo)[ -]?(\d+(?:\.\d+)?)((?:[ -](?:fast|lite))?)\b", r"\1-\2\3"),
    (r"\b(lyria)[ -]?(\d+(?:\.\d+)?)\b", r"\1-\2"),
    (r"\b(gemma)[ -]?(\d+)((?:[ -]\d+b)?)\b", r"\1-\2\3"),
    # Partner models of Vertex AI.
    (r"\bclaude[ -](opus|sonnet|haiku)[ -](\d+)[. -]?((?:\d{1,2})?)\b", r"claude-\1-\2-\3"),
    (r"\bclaude[ -](\d+)[. -]?((?:\d)?)[ -](opus|sonnet|haiku)\b", r"claude-\1-\2-\3"),
    (r"\b(?:meta )?llama[ -](\d+(?:\.\d+)?)((?:[ -]\d+b)?)", r"llama-\1\2"),
    (r"\b(mistral|codestral|deepseek|qwen|jamba)[ -]([\w.]+)", r"\1-\2"),
)
# A charge of a model's family that no pattern names is a new model, not "no model".
_FAMILY = re.compile(r"\b(?:gemini|imagen|veo|lyria|gemma|claude|embedcontent|generate ?content)\b")
_UNITS = {"storage": "token_hours", "search": "searches", "image": "images", "video": "seconds"}
_CLASSES = {"search": "web_search", "cache_read": "cache_read", "image": "output_image"}


@lru_cache(maxsize=4096)
def read_sku(description: str, *, unit: str = "", label: str = "", given: str = "") -> Sku:
    """What the SKU stands for; never raises. `unit` is the export's `usage.unit`, `label` its row's model label,
    `given` a model that people say it stands for."""
    text = re.sub(r"[\s_]+", " ", description.lower()).strip()
    kind = _first(KINDS, text)
    model = given or _model(text) or _labelled(label)
    if not model and kind not in ("storage", "search") and (_FAMILY.search(text) or label):
        return Sku(UNMAPPED, tier=_first(TIERS, text) or "standard", unit=_unit_of(unit))
    return Sku(
        model=model,
        token_class=_token_class(kind, text),
        tier=_first(TIERS, text) or "standard",
        context=_first(CONTEXTS, text),
        unit=_UNITS.get(kind) or ("tokens" if kind and unit in ("count", "") else _unit_of(unit)),
    )


def _first(table: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for pattern, name in table if re.search(pattern, text)), "")


def _unit_of(unit: str) -> str:
    return {"count": "count", "hour": "hours", "second": "seconds"}.get(unit, unit)


def _model(text: str) -> str:
    for pattern, name in MODELS:
        found = re.search(pattern, text)
        if found:
            return re.sub(r"[ -]+", "-", found.expand(name)).strip("-")
    return ""


def _labelled(label: str) -> str:
    """`gemini35flash` → gemini-3.5-flash; a slug in another form is taken as it is."""
    slug = label.lower().strip()
    found = re.fullmatch(r"gemini(\d)(\d?)(pro|flashlite|flash)(preview)?", slug)
    if not found:
        return slug if slug.startswith("gemini-") else ""
    version = found[1] + (f".{found[2]}" if found[2] else "")
    parts = ["gemini", version, found[3].replace("flashlite", "flash-lite"), found[4] or ""]
    return "-".join(filter(None, parts))


def _token_class(kind: str, text: str) -> str:
    if kind not in ("input", "output"):
        return _CLASSES.get(kind, "other")
    # The family's words come before the modality's; a video's tokens are charged as input like any other.
    modality = _first(MODALITIES, text)
    return f"{kind}_{modality}" if modality in ("audio", "image") else kind
