"""The export job: parts of a few megabytes, one per step, then one file (or one a section). Memory stays flat whatever
the number of rows.

A part's name follows from its step, so a step that is repeated after a kill replaces its own part.
"""

import datetime as dt
import gzip
import io
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from http import HTTPStatus
from itertools import islice
from typing import Any
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction

from accounts.models import Organization, User
from accounts.services import record_audit_event
from core import jobs
from core.errors import DomainError
from core.jobs import Step
from core.models import Job
from projects.exports import encoding
from projects.exports.files import folder, join_parts, part_name, remove_files, store
from projects.exports.registry import (
    JOB_KINDS,
    Column,
    Owner,
    Request,
    Row,
    Section,
    Source,
    source_of,
)
from projects.models import Project

KIND = "projects.export"
FORMATS = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet"}
KEEP = dt.timedelta(days=7)
MAX_IDS = 500
MAX_OPEN = 5
TOO_MANY = "too_many_exports"
PAGE = 1_000
STEP_SECONDS = 3.0
STEP_BYTES = 4 * 1024 * 1024
# Rows that are text at the same time.
BATCH = 500
JOB_KINDS.add(KIND)


@transaction.atomic
def start_export(
    *,
    project: Project,
    kind: str,
    format_name: str,
    request: Request,
    actor: User | None,
    actor_label: str = "",
) -> Job:
    """A queued export. Raises DomainError for an unknown kind or format, an unreadable query, too many ids or jobs."""
    source = source_of(kind)
    _check(source, format_name, request)
    Project.objects.select_for_update().get(pk=project.pk)
    check_open(open_exports(project), "this project")
    job = queue(owner=project, source=source, format_name=format_name, request=request, actor=actor)
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        action="export.requested",
        target=project.name,
        data={"project": project.slug, "kind": kind, "with_payloads": request.with_payloads},
        actor_label=actor_label,
    )
    return job


def _check(source: Source, format_name: str, request: Request) -> None:
    check_format(format_name)
    if len(request.ids) > MAX_IDS:
        raise DomainError(
            f"ids names {len(request.ids)} rows; at most {MAX_IDS} can be chosen one by one. Use a filter instead.",
            fields=["ids"],
        )
    if request.with_payloads and not source.payload_columns:
        raise DomainError(
            f"{source.label} have no inputs and outputs to add; only steps do.",
            fields=["with_payloads"],
        )


def check_format(format_name: str) -> None:
    """Raises DomainError naming what there is."""
    if format_name not in FORMATS:
        raise DomainError(
            f"format={format_name[:40]!r} must be one of {', '.join(FORMATS)}.", fields=["format"]
        )


def check_open(count: int, whose: str) -> None:
    """Raises DomainError 429 when as many as may be are under way."""
    if count >= MAX_OPEN:
        raise DomainError(
            f"{MAX_OPEN} exports of {whose} are under way; wait for one or cancel it.",
            code=TOO_MANY,
            status=HTTPStatus.TOO_MANY_REQUESTS,
        )


def queue(
    *,
    owner: Owner,
    source: Source,
    format_name: str,
    request: Request,
    actor: User | None,
    job_kind: str = KIND,
    params: dict[str, Any] | None = None,
) -> Job:
    """The job with its first step; what it needs is in its params. Raises DomainError for an unreadable query."""
    project = owner if isinstance(owner, Project) else None
    sections = source.sections(owner, request) if source.sections else []
    return jobs.start(
        kind=job_kind,
        title=f"Export {source.label if source.label.isupper() else source.label.lower()} as {FORMATS[format_name]}",
        organization_id=project.organization_id if project else owner.pk,
        project_id=project.pk if project else None,
        created_by_id=actor.pk if actor else None,
        now=dt.datetime.now(dt.UTC),
        total=source.count(owner, request),
        params={
            "kind": source.kind,
            "format": format_name,
            "query": request.query,
            "ids": list(request.ids),
            "with_payloads": request.with_payloads,
            "is_machine": request.is_machine,
            "now": request.now.isoformat(),
            **({"sections": [[one.name, one.query] for one in sections]} if sections else {}),
            **(params or {}),
        },
    )


def open_exports(project: Project) -> int:
    """How many are waiting or running. One query."""
    states = (Job.State.QUEUED, Job.State.RUNNING)
    count: int = exports_of(project).filter(state__in=states).count()
    return count


