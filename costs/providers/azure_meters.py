"""Azure's meters, read: which model, token class, tier and scope a meter's name stands for.

Azure bills meters, and the same thing is written in half a dozen ways (`GPT 5 Mini cchd Inpt Glbl 1M Tokens`,
`5.4 cd inp Gl 1M Tokens`, `gpt-5-codex-inp-glbl Tokens`). A name is taken apart into words; the tables below say
what each word means, and what is left over must be a model's name by one of MODELS. A meter with a word that nobody
here knows is `azure:unmapped`: it keeps its money and shows up for review instead of being guessed.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

UNMAPPED = "azure:unmapped"
PROVISIONED = "azure:provisioned"


@dataclass(frozen=True)
class Meter:
    """What a meter charges for. `scale` turns Azure's quantity (thousands, millions) into `unit`s."""

    model: str
    token_class: str = "other"  # noqa: S105
    tier: str = "standard"
    scope: str = "regional"
    context: str = ""
    unit: str = "tokens"
    scale: Decimal = Decimal(1)

    @property
    def is_known(self) -> bool:
        """Whether the tables know this meter."""
        return self.model != UNMAPPED


SCOPES = {
    **dict.fromkeys(("glbl", "global", "gl", "glb"), "global"),
    **dict.fromkeys(("dz", "dzone", "dzn", "datazone"), "data_zone"),
    **dict.fromkeys(("regnl", "rgnl", "regional", "regn", "rg"), "regional"),
}
DIRECTIONS = {
    **dict.fromkeys(("inp", "inpt", "in", "input"), "input"),
    **dict.fromkeys(("out", "outp", "opt", "outpt", "output"), "output"),
}
CACHED = frozenset({"cchd", "cd", "cached", "cched", "ccchd", "cache", "ch"})
WRITES = frozenset({"wr", "write"})
TIERS = {"batch": "batch", "pp": "priority", "priority": "priority", "flex": "flex"}
CONTEXTS = {"longco": "long", "shortco": "short", "l": "long"}
MODALITIES = {
    **dict.fromkeys(("aud", "audio"), "audio"),
    **dict.fromkeys(("img", "image"), "image"),
    **dict.fromkeys(("txt", "text"), "text"),
}
# Fine-tuning: the calls of a tuned model are tokens; its hosting, training and grading are not.
TUNED = frozenset({"ft", "rft"})
TUNING = {
    **dict.fromkeys(("hosting", "hstng"), "hosting"),
    **dict.fromkeys(("training", "trng"), "training"),
    **dict.fromkeys(("grader", "grdr"), "grading"),
}
# What is counted; the second says how many a quantity of one is when the name has no 1M.
UNITS = {
    "tokens": ("tokens", 1000),
    "unit": ("hours", 1),
    "units": ("hours", 1),
    "video": ("seconds", 1),
    "second": ("seconds", 1),
    "gb": ("gibibyte_days", 1),
    "images": ("images", 100),
    "pages": ("pages", 1000),
    "characters": ("characters", 1_000_000),
    "session": ("sessions", 1),
    "calls": ("calls", 1000),
    "search": ("searches", 1000),
}
NOISE = frozenset(
    {"az", "1m", "1k", "std", "standard", "tkn", "token", "dev", "mdl", "mdel", "model", "ep",
        "deployment", "available",
    }
)  # fmt: skip
# Words that Azure glues together, spelled apart before anything else is read.
SPELLINGS = (
    (r"data zone", "dz"),
    (r"\bdeepseek ?v(\d)", r"deepseek v\1"),
    (r"prvw(aud|txt)(inp|outp)\b", r"prvw \1 \2"),
    (r"\bfine tuned?\b", "ft"),
    (r"\bgpt ?4o ?mini", "gpt 4o mini "),
    (r"\bgpt4o", "gpt 4o "),
    (r"\bmn\b", "mini"),
    (r"\b(aud|txt|mini) ?(\d{4})\b", r"\1 \2"),
    (r"\bbatchoutp", "batch outp"),
    (r"\b(?:turbo|trb) ?(4|8|16|128)k", r"turbo \1k"),
    (r"\b(?:gpt )?35\b", "gpt 3.5"),
    (r"\bgpt ?4 turbo", "gpt 4 turbo"),
    (r"\bgpt35", "gpt 3.5"),
    (r"\bgrok ?(\d)", r"grok \1"),
    (r"\bllama ?(\d)", r"llama \1"),
    (r"\brealtime ?(?:prvw|preview)\b|\brtime\b|\brt\b", "realtime"),
    (r"\b3b ?ft(?=[a-z])", "3b ft "),
    (r"\b(high|low) ?res\b", ""),
    # Here the modality is the model's name, not what the tokens carry.
    (r"^gpt (?:img|image)\b|^image(?= \d)", "gptimage"),
    (r"^gpt (?:aud|audio)\b", "gptaudio audio"),
    (r"\b4o( mini)? +(?:aud|audio)\b(?! (?:in|out|cd|cchd))", r"4oaudio\1 audio"),
    (r"\btext embedding", "embedding"),
    (r"\bembeddings\b", "embedding"),
    (r"\b(speech) text to speech\b|\btext to speech\b", "tts"),
    (r"\bspeech (?:text )?to text\b", ""),
    (r"\bspeech text\b", ""),
)
_VARIANT = (
    r"(?: (?:mini|nano|pro|chat|codex|max|turbo|vision|instruct|luna|sol|terra|latest|tts|search))*"
)
# What is left of a name once the words above are gone → the model, as calls name it. The first that fits whole.
MODELS: tuple[tuple[str, str], ...] = (
    (r"(?:gpt )?realtime( translate| whisper)", r"gpt-realtime\1"),
    (r"(?:gpt )?realtime( \d(?:\.\d)?)?( mini)?(?: \d{4})?", r"gpt-realtime\1\2"),
    (r"gpt realtime( mini) \d{4}", r"gpt-realtime\1"),
    (r"(?:gpt )?4o( mini)? realtime(?: \d{4})?", r"gpt-4o\1-realtime-preview"),
    (r"(?:gpt )?4oaudio( mini)?(?: \d{4})?", r"gpt-4o\1-audio-preview"),
    (r"gptaudio( \d(?:\.\d)?)?( mini)?(?: \d{4})?", r"gpt-audio\1\2"),
    (r"gptimage( \d(?:\.\d)?)( mini)?(?: \d{4})?", r"gpt-image\1\2"),
    (r"(?:gpt )?4o (?:tcrb|trscb|transcribe) d", "gpt-4o-transcribe-diarize"),
    (r"(?:gpt )?4o( mini)? (?:tcrb|trscb|transcribe)(?: \d{4})?", r"gpt-4o\1-transcribe"),
    (r"(?:gpt )?(3\.5|4o?|4\.1|4\.5|[5-9](?:\.\d)?)((?: (?:mini|nano))?) (\d{4})", r"gpt-\1\2 @\3"),
    (
        rf"(?:gpt )?(3\.5|4o?|4\.1|4\.5|[5-9](?:\.\d)?)({_VARIANT})(?: (?:4k|8k|16k|128k))*(?: \d{{3,8}})?",
        r"gpt-\1\2",
    ),
    (r"gpt 4 32k", "gpt-4-32k"),
    (r"gpt latest(?: \d{8})?", "gpt-latest"),
    (r"chat latest(?: \d{8})?", "chat-latest"),
    (r"(o[134])((?: (?:mini|pro|preview|deep research))?)(?: (\d{4}))", r"\1\2 @\3"),
    (r"(o[134])((?: (?:mini|pro|preview|deep research))?)", r"\1\2"),
    (r"codex mini", "codex-mini"),
    (r"computer use", "computer-use-preview"),
    (r"(?:gpt )?(?:oss )?(20b|120b)", r"gpt-oss-\1"),
    (r"embedding ada(?: 002)?", "text-embedding-ada-002"),
    (r"embedding 3 (small|large)", r"text-embedding-3-\1"),
    (r"(babbage|davinci) 002(?: base)?", r"\1-002"),
    (r"(?:gpt )?dall e (2|3)(?: hd)?", r"dall-e-\1"),
    (r"sora( \d(?: pro)?)?(?: (?:480p|720p|1080p))?(?: sq)?(?: \d+ \d+s)?", r"sora\1"),
    (r"whisper", "whisper"),
    (r"tts( hd)?", r"tts-1\1"),
    (
        r"(?:fw )?(?:deepseek )?(v3|v3\.\d|v4|r1)((?: (?:pro|flash|sp))?)(?: \d{4})?",
        r"deepseek-\1\2",
    ),
    (r"mai ds r1", "mai-ds-r1"),
    (r"(?:fw )?(?:kimi )?(k2(?:\.\d)?)((?: (?:thinking|code))?)", r"kimi-\1\2"),
    (r"fw glm (\d(?:\.\d)?)", r"glm-\1"),
    (r"fw minimax m?(\d(?:\.\d)?)", r"minimax-m\1"),
    (r"fw gpt oss (20b|120b)", r"gpt-oss-\1"),
    (r"(?:grok )?(4\.[23]|3|4)((?: (?:mini|fast))?)", r"grok-\1\2"),
    (r"grok (\d(?:\.\d)?)((?: (?:mini|fast|code))*)(?: \d+)?", r"grok-\1\2"),
    (r"(?:grok )?code fast(?: 1)?", "grok-code-fast-1"),
    (r"(?:llama )?(3\.3|3\.1|4) (8b|70b|405b|maverick 17b|scout 17b)", r"llama-\1 \2"),
    (r"(?:mistral )?large (\d)", r"mistral-large-\1"),
    (r"(?:mm|(?:mistral )?medium )(\d\.\d)", r"mistral-medium-\1"),
    (r"(?:mnstrl|ministral) (\d+b)", r"ministral-\1"),
    (r"codestral", "codestral"),
    (r"(?:mistral )?small (\d(?:\.\d)?)", r"mistral-small-\1"),
    (r"(?:ocr|doc ai)(?: (\d))?(?: annot)?(?: \d{4})?", "mistral-ocr"),
    (r"command a( plus)?", r"command-a\1"),
    (r"embed v4", "embed-v4.0"),
    (r"rerank v4( pro| fast)", r"rerank-v4.0\1"),
    # Azure's tools carry no model.
    (r"code interpreter|(?:assistants )?file search(?: tool)?|web search", ""),
)
# Azure gives a release's month and day only.
_RELEASES = {
    "0513": "2024-05-13", "0718": "2024-07-18", "0806": "2024-08-06", "0912": "2024-09-12", "1120": "2024-11-20",
    "1217": "2024-12-17", "0131": "2025-01-31", "0227": "2025-02-27", "0416": "2025-04-16", "0626": "2025-06-26",
}  # fmt: skip


