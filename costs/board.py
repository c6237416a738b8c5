"""The dashboard's panels: what there is, and which of it a person sees, in which order and size (pure).

A person's arrangement is kept per project under PREFERENCE as `{"panels": [{"key", "size"}, …]}`; what is not listed is
hidden. Unknown keys and sizes of an older or newer release are passed over, so an arrangement never breaks the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import DomainError

PREFERENCE = "dashboard.panels"
SIZES = {"third": "A third", "half": "Half", "wide": "Two thirds", "full": "Full width"}
MOVES = ("up", "down", "top")


@dataclass(frozen=True)
class Panel:
    """One entry of the catalogue. `url_name` is of a view that takes the project; `shape` is its skeleton's."""

    key: str
    title: str
    about: str
    size: str = "half"
    shape: str = "chart"
    is_default: bool = True
    url_name: str = ""

    @property
    def address(self) -> str:
        return self.url_name or f"costs:{self.key}_panel"


CATALOGUE = (
    Panel("figures", "Key figures", "Spend, calls, cost per call, tokens, errors.", "full", "figures"),
    Panel("spend", "Spend over time", "Spend, calls, tokens or errors by any dimension.", "wide"),
    Panel("mix", "Spend mix", "Shares of the spend by any dimension.", "third"),
    Panel("models", "Top models", "Spend, share, trend, change, calls and p95 of each model.", "wide", "table"),
    Panel(
        "budget", "Budget", "What is left and until when.", "third", url_name="costs:budget_panel"
    ),
    Panel("latency", "Latency", "How long calls take: p50, p90, p95 and p99 over time."),
    Panel("first_token", "Time to first token", "How long a reader waits for the first word: p50 to p99."),
    Panel("tokens", "Tokens by class", "Uncached input, cache reads and writes, output and reasoning."),
    Panel("errors", "Errors by type", "Failed calls over time, by what went wrong."),
    Panel("attention", "Needs attention", "Models without a price, models and agents that fail.", "wide", "lines"),
    Panel("who", "Top agents, users, …", "The dearest values of a dimension of your choice.", "third", "table"),
    Panel("calls", "Calls", "Answered and failed calls over time.", is_default=False),
    Panel("cost_per_call", "Cost per call", "What one priced call costs, beside the period before.", is_default=False),
    Panel("cache", "Cache hit share", "How much of the input came out of a prompt cache.", is_default=False),
    Panel("error_rate", "Error rate", "The share of calls that failed, beside the period before.", is_default=False),
    Panel("users", "Top users", "The dearest users.", "third", "table", is_default=False),
    Panel("features", "Top features", "The dearest features.", "third", "table", is_default=False),
    Panel("tags", "Top tags", "The dearest tags.", "third", "table", is_default=False),
    Panel("keys", "Top API keys", "Which key spent what.", "third", "table", is_default=False),
    Panel(
        "feedback", "Feedback", "Scores by name over time.", is_default=False, url_name="traces:feedback_panel"
    ),
)  # fmt: skip


def listed(available: Sequence[Panel], kept: Mapping[str, Any]) -> list[Panel]:
    """The panels a person sees, in their order and size; the default ones when nothing was kept."""
    entries = kept.get("panels")
    if not isinstance(entries, list):
        return [panel for panel in available if panel.is_default]
    by_key = {panel.key: panel for panel in available}
    found: dict[str, Panel] = {}
    for entry in entries:
        key, size = (
            (entry.get("key"), entry.get("size")) if isinstance(entry, dict) else (None, None)
        )
        if isinstance(key, str) and key in by_key:
            panel = by_key[key]
            found[key] = replace(panel, size=size if size in SIZES else panel.size)
    return list(found.values())


def as_kept(panels: Sequence[Panel]) -> dict[str, Any]:
    """What is kept of an arrangement."""
    return {"panels": [{"key": panel.key, "size": panel.size} for panel in panels]}


def arranged(
    available: Sequence[Panel], shown: Sequence[Panel], *, action: str, key: str, value: str = ""
) -> list[Panel]:
    """`shown` after one step of arranging: show, hide, move (up, down, top) or size.

    Raises DomainError naming the field, its value and what is allowed.
    """
    panel = next((panel for panel in available if panel.key == key), None)
    if panel is None:
        raise DomainError(f"panel is {key[:40]!r}; no such panel.", fields=["panel"])
    now = list(shown)
    place = next((i for i, one in enumerate(now) if one.key == key), -1)
    if action == "show":
        return now if place >= 0 else [*now, panel]
    if action == "hide":
        return [one for one in now if one.key != key]
    if action == "size":
        if value not in SIZES:
            raise DomainError(
                f"value is {value[:40]!r}; a size is one of {', '.join(SIZES)}.", fields=["value"]
            )
        return [replace(one, size=value) if one.key == key else one for one in now]
    if action != "move":
        raise DomainError(
            f"action is {action[:40]!r}; it must be one of show, hide, move, size, reset.",
            fields=["action"],
        )
    if value not in MOVES:
        raise DomainError(
            f"value is {value[:40]!r}; a panel moves {', '.join(MOVES)}.", fields=["value"]
        )
    if place < 0:
        return now
    to = {"up": max(0, place - 1), "down": min(len(now) - 1, place + 1), "top": 0}[value]
    now.insert(to, now.pop(place))
    return now