def exports_of(project: Project) -> Any:
    """The project's exports, in no order."""
    return Job.objects.filter(
        kind=KIND, organization_id=project.organization_id, project_id=project.pk
    )


def _owner_of(job: Job) -> Owner | None:
    """None when it is gone."""
    if job.project_id is None:
        return Organization.objects.filter(pk=job.organization_id).first()
    project = Project.objects.select_related("organization").filter(pk=job.project_id).first()
    return None if project is None or project.status == Project.Status.DELETING else project


def run_step(job: Job, *, now: dt.datetime) -> Step:
    """Some pages of rows into the next part; after a section's last one, its file."""
    owner = _owner_of(job)
    if owner is None:
        return Step(0, None, "The project is gone.")
    source = source_of(job.params["kind"], of_organization=job.project_id is None)
    section = _section(job, source)
    request = replace(_request(job), query=section.query)
    if job.cursor.get("is_read"):
        return _finish(job, owner, source, section, request)
    parts = int(job.cursor.get("parts", 0))
    data, count, read, cursor = _read_part(job, owner, source, request)
    store(part_name(job, parts), data)
    following: dict[str, Any] = {
        **{name: job.cursor.get(name, 0) for name in ("section", "first", "all", "units")},
        "parts": parts + 1,
        "rows": cursor,
        "count": int(job.cursor.get("count", 0)) + count,
        "is_read": cursor is None,
    }
    done = count if read is None else max(0, following["units"] + read - job.done)
    rows = following["all"] + following["count"]
    message = "Writing the file" if cursor is None else f"{rows:,} rows read"
    return Step(done, following, message, total=max(job.total, job.done + done))


def _section(job: Job, source: Source) -> Section:
    sections = job.params.get("sections")
    if not sections:
        return Section(source.kind, job.params["query"])
    return Section(*sections[int(job.cursor.get("section", 0))])


def _read_part(
    job: Job, owner: Owner, source: Source, request: Request
) -> tuple[bytes, int, int | None, dict[str, Any] | None]:
    """Pages until the part is large enough or its time is up: (compressed lines, rows, how much of the count is read by
    now where that is not rows, next cursor)."""
    is_csv = job.params["format"] == "csv"
    cursor, is_first = job.cursor.get("rows"), not job.cursor.get("rows")
    end = time.monotonic() + STEP_SECONDS
    pack = Pack(source.columns_for(request), is_csv=is_csv, is_machine=request.is_machine)
    if is_csv and is_first:
        pack.add_header()
    read: int | None = cursor.get("done") if cursor else None
    while True:
        before = pack.count
        rows, cursor = source.read(owner, request, cursor, PAGE)
        pack.add(rows)
        if cursor and "done" in cursor:
            read = int(cursor["done"])
        elif cursor is None and read is not None:
            read += pack.count - before
        if cursor is None or pack.size >= STEP_BYTES or time.monotonic() > end:
            return pack.close(), pack.count, read, cursor


class Pack:
    """Rows as compressed lines, a batch at a time: only what is compressed stays in memory."""

    def __init__(self, columns: tuple[Column, ...], *, is_csv: bool, is_machine: bool) -> None:
        self.columns, self.is_csv, self.is_machine = columns, is_csv, is_machine
        self.size = self.count = 0
        self._bytes = io.BytesIO()
        # mtime 0: a repeated step writes the same bytes.
        self._packer = gzip.GzipFile(fileobj=self._bytes, mode="wb", compresslevel=6, mtime=0)

    def add_header(self) -> None:
        self._packer.write(encoding.csv_header(self.columns))

    def add(self, rows: Iterable[Row]) -> None:
        left = iter(rows)
        while some := list(islice(left, BATCH)):
            if self.is_csv:
                lines = encoding.csv_lines(self.columns, some, is_machine=self.is_machine)
            else:
                lines = encoding.json_lines(self.columns, some)
            self._packer.write(lines)
            self.size, self.count = self.size + len(lines), self.count + len(some)

    def close(self) -> bytes:
        """The compressed lines: a gzip member."""
        self._packer.close()
        return self._bytes.getvalue()


