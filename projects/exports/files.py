"""Files of exports in the storage: parts, what is made of them, and their removal."""

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import connection

from core.models import Job
from projects.exports.registry import Column

COPY_BYTES = 256 * 1024


def folder(job: Job) -> str:
    """Where everything of a job lies."""
    if job.project_id is None:
        return f"exports/organizations/{job.organization_id}/{job.pk}"
    return f"exports/{job.project_id}/{job.pk}"


def part_name(job: Job, number: int) -> str:
    """A part's name follows from its step."""
    return f"{folder(job)}/part-{number:05}.gz"


def store(name: str, data: bytes) -> None:
    """Write a small file; one of that name is replaced."""
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


def join_parts(names: list[str], target: str, columns: tuple[Column, ...]) -> None:
    """One file of the parts: Parquet where the target says so, else they follow each other. The parts are removed."""
    if default_storage.exists(target):
        default_storage.delete(target)
    if target.endswith(".parquet"):
        _write_parquet(columns, names, target)
    else:
        default_storage.save(target, File(io.BufferedReader(_Parts(names), COPY_BYTES)))
    for name in names:
        default_storage.delete(name)


def _write_parquet(columns: tuple[Column, ...], names: list[str], target: str) -> None:
    """DuckDB reads local files, so the parts come to this machine first; it runs in a process of its own."""
    shape = [[column.name, column.type] for column in columns]
    spool = Path(settings.LLMLAB_DATA_DIR) / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=spool, prefix="export-") as place:
        local = [str(_fetch(name, Path(place))) for name in names]
        made, task = Path(place) / "out.parquet", Path(place) / "task.json"
        task.write_text(json.dumps({"parts": local, "target": str(made), "columns": shape}))
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
