"""What the command palette finds in a project as one types: traces, sessions, users, models. Small bounded reads."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.urls import reverse

from costs.models import CostAggregate, Dimension
from projects.models import Project
from traces.models import SessionRow, Trace, UserRow

EACH = 5
# A name is looked for among the newest traces only, however many there are.
NEWEST = 2_000
MODELS_OF = dt.timedelta(days=30)
MAX_TEXT = 100
# Sorts after every character an id may hold.
AFTER_ALL = "\U0010ffff"


@dataclass(frozen=True)
class Found:
    """One line of the palette."""

    label: str
    detail: str
    href: str


@dataclass(frozen=True)
class Group:
    """Lines of one kind, under their heading."""

    heading: str
    icon: str
    rows: list[Found]


def palette_groups(project: Project, text: str, *, now: dt.datetime) -> list[Group]:
    """Up to five of each kind that match `text`; nothing for an empty one. Five queries."""
    text = text.replace("\x00", "").strip()[:MAX_TEXT]
    if not text:
        return []
    groups = [
        Group("Traces", "list-tree", _traces(project, text)),
        Group("Sessions", "messages-square", _sessions(project, text)),
        Group("Users", "user", _users(project, text)),
        Group("Models", "brain", _models(project, text, now=now)),
    ]
    return [group for group in groups if group.rows]


def _starting(rows: QuerySet[Trace], column: str, text: str) -> QuerySet[Trace]:
    """Rows whose `column` begins with `text`: a range, so that the key's index serves it in any collation of bytes."""
    return rows.filter(**{f"{column}__gte": text, f"{column}__lt": text + AFTER_ALL})


def _traces(project: Project, text: str) -> list[Found]:
    mine = Trace.objects.filter(project=project)
    by_id = list(_starting(mine, "trace_id", text).order_by("trace_id")[:EACH])
    newest = mine.order_by("-started_at", "-trace_id").values("trace_id")[:NEWEST]
    by_name = (
        mine.filter(trace_id__in=newest, name__icontains=text)
        .order_by("-started_at", "-trace_id")
        .only("trace_id", "name", "status", "started_at")[:EACH]
    )
    found = {trace.trace_id: trace for trace in [*by_id, *by_name]}
    return [
        Found(
            trace.name or trace.trace_id,
            trace.trace_id,
            reverse(
                "traces:trace_detail", kwargs={"slug": project.ref, "trace_id": trace.trace_id}
            ),
        )
        for trace in list(found.values())[:EACH]
    ]


def _sessions(project: Project, text: str) -> list[Found]:
    newest = SessionRow.objects.filter(project=project).order_by("-last_at", "-session_id")
    ids = newest.values_list("session_id", flat=True)[:NEWEST]
    return [_narrowed(project, "session", value) for value in _containing(ids, text)]


def _users(project: Project, text: str) -> list[Found]:
    newest = UserRow.objects.filter(project=project).order_by("-last_at", "-user_id")
    ids = newest.values_list("user_id", flat=True)[:NEWEST]
    return [_narrowed(project, "user", value) for value in _containing(ids, text)]


def _models(project: Project, text: str, *, now: dt.datetime) -> list[Found]:
    names = (
        CostAggregate.objects.filter(
            project=project, dimension=Dimension.ALL, hour__gte=now - MODELS_OF
        )
        .filter(model__icontains=text)
        .values_list("model", flat=True)
        .distinct()[:NEWEST]
    )
    return [_narrowed(project, "model", value) for value in _containing(names, text)]


def _containing(values: Iterable[str], text: str) -> list[str]:
    needle = text.casefold()
    return [value for value in values if needle in value.casefold()][:EACH]


def _narrowed(project: Project, facet: str, value: str) -> Found:
    """The traces of a session, user or model."""
    base = reverse("traces:trace_list", kwargs={"slug": project.ref})
    return Found(value, "", f"{base}?{urlencode({'range': '30d', facet: value})}")
