"""Answers kept in Redis as long as no call of the projects changes (costs.caching), and as CSV."""

import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from core.csv_cells import inert
from costs import caching
from costs.explorer.ask import Answer, Question, answer
from costs.explorer.dimensions import team_version
from costs.explorer.measures import MEASURES, Value
from costs.explorer.pivot import Pivot, pivoted
from costs.models import ProjectUsage
from costs.selectors.usage import UsageMark
from projects.models import Project

# Verdicts on traces come and go without a new version of the ledger.
_UNCACHED = ("solved_tasks",)
T = TypeVar("T")


def cached_answer(question: Question) -> Answer:
    """The answer, from Redis while the ledgers of its projects are as they were. One query, else those of `answer`.

    What depends on scores is always worked out anew.
    """
    return _kept(question, (), lambda: answer(question))


def cached_pivot(question: Question, *, columns: int) -> Pivot:
    """The same for a pivot."""
    return _kept(question, ("pivot", columns), lambda: pivoted(question, columns=columns))


def _kept(question: Question, more: tuple[object, ...], compute: Callable[[], T]) -> T:
    measures = [MEASURES[name] for name in (*question.measures, question.ranked_by)]
    if not question.project_ids or any(one.distinct in _UNCACHED for one in measures):
        return compute()
    marks = dict(
        ProjectUsage.objects.filter(project_id__in=question.project_ids).values_list("project_id", "version")
    )  # fmt: skip
    versions = [f"{one.hex}:{marks.get(one, 0)}" for one in question.project_ids]
    teams = team_version(question.project_ids) if uses_teams(question) else ""
    mark = UsageMark(int(hashlib.sha256(",".join(versions).encode()).hexdigest()[:15], 16))
    key = ("explorer", *more, question.key, teams)
    return caching.cached(question.project_ids[0], mark, key, compute)


def uses_teams(question: Question) -> bool:
    return "team" in question.by or any(name == "team" for name, _ in question.filters)


def answer_csv(found: Answer, *, before: Answer | None = None) -> str:
    """One line per row, the rest and the total last; an empty cell is unknown, `(other)` stands for the rest."""
    question = found.question
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    past = {row.key: row for row in before.groups} if before else {}
    head = [*(["start"] if question.bin else []), *question.by, *question.measures]
    writer.writerow([*head, *(f"previous_{name}" for name in question.measures if before)])
    bins = bool(question.bin)
    lines = [*found.rows, *found.other_bins] if bins else list(found.rows)
    if found.other and not bins:
        lines.append(found.other)
    for row in [*lines, found.total]:
        own = ("(other)",) * len(question.by) if row.key is None else row.key
        words = own or ("(total)",) * len(question.by)
        at = [row.at.isoformat() if row.at else "(total)"] if bins else []
        earlier = before.total if before and row is found.total else past.get(row.key)
        cells = [_cell(row[name]) for name in question.measures]
        cells += [_cell(earlier[name]) if earlier else "" for name in question.measures if before]
        writer.writerow([*at, *(inert(word) for word in words), *cells])
    return out.getvalue()


def _cell(value: Value) -> str:
    """Every digit."""
    if value is None:
        return ""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def project_ids_of(organization_id: UUID) -> Sequence[UUID]:
    """The organisation's projects but those being deleted, in a fixed order. One query."""
    rows = Project.objects.filter(organization_id=organization_id)
    return list(
        rows.exclude(status=Project.Status.DELETING).order_by("pk").values_list("pk", flat=True)
    )