@lru_cache(maxsize=4096)
def read_meter(name: str, given: str = "") -> Meter:
    """What the meter stands for; never raises, and what it does not know is UNMAPPED. `given` is a model that people
    say it stands for: then only the other words are read."""
    words = _spelled_out(name).split()
    if "provisioned" in words[:2] and not given:
        return _provisioned(words)
    facts, rest = _facts(words)
    model = given or _model(" ".join(rest))
    unit, scale = UNITS.get(facts.get("unit", ""), ("", 1))
    if "1m" in words and unit == "tokens":
        scale = 1_000_000
    token_class = _token_class(facts, model or "", unit)
    if facts.get("tuned") and model and not given:
        model = f"ft:{model}"
    is_understood = model is not None and bool(unit)
    return Meter(
        model=model if model is not None and (is_understood or given) else UNMAPPED,
        token_class=token_class if is_understood else "other",
        tier=facts.get("tier", "standard"),
        scope=facts.get("scope", "regional"),
        context=facts.get("context", ""),
        unit=unit if is_understood else "",
        scale=Decimal(scale) if is_understood else Decimal(1),
    )


def _spelled_out(name: str) -> str:
    text = re.sub(r"[\s_/()\-]+", " ", name.lower()).strip()
    for pattern, better in SPELLINGS:
        text = re.sub(pattern, better, text)
    return re.sub(r" +", " ", text).strip()


