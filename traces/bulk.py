"""Tagging, untagging and deleting many traces: a handful at once, larger sets as a job in steps.

A job walks the traces that matched when it was started, by id, so it resumes after a kill and never meets one twice.
Which traces a tagging job really changed is kept with it (up to 20,000), so that it can be undone exactly.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db import transaction
from django.db.models import F, Func, Value
from django.http import QueryDict

from accounts.models import User
from accounts.services import record_audit_event
from core import jobs, live
from core.errors import DomainError, NotFoundError
from core.models import Job
from projects.models import Project
from traces.filters import TraceFilters, parse_filters
from traces.models import Trace
from traces.removal import remove_traces
from traces.selectors.listing import matching

Action = Literal["tag", "untag", "delete"]
ACTIONS: tuple[Action, ...] = ("tag", "untag", "delete")
KIND = "traces.bulk"
DIRECT = 200
TAG_STEP = 1_000
DELETE_STEP = 200
UNDO_CAP = 20_000
MAX_TAG = 200
MAX_TAGS = 50
DONE_WORDS = {"tag": "tagged", "untag": "untagged", "delete": "deleted"}


@dataclass(frozen=True)
class Outcome:
    """What became of a bulk action: how many were changed and which, or the job that does it."""

    changed: tuple[str, ...] = ()
    job: Job | None = None


def clean_tag(text: str) -> str:
    """A tag as it may be stored. Raises DomainError."""
    tag = " ".join(text.replace("\x00", "").split())
    if not 1 <= len(tag) <= MAX_TAG:
        raise DomainError(f"tag must have 1 to {MAX_TAG} characters.", fields=["tag"])
    return tag


def check_action(action: str) -> Action:
    """Raises DomainError for anything else."""
    for one in ACTIONS:
        if action == one:
            return one
    raise DomainError(
        f"action is {action[:40]!r}; it must be one of {', '.join(ACTIONS)}.", fields=["action"]
    )


def change_chosen(
    *,
    project: Project,
    actor: User | None,
    actor_label: str = "",
    action: Action,
    ids: Sequence[str],
    tag: str = "",
    now: dt.datetime,
) -> Outcome:
    """Change the named traces now; unknown ids are skipped. Raises DomainError when there are too many."""
    wanted = sorted({one.replace("\x00", "") for one in ids if one})
    if not wanted:
        raise DomainError("No trace is selected; select some first.", fields=["ids"])
    if len(wanted) > DIRECT:
        raise DomainError(
            f"ids names {len(wanted)} traces; at most {DIRECT} at once. Use a query for more.",
            fields=["ids"],
        )
    with transaction.atomic():
        changed = _apply(project, action, wanted, tag, now)
        _audit(project, actor, actor_label, action, tag, len(changed))
    return Outcome(tuple(changed))


def change_matching(
    *,
    project: Project,
    actor: User | None,
    actor_label: str = "",
    action: Action,
    filters: TraceFilters,
    tag: str = "",
    now: dt.datetime,
) -> Outcome:
    """Change every trace that matches: at once when they are few, else as a job."""
    found = matching(project, filters).order_by("trace_id").values_list("trace_id", flat=True)
    few = list(found[: DIRECT + 1])
    if len(few) <= DIRECT:
        if not few:
            raise DomainError("No trace matches; nothing was changed.", fields=["query"])
        return change_chosen(
            project=project, actor=actor, actor_label=actor_label, action=action, ids=few, tag=tag, now=now
        )  # fmt: skip
    total = found.count()
    title = {
        "tag": f"Tag {total:,} traces {tag!r}",
        "untag": f"Remove the tag {tag!r} from {total:,} traces",
    }
    with transaction.atomic():
        job = jobs.start(
            kind=KIND,
            title=title.get(action, f"Delete {total:,} traces")[:200],
            organization_id=project.organization_id,
            project_id=project.pk,
            created_by_id=actor.pk if actor else None,
            total=total,
            # Fixed instants: what arrives meanwhile is not touched.
            params={
                "action": action,
                "tag": tag,
                "query": filters.query(range=filters.range.explicit),
                "asked_at": filters.now.isoformat(),
            },
            now=now,
        )
        _audit(project, actor, actor_label, action, tag, total, job=job)
    return Outcome(job=job)


def undo_job(*, project: Project, actor: User, job: Job, now: dt.datetime) -> Outcome:
    """Take back what a finished tagging job changed. Raises NotFoundError when it is not one that can be."""
    changed = undoable(job)
    if job.project_id != project.pk or not changed:
        raise NotFoundError("There is nothing to undo.")
    inverse: Action = "untag" if job.params["action"] == "tag" else "tag"
    tag = str(job.params["tag"])
    done: list[str] = []
    with transaction.atomic():
        for start in range(0, len(changed), TAG_STEP):
            done += _apply(project, inverse, sorted(changed[start : start + TAG_STEP]), tag, now)
        Job.objects.filter(pk=job.pk).update(cursor={}, result={})
        _audit(project, actor, "", inverse, tag, len(done), job=job)
    return Outcome(tuple(done))


def undoable(job: Job) -> list[str]:
    """The traces a finished tagging job changed, while that can be taken back."""
    if job.kind != KIND or job.is_open or job.params.get("action") not in ("tag", "untag"):
        return []
    return [] if job.cursor.get("is_cut") else list(job.cursor.get("changed", []))


@jobs.runner(KIND)
def run_step(job: Job, *, now: dt.datetime) -> jobs.Step:
    """The next traces by id. A last, empty step ends the job, so that its cursor names every change."""
    project = Project.objects.filter(pk=job.project_id).first() if job.project_id else None
    if project is None:
        return jobs.Step(0, None, message="The project is gone.")
    action: Action = check_action(str(job.params["action"]))
    tag = str(job.params.get("tag", ""))
    asked_at = dt.datetime.fromisoformat(str(job.params["asked_at"]))
    filters = parse_filters(QueryDict(str(job.params["query"])), now=asked_at)
    size = DELETE_STEP if action == "delete" else TAG_STEP
    found = matching(project, filters).filter(trace_id__gt=job.cursor.get("after", ""))
    ids = list(found.order_by("trace_id").values_list("trace_id", flat=True)[:size])
    if not ids:
        words = DONE_WORDS[action]
        result: dict[str, Any] = {}
        if undoable_cursor(job.cursor, action):
            url = f"/projects/{project.pk}/traces/panels/bulk/undo/?job={job.pk}"
            result = {"url": url, "label": "Undo"}
        return jobs.Step(
            0, None, message=f"{job.cursor.get('count', 0):,} traces {words}.", result=result
        )
    changed = _apply(project, action, ids, tag, now)
    kept = [*job.cursor.get("changed", []), *changed] if action != "delete" else []
    is_cut = bool(job.cursor.get("is_cut")) or len(kept) > UNDO_CAP
    cursor = {
        "after": ids[-1],
        "count": int(job.cursor.get("count", 0)) + len(changed),
        "changed": [] if is_cut else kept,
        "is_cut": is_cut,
    }
    return jobs.Step(len(ids), cursor, message=f"{cursor['count']:,} traces {DONE_WORDS[action]}")


def undoable_cursor(cursor: dict[str, Any], action: Action) -> bool:
    return action != "delete" and not cursor.get("is_cut") and bool(cursor.get("changed"))


def _apply(
    project: Project, action: Action, ids: Sequence[str], tag: str, now: dt.datetime
) -> list[str]:
    """Change these traces, locked in id order as the writer locks them; the ids that really changed."""
    if action == "delete":
        return list(remove_traces(project_id=project.pk, trace_ids=ids, now=now).ids)
    rows = Trace.objects.filter(project=project, trace_id__in=ids)
    has_it = {"tags__contains": [tag]}
    rows = rows.exclude(**has_it) if action == "tag" else rows.filter(**has_it)
    locked = list(
        rows.select_for_update().order_by("trace_id").values_list("trace_id", "tags", "seq")
    )
    wanted = [one for one in locked if action == "untag" or len(one[1]) < MAX_TAGS]
    function = "array_append" if action == "tag" else "array_remove"
    changed = [one[0] for one in wanted]
    Trace.objects.filter(project=project, trace_id__in=changed).update(
        tags=Func(F("tags"), Value(tag), function=function),
        seq=F("seq") + 1,
        updated_at=now,
    )
    for trace_id, _, seq in wanted:
        group = live.trace_group(project.pk, trace_id)
        hint = {"type": "trace.changed", "trace_id": trace_id, "seq": seq + 1}
        transaction.on_commit(lambda group=group, hint=hint: live.notify(group, hint))  # type: ignore[misc]
    return changed


def _audit(
    project: Project,
    actor: User | None,
    actor_label: str,
    action: Action,
    tag: str,
    count: int,
    *,
    job: Job | None = None,
) -> None:
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        actor_label=actor_label,
        action=f"traces.{DONE_WORDS[action]}",
        target=tag,
        data={"project": str(project.pk), "traces": count, **({"job": str(job.pk)} if job else {})},
    )
