"""The export job: parts of a few megabytes, one per step, then one file. Memory stays flat whatever the number of rows.

A part's name follows from its step, so a step that is repeated after a kill replaces its own part.
"""

import datetime as dt
import gzip
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import connection, transaction

from accounts.models import User
from accounts.services import record_audit_event
from core import jobs
from core.errors import DomainError
from core.jobs import Step
from core.models import Job
from projects.exports import encoding
from projects.exports.registry import Request, Source, source_of
from projects.models import Project

KIND = "projects.export"
FORMATS = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet"}
KEEP = dt.timedelta(days=7)
MAX_IDS = 500
MAX_OPEN = 5
PAGE = 1_000
STEP_SECONDS = 3.0
STEP_BYTES = 4 * 1024 * 1024
COPY_BYTES = 256 * 1024


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
    if format_name not in FORMATS:
        raise DomainError(
            f"format={format_name[:40]!r} must be one of {', '.join(FORMATS)}.", fields=["format"]
        )
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
    Project.objects.select_for_update().get(pk=project.pk)
    if open_exports(project) >= MAX_OPEN:
        raise DomainError(
            f"{MAX_OPEN} exports of this project are under way; wait for one or cancel it.",
            code="too_many_exports",
            status=HTTPStatus.TOO_MANY_REQUESTS,
        )
    total = source.count(project, request)
    job = jobs.start(
        kind=KIND,
        title=f"Export {source.label.lower()} as {FORMATS[format_name]}",
        organization_id=project.organization_id,
        project_id=project.pk,
        created_by_id=actor.pk if actor else None,
        now=dt.datetime.now(dt.UTC),
        total=total,
        params={
            "kind": kind,
            "format": format_name,
            "query": request.query,
            "ids": list(request.ids),
            "with_payloads": request.with_payloads,
            "now": request.now.isoformat(),
        },
    )
    record_audit_event(
        organization_id=project.organization_id,
        actor=actor,
        action="export.requested",
        target=project.name,
        data={"project": project.slug, "kind": kind, "with_payloads": request.with_payloads},
        actor_label=actor_label,
    )
    return job


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


def folder(job: Job) -> str:
    return f"exports/{job.project_id}/{job.pk}"


def run_step(job: Job, *, now: dt.datetime) -> Step:
    """Some pages of rows into the next part; after the last one, the file."""
    # `id__in`: the job may name no project.
    project = Project.objects.select_related("organization").filter(id__in=[job.project_id]).first()
    if project is None or project.status == Project.Status.DELETING:
        return Step(0, None, "The project is gone.")
    source, request = source_of(job.params["kind"]), _request(job)
    parts = int(job.cursor.get("parts", 0))
    if job.cursor.get("is_read"):
        return _finish(job, source, request, parts=parts)
    rows, cursor, data = _read_part(job, project, source, request)
    if data:
        _store(f"{folder(job)}/part-{parts:05}.gz", data)
        parts += 1
    following: dict[str, Any] = {"parts": parts, "rows": cursor, "is_read": cursor is None}
    message = "Writing the file" if cursor is None else f"{job.done + rows:,} rows read"
    return Step(rows, following, message, total=max(job.total, job.done + rows))


def _read_part(
    job: Job, project: Project, source: Source, request: Request
) -> tuple[int, dict[str, Any] | None, bytes]:
    """Pages until the part is large enough or its time is up: (rows, next cursor, compressed lines)."""
    columns = source.columns_for(request)
    is_csv = job.params["format"] == "csv"
    lines = encoding.csv_lines if is_csv else encoding.json_lines
    cursor, is_first = job.cursor.get("rows"), not job.cursor
    chunks = [encoding.csv_header(columns)] if is_csv and is_first else []
    size, count, end = 0, 0, time.monotonic() + STEP_SECONDS
    while True:
        rows, cursor = source.read(project, request, cursor, PAGE)
        chunk = lines(columns, rows)
        chunks.append(chunk)
        size, count = size + len(chunk), count + len(rows)
        if cursor is None or size >= STEP_BYTES or time.monotonic() > end:
            break
    # mtime 0: a repeated step writes the same bytes.
    return count, cursor, gzip.compress(b"".join(chunks), 6, mtime=0)


def _request(job: Job) -> Request:
    return Request(
        query=str(job.params["query"]),
        ids=tuple(job.params["ids"]),
        with_payloads=bool(job.params["with_payloads"]),
        now=dt.datetime.fromisoformat(job.params["now"]),
    )