def packed_pages(
    *, owner: Owner, source: Source, request: Request, is_csv: bool
) -> Iterator[bytes]:
    """A whole export as gzip members, one a read, for answers that are made while they are sent."""
    sections = source.sections(owner, request) if source.sections else []
    is_first = True
    for query in [one.query for one in sections] or [request.query]:
        wanted, cursor = replace(request, query=query), None
        while True:
            pack = Pack(source.columns_for(wanted), is_csv=is_csv, is_machine=request.is_machine)
            if is_csv and is_first:
                pack.add_header()
            rows, cursor = source.read(owner, wanted, cursor, PAGE)
            pack.add(rows)
            is_first = False
            yield pack.close()
            if cursor is None:
                break


def _request(job: Job) -> Request:
    return Request(
        query=str(job.params["query"]),
        ids=tuple(job.params["ids"]),
        with_payloads=bool(job.params["with_payloads"]),
        is_machine=bool(job.params.get("is_machine")),
        now=dt.datetime.fromisoformat(job.params["now"]),
    )


def _finish(job: Job, owner: Owner, source: Source, section: Section, request: Request) -> Step:
    cursor, format_name = job.cursor, job.params["format"]
    suffix = "parquet" if format_name == "parquet" else f"{format_name}.gz"
    target, count = f"{folder(job)}/{section.name}.{suffix}", int(cursor["count"])
    parts = [part_name(job, n) for n in range(cursor["first"], cursor["parts"])]
    join_parts(parts, target, source.columns_for(request))
    files = [*job.result.get("files", []), _file(target, count)]
    if source.side_file:
        name, content = source.side_file(owner, request, count)
        store(f"{folder(job)}/{name}", content)
        files.append(_file(f"{folder(job)}/{name}", None))
    rows = int(cursor["all"]) + count
    result = {
        "files": files,
        "file": files[0]["file"],
        "bytes": sum(file["bytes"] for file in files),
        "rows": rows,
    }
    following, message = None, f"{rows:,} rows exported."
    if cursor["section"] + 1 < len(job.params.get("sections", [0])):
        message = f"{section.name} is written"
        first = cursor["parts"]
        following = {"section": cursor["section"] + 1, "first": first, "parts": first, "all": rows}
        following["units"] = job.done
    elif job.project_id:
        result["url"] = f"/projects/{job.project_id}/exports/{job.pk}/file/"
        result["label"] = "Download"
    total = max(job.total, job.done) if following else job.done
    return Step(0, following, message, total=total, result=result)


def _file(name: str, rows: int | None) -> dict[str, Any]:
    return {
        "name": name.rpartition("/")[2],
        "file": name,
        "bytes": default_storage.size(name),
        "rows": rows,
    }


def clean_up(job: Job) -> None:
    """A job that ended without a file leaves nothing behind, a finished one no parts."""
    if job.state != Job.State.DONE:
        remove_files(job)
        return
    remove_parts(job)


def remove_parts(job: Job) -> None:
    """What the files were made of."""
    for number in range(int(job.cursor.get("parts", 0))):
        default_storage.delete(part_name(job, number))


def delete_export(*, job: Job) -> None:
    """Remove an ended export and its file."""
    remove_files(job)
    job.delete()


def forget_files(job: Job, message: str) -> None:
    """Remove the files; the job stays listed without them, and says why."""
    remove_files(job)
    gone = ("file", "files", "url")
    job.result = {key: value for key, value in job.result.items() if key not in gone}
    job.message = message


def expire_exports(*, now: dt.datetime) -> int:
    """Remove the files of exports older than a week; returns how many. The jobs stay listed without them."""
    old = Job.objects.filter(kind__in=JOB_KINDS, ended_at__lt=now - KEEP, result__has_key="file")
    count = 0
    for job in old.iterator():
        forget_files(job, "The file was removed after a week.")
        job.save(update_fields=["result", "message", "updated_at"])
        count += 1
    return count


def count_project_exports(project_id: UUID) -> int:
    """Exports of a project that is being deleted. One query."""
    return Job.objects.filter(kind=KIND, project_id=project_id).count()


def delete_project_exports(project_id: UUID, limit: int) -> int:
    """Remove up to `limit` exports of a project that is being deleted, files first; 0 when none is left."""
    some = list(Job.objects.filter(kind=KIND, project_id=project_id)[:limit])
    for job in some:
        delete_export(job=job)
    return len(some)
