"""Forecasts, anomalies and their causes in words and links (no queries)."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from core import formats
from core.ranges import instant
from costs.filters import NONE
from costs.forecasting.series import DAY, Name
from costs.labels import label_of
from costs.models import SeriesKind, SpendAnomaly, SpendForecast
from projects.models import Project

_FILTERS = {"model": "model", "feature": "feature", "user": "user"}
_WORDS = {
    "model": "model",
    "feature": "feature",
    "user": "user",
    "prompt_version": "prompt version",
}


def name_of(row: SpendForecast | SpendAnomaly) -> Name:
    return Name(row.kind, row.value, row.project_id, row.label)


def title_of(row: SpendForecast | SpendAnomaly) -> str:
    """What a series is called: `gpt-4o`, `Anthropic`, `Everything`, a budget's or project's name."""
    if row.kind == SeriesKind.TOTAL:
        return row.project.name if row.project else "Everything"
    return row.label or label_of(row.kind, row.value)


def scope_of(row: SpendForecast | SpendAnomaly) -> str:
    """Where it counts: a project's name, or that it is all of them."""
    return row.project.name if row.project else "All projects"


def off_by(share: Decimal | None) -> str:
    """`±8 %`; a dash when unknown. Beyond the whole, how far is no news."""
    if share is None:
        return formats.DASH
    return f"±{formats.percent(share)}" if share <= 1 else "over ±100%"


@dataclass(frozen=True)
class ShownCause:
    """One row of what moved a day. `parts` are (word, value) of what was fixed; empty: everything else."""

    parts: list[tuple[str, str]]
    usd: Decimal
    share: Decimal
    actual_usd: Decimal
    expected_usd: Decimal
    says: str
    href: str


def causes_of(row: SpendAnomaly, projects: Mapping[str, Project]) -> list[ShownCause]:
    """The stored causes for reading; `projects` by id, those the reader may see."""
    return [_cause(row, one, projects) for one in row.causes]


def _cause(row: SpendAnomaly, one: dict[str, Any], projects: Mapping[str, Project]) -> ShownCause:
    where = dict(one["where"])
    project = projects.get(where.pop("project", str(row.project_id or "")))
    parts = [("project", project.name)] if project and "project" in one["where"] else []
    for name, value in where.items():
        shown = (
            "other users" if name == "user" and one.get("is_other_users") else label_of(name, value)
        )
        parts.append((_WORDS[name], shown))
    usd = Decimal(one["usd"])
    return ShownCause(
        parts,
        usd,
        usd / row.excess_usd if row.excess_usd else Decimal(0),
        Decimal(one["actual_usd"]),
        Decimal(one["expected_usd"]),
        _says(one),
        _traces(row, where, project, is_others=bool(one.get("is_other_users"))),
    )


def moved_by(row: SpendAnomaly) -> str:
    """` · moved by gpt-5, nightly`; empty where no single cause was found."""
    where = row.causes[0]["where"] if row.causes else {}
    named = [label_of(name, value) for name, value in where.items() if name != "project"]
    return f" · moved by {', '.join(named)}" if named else ""


def _says(one: dict[str, Any]) -> str:
    """Whether there were more calls, or dearer ones."""
    calls, usual = int(one["calls"]), int(one["expected_calls"])
    if not usual:
        return f"{formats.count(calls)} calls, none before"
    if not calls:
        return f"no calls, {formats.count(usual)} usually"
    now = Decimal(one["actual_usd"]) / calls
    before = Decimal(one["expected_usd"]) / usual
    said = f"{formats.count(calls)} calls, usually {formats.count(usual)}"
    if before > 0 and not Decimal("0.8") < now / before < Decimal("1.25"):
        said += f"; {formats.money(now)} each, usually {formats.money(before)}"
    return said


def _traces(
    row: SpendAnomaly, where: dict[str, str], project: Project | None, *, is_others: bool
) -> str:
    """The day's traces of that cause; empty where no one project holds them."""
    if project is None:
        return ""
    start = dt.datetime.combine(row.day, dt.time(), dt.UTC)
    pairs = [("range", f"{instant(start)}..{instant(start + DAY)}")]
    if row.kind in ("model", "provider") and row.kind not in where:
        pairs.append((row.kind, row.value))
    pairs += [
        (_FILTERS[name], value or NONE)
        for name, value in where.items()
        if name in _FILTERS and not (name == "user" and is_others)
    ]
    address = reverse("traces:trace_list", kwargs={"slug": getattr(project, "ref", project.pk)})
    return f"{address}?{urlencode(pairs)}"
