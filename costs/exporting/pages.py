"""What pages and the API of exports share: the membership, the filtered list, rows to show."""

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from core.errors import DomainError
from core.models import Job
from costs.exporting import runs
from costs.exporting.ask import DAY, read_asked
from costs.exporting.forms import kind_choices
from costs.focus import source as focus
from costs.models import ExportSchedule
from projects.access import parse_uuid
from projects.exports.job import FORMATS
from projects.exports.registry import source_of

PAGE = 50


@dataclass(frozen=True)
class Listed:
    """A page of exports, newest first; `older` is the id to pass as `before`, or empty."""

    rows: list[Job]
    older: str


def listed(organization_id: UUID, given: Any, *, limit: int = PAGE) -> Listed:
    """Filtered by `state`, `kind` and `schedule`. One query. Raises DomainError naming what cannot be read."""
    rows = runs.exports_of(organization_id)
    state, kind = given.get("state", ""), given.get("kind", "")
    if state and state not in Job.State.values:
        raise DomainError(
            f"state is {state[:40]!r}; it must be one of {', '.join(Job.State.values)}.",
            fields=["state"],
        )
    kinds = [one for one, _ in kind_choices()]
    if kind and kind not in kinds:
        raise DomainError(
            f"kind is {kind[:40]!r}; it must be one of {', '.join(kinds)}.", fields=["kind"]
        )
    if state:
        rows = rows.filter(state=state)
    if kind:
        rows = rows.filter(params__kind=kind)
    if schedule := given.get("schedule", ""):
        rows = rows.filter(params__schedule=str(_id("schedule", schedule)))
    if before := given.get("before", ""):
        rows = rows.filter(pk__lt=_id("before", before))
    found = list(rows.order_by("-pk")[: limit + 1])
    return Listed(found[:limit], str(found[limit - 1].pk) if len(found) > limit else "")


def _id(name: str, text: str) -> UUID:
    found = parse_uuid(text)
    if found is None:
        raise DomainError(f"{name} is {text[:40]!r}; it must be an id.", fields=[name])
    return found


def shown(job: Job) -> dict[str, Any]:
    """A row of the list."""
    return {
        "job": job,
        "ratio": job.percent / 100,
        "rows": job.result.get("rows"),
        "size": job.result.get("bytes"),
        "has_files": bool(job.result.get("files")),
        "schedule": job.params.get("schedule_name", ""),
        "question": question_of(job),
    }


def question_of(job: Job) -> str:
    """What was asked for, in words; the query itself where nobody can read it any more."""
    query = job.params.get("query", "")
    try:
        asked = read_asked(query, now=dt.datetime.fromisoformat(job.params["now"]))
    except (DomainError, KeyError):
        return str(query)
    words = [f"{asked.first} to {asked.end - DAY}"]
    if job.params.get("kind") == focus.KIND:
        words.insert(0, asked.version)
    if job.params.get("is_machine"):
        words.append("for programs")
    if asked.only:
        shown_parts = ", ".join(asked.only[:6])
        words.append(
            f"{len(asked.only)} that changed: {shown_parts}{' …' if len(asked.only) > 6 else ''}"
        )
    return " · ".join(words)


def what_of(schedule: ExportSchedule) -> str:
    """What a schedule sends, in words."""
    label = source_of(schedule.kind, of_organization=True).label
    flavour = " for programs" if schedule.is_machine else ""
    return f"{label} {schedule.version}".strip() + f" as {FORMATS[schedule.format]}{flavour}"
