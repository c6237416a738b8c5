"""How the trace list looks: which columns in which order, and how high a row is (pure)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_COLUMNS = 30


@dataclass(frozen=True)
class Column:
    """One column: its head, the key it sorts by, and the classes of its head cell."""

    label: str
    sort: str = ""
    css: str = "hide-sm"


COLUMNS: dict[str, Column] = {
    "started": Column("Started", sort="started", css=""),
    "name": Column("Trace"),
    "input": Column("Input", css="c-input hide-sm"),
    "cost": Column("Cost", sort="cost", css="r"),
    "duration": Column("Duration", sort="duration", css="r"),
    "tokens": Column("Tokens", sort="tokens", css="r"),
    "steps": Column("Steps", sort="steps", css="c-steps hide-sm"),
    "status": Column("Status"),
    "models": Column("Models"),
    "providers": Column("Providers"),
    "environment": Column("Environment"),
    "agent": Column("Agent"),
    "user": Column("User"),
    "session": Column("Session"),
    "tags": Column("Tags"),
    "release": Column("Release"),
    "calls": Column("Calls", css="r hide-sm"),
    "errors": Column("Errors", css="r hide-sm"),
    "input_tokens": Column("Input tokens", css="r hide-sm"),
    "output_tokens": Column("Output tokens", css="r hide-sm"),
    "scores": Column("Scores"),
    "id": Column("Trace id"),
}
DEFAULT = ("started", "name", "input", "cost", "duration", "tokens", "steps", "status")
# Every row needs its link.
FIXED = "name"
DENSITIES = {"compact": "Compact", "normal": "Normal", "relaxed": "Relaxed"}


@dataclass(frozen=True)
class Layout:
    """What the reader chose, or the default."""

    columns: tuple[str, ...] = DEFAULT
    density: str = "normal"

    @property
    def is_default(self) -> bool:
        return self == Layout()

    def as_json(self) -> dict[str, Any]:
        """For a view or a preference; empty when nothing was chosen."""
        if self.is_default:
            return {}
        return {"columns": list(self.columns), "density": self.density}


def read_layout(kept: Mapping[str, Any]) -> tuple[Layout, list[str]]:
    """A kept layout and what of it no longer exists; whatever it holds, the answer is usable."""
    given = kept.get("columns")
    names = [str(name)[:40] for name in given[:MAX_COLUMNS]] if isinstance(given, list) else []
    density = kept.get("density")
    layout = make_layout(names or DEFAULT, str(density))
    return layout, [name for name in names if name not in COLUMNS]


def make_layout(columns: Iterable[str], density: str) -> Layout:
    """Known columns once each, the link among them, and a known density."""
    known = list(dict.fromkeys(name for name in columns if name in COLUMNS))
    if FIXED not in known:
        known.insert(1 if known[:1] == ["started"] else 0, FIXED)
    return Layout(tuple(known), density if density in DENSITIES else "normal")


def moved(columns: Iterable[str], name: str, step: int) -> list[str]:
    """The columns with one of them a place further up (-1) or down (1)."""
    found = list(columns)
    if name in found:
        at = found.index(name)
        to = min(max(at + step, 0), len(found) - 1)
        found.insert(to, found.pop(at))
    return found
