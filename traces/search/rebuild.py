"""Reading every trace of a project again: the first time, and when its capture mode changes. A job people can watch.

The newest traces come first. Documents with content that may no longer be there go in the first steps, before
anything is read.
"""

import datetime as dt
from typing import Any
from uuid import UUID

from django.db import connection

from core import jobs
from core.models import Job
from projects.models import Project
from traces.activity.counting import take_turns
from traces.models import SearchState, Trace
from traces.search import embedding
from traces.search.indexing import CHUNK, CONTENT_CHUNK, index, may_read_content
from traces.search.reading import traces_before

KIND = "traces.search_rebuild"
ERASE_CHUNK = 5_000
END_OF_TIME = "9000-01-01T00:00:00+00:00"
_ERASE = "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE project_id = %s{only} LIMIT %s))"
_ERASE_DOCUMENTS = _ERASE.format(table="traces_searchdocument", only=" AND has_content")
_ERASE_VECTORS = _ERASE.format(table="traces_traceembedding", only="")


def start(
    project: Project, state: SearchState, *, now: dt.datetime, created_by_id: UUID | None = None
) -> Job:
    """Start reading everything again, unless that is under way for the same capture mode already.

    When the content may no longer be searchable, what search and meaning hold of it is hidden at once by the mode and
    deleted by the job's first steps.
    """
    running = Job.objects.filter(pk=state.job_id).first() if state.job_id else None
    if running and running.is_open and running.params.get("capture") == project.content_capture:
        return running
    job = jobs.start(
        kind=KIND,
        title=f"Index {project.name} for search",
        organization_id=project.organization_id,
        project_id=project.pk,
        created_by_id=created_by_id,
        total=Trace.objects.filter(project=project.pk).count(),
        params={"capture": project.content_capture},
        now=now,
    )
    SearchState.objects.filter(pk=project.pk).update(
        job_id=job.pk, capture=project.content_capture, updated_at=now
    )
    return job


@jobs.runner(KIND)
def run(job: Job, *, now: dt.datetime) -> jobs.Step:
    """The next step: erase what must not be there, then read a chunk of traces, newest first."""
    project = (
        Project.objects.select_related("organization")
        .filter(pk__in=[job.project_id])
        .exclude(status=Project.Status.DELETING)
        .first()
    )
    if project is None or project.content_capture != job.params.get("capture"):
        return jobs.Step(0, None, message="Replaced by a newer setting of the project.")
    take_turns(project.pk)
    if "at" not in job.cursor:
        if not may_read_content(project) and _erased(project.pk):
            return jobs.Step(0, {"erasing": True}, message="Deleting indexed content")
        return jobs.Step(0, {"at": END_OF_TIME, "trace_id": ""}, message="Reading traces")
    return _read(project, job.cursor, now=now)


def _erased(project_id: UUID) -> bool:
    """Delete a part of the indexed content; False when none is left."""
    with connection.cursor() as cursor:
        for statement in (_ERASE_VECTORS, _ERASE_DOCUMENTS):
            cursor.execute(statement, [project_id, ERASE_CHUNK])
            if cursor.rowcount:
                return True
    return False


def _read(project: Project, cursor: dict[str, Any], *, now: dt.datetime) -> jobs.Step:
    limit = CONTENT_CHUNK if may_read_content(project) else CHUNK
    at = dt.datetime.fromisoformat(cursor["at"])
    news = traces_before(project.pk, at=at, trace_id=cursor["trace_id"], limit=limit)
    _, has_gists = index(project, news, now=now)
    if has_gists:
        embedding.ring(project.pk)
    if len(news) < limit:
        return jobs.Step(len(news), None, message="Everything is searchable.")
    last = news[-1]
    place = {"at": last.started_at.astimezone(dt.UTC).isoformat(), "trace_id": last.trace_id}
    return jobs.Step(len(news), place, message=f"Read back to {last.started_at:%Y-%m-%d %H:%M} UTC")