def _store(name: str, data: bytes) -> None:
    if default_storage.exists(name):
        default_storage.delete(name)
    default_storage.save(name, ContentFile(data))


class _Parts(io.RawIOBase):
    """The parts one after the other, as one stream. gzip members may follow each other (RFC 1952 §2.2)."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self._chunks = self._read_all(names)
        self._left = b""

    @staticmethod
    def _read_all(names: list[str]) -> Iterator[bytes]:
        for name in names:
            with default_storage.open(name) as part:
                while data := part.read(COPY_BYTES):
                    yield data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._left = self._left or next(self._chunks, b"")
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def _finish(job: Job, source: Source, request: Request, *, parts: int) -> Step:
    names = [f"{folder(job)}/part-{number:05}.gz" for number in range(parts)]
    suffix = "parquet" if job.params["format"] == "parquet" else f"{job.params['format']}.gz"
    target = f"{folder(job)}/{source.kind}.{suffix}"
    if default_storage.exists(target):
        default_storage.delete(target)
    if suffix == "parquet":
        _write_parquet(job, source, request, names, target)
    else:
        default_storage.save(target, File(io.BufferedReader(_Parts(names), COPY_BYTES)))
    for name in names:
        default_storage.delete(name)
    result = {
        "file": target,
        "bytes": default_storage.size(target),
        "rows": job.done,
        "url": f"/projects/{job.project_id}/exports/{job.pk}/file/",
        "label": "Download",
    }
    return Step(0, None, f"{job.done:,} rows exported.", total=job.done, result=result)


def _write_parquet(
    job: Job, source: Source, request: Request, names: list[str], target: str
) -> None:
    """DuckDB reads local files, so the parts come to this machine first; it runs in a process of its own."""
    columns = [[column.name, column.type] for column in source.columns_for(request)]
    spool = Path(settings.LLMLAB_DATA_DIR) / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=spool, prefix="export-") as place:
        local = [str(_fetch(name, Path(place))) for name in names]
        made, task = Path(place) / "out.parquet", Path(place) / "task.json"
        task.write_text(json.dumps({"parts": local, "target": str(made), "columns": columns}))
        _run([sys.executable, "-m", "projects.exports.parquet", str(task)])
        with made.open("rb") as file:
            default_storage.save(target, File(file))


def _fetch(name: str, place: Path) -> Path:
    path = place / f"{Path(name).stem}.json.gz"
    with default_storage.open(name) as part, path.open("wb") as local:
        while data := part.read(COPY_BYTES):
            local.write(data)
    return path


def _run(command: list[str]) -> None:
    """Run a command, and keep the step's transaction awake: PostgreSQL ends sessions that idle in one."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, cwd=settings.BASE_DIR, stdout=said, stderr=subprocess.STDOUT
        )
        while process.poll() is None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                continue
        if process.returncode:
            said.seek(0)
            raise RuntimeError(
                f"Writing Parquet failed: {said.read()[-1000:].decode(errors='replace')}"
            )


def clean_up(job: Job) -> None:
    """A job that ended without a file leaves no parts behind."""
    if job.state != Job.State.DONE:
        remove_files(job)


def remove_files(job: Job) -> None:
    """Everything the export has stored; nothing to remove is no error."""
    place = folder(job)
    try:
        _, names = default_storage.listdir(place)
    except FileNotFoundError:
        return
    for name in names:
        default_storage.delete(f"{place}/{name}")
    if (path := _local_path(place)) and path.is_dir() and not any(path.iterdir()):
        path.rmdir()


def _local_path(name: str) -> Path | None:
    try:
        return Path(default_storage.path(name))
    except NotImplementedError:
        return None  # not on this machine's disk


def delete_export(*, job: Job) -> None:
    """Remove an ended export and its file."""
    remove_files(job)
    job.delete()


def expire_exports(*, now: dt.datetime) -> int:
    """Remove the files of exports older than a week; returns how many. The jobs stay listed without them."""
    old = Job.objects.filter(kind=KIND, ended_at__lt=now - KEEP, result__has_key="file")
    count = 0
    for job in old.iterator():
        remove_files(job)
        job.result = {key: value for key, value in job.result.items() if key not in ("file", "url")}
        job.message = "The file was removed after a week."
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