def _provisioned(words: list[str]) -> Meter:
    scope = next((SCOPES[word] for word in words if word in SCOPES), "regional")
    return Meter(model=PROVISIONED, tier="provisioned", scope=scope, unit="hours")


def _facts(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """The words of the tables by what they say, and the words left over, in their order."""
    facts: dict[str, str] = {}
    rest: list[str] = []
    tables = {
        "scope": SCOPES, "direction": DIRECTIONS, "tier": TIERS, "context": CONTEXTS,
        "modality": MODALITIES, "tuning": TUNING,
    }  # fmt: skip
    for word in words:
        about = next((about for about, table in tables.items() if word in table), "")
        if about:
            facts[about] = tables[about][word]
        elif word in CACHED:
            facts["cached"] = "yes"
        elif word in WRITES:
            facts["write"] = "yes"
        elif word in TUNED:
            facts["tuned"] = "yes"
        elif word in UNITS and (word != "search" or word == words[-1]):
            facts["unit"] = word
        elif word not in NOISE:
            rest.append(word)
    return facts, rest


def _model(rest: str) -> str | None:
    for pattern, name in MODELS:
        found = re.fullmatch(pattern, rest)
        if found:
            text, _, release = found.expand(name).partition("@")
            release = _RELEASES.get(release, release)
            return re.sub(r"[ -]+", "-", f"{text} {release}".strip())
    return None


def _token_class(facts: dict[str, str], model: str, unit: str) -> str:
    if facts.get("tuning") or unit == "hours":
        return "other"
    if unit == "searches":
        return "request"
    if unit == "images":
        return "output_image"
    if unit != "tokens":
        return "other"
    if "cached" in facts:
        return "cache_write" if "write" in facts else "cache_read"
    direction = facts.get("direction", "input" if "embed" in model else "")
    modality = facts.get("modality", "text")
    if not direction:
        return "other"
    return direction if modality == "text" else f"{direction}_{modality}"
