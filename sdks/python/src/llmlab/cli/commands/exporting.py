"""`llmlab export`: start the job on the server, watch it, fetch the file."""

import datetime as dt
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Optional
from urllib.parse import urlencode

import typer
from rich.progress import BarColumn, Progress, TextColumn

from llmlab.cli import output
from llmlab.cli.api import Api
from llmlab.cli.commands.traces import read_range
from llmlab.cli.errors import INTERRUPTED, TROUBLE, CliError
from llmlab.cli.session import api_of
from llmlab.cli.spans_of_time import iso, read_since, utc_now

KINDS = ("traces", "spans", "costs", "scores", "sessions", "users", "errors", "collections")
FORMATS = ("jsonl", "csv", "parquet")
_WITH_QUERY = ("traces", "spans", "sessions", "users", "errors")
_PIECE = 1 << 18


def export(
    context: typer.Context,
    kind: Annotated[str, typer.Option("--kind", "-k", help=", ".join(KINDS))] = "traces",
    query: Annotated[
        str,
        typer.Option(
            "--query",
            "-q",
            help="The list's query language: 'status:error cost:>0.05'.",
            show_default=False,
        ),
    ] = "",
    since: Annotated[str, typer.Option(help="A length (24h, 30d), mtd, or a time.")] = "30d",
    form: Annotated[str, typer.Option("--format", help="jsonl, csv or parquet.")] = "jsonl",
    out: Annotated[
        Optional[Path],
        typer.Option(
            "--out", "-o", help="The file to write; - is standard output.", show_default=False
        ),
    ] = None,
    payloads: Annotated[
        bool, typer.Option("--payloads", help="With --kind spans: inputs and outputs, too.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a file that is there.")
    ] = False,
) -> None:
    """Everything a list shows, as a file."""
    _check(kind, form, query, payloads)
    target = out or Path(f"{kind}-{dt.datetime.now().astimezone():%Y%m%d-%H%M%S}.{form}")
    to_stdout = str(target) == "-"
    if to_stdout and form == "parquet" and sys.stdout.isatty():
        raise CliError("Parquet is no text; give --out FILE or a pipe.")
    if not to_stdout and target.exists() and not force:
        raise CliError(f"{target} is there already; give another --out, or --force.")
    api = api_of(context)
    body = {
        "kind": kind,
        "format": form,
        "query": _query(api, kind, since, query),
        "with_payloads": payloads,
    }
    job = _watch(api, api.post(api.path("exports"), body))
    size = _download(api, job["id"], None if to_stdout else target)
    rows = job["result"].get("rows", job["done"])
    output.note(f"{rows:,} rows, {size:,} bytes{'' if to_stdout else f' in {target}'}.")


def _check(kind: str, form: str, query: str, payloads: bool) -> None:
    for name, value, allowed in (("--kind", kind, KINDS), ("--format", form, FORMATS)):
        if value not in allowed:
            raise CliError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
    if query and kind not in _WITH_QUERY:
        raise CliError(f"--query does not filter {kind}; it does {', '.join(_WITH_QUERY)}.")
    if payloads and kind != "spans":
        raise CliError("--payloads needs --kind spans: only steps have inputs and outputs.")


def _query(api: Api, kind: str, since: str, query: str) -> str:
    """The query string of the list."""
    if kind == "collections":
        return ""
    if kind == "costs":
        now = api.server_now()
        start = (
            now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            if since == "mtd"
            else None
        )
        return urlencode(
            {"start_date": iso(start or read_since(since, now=now)), "end_date": iso(now)}
        )
    return urlencode({"range": read_range(api, since), **({"q": query} if query else {})})


def _watch(api: Api, job: dict[str, Any]) -> dict[str, Any]:
    """Until the job has ended; raises CliError when it failed or was cancelled."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}/{task.total:,}"),
    )
    console = output.console(stderr=True)
    path, pause = api.path(f"jobs/{job['id']}"), 0.2
    with Progress(
        *columns, console=console, disable=not sys.stderr.isatty(), transient=True
    ) as bar:
        task = bar.add_task(job["title"], total=None)
        began = utc_now()
        while job["state"] in ("queued", "running"):
            try:
                time.sleep(pause)
                job = api.get(path)
            except KeyboardInterrupt:
                raise CliError(
                    f"stopped watching; the server goes on with the export. Fetch it under Jobs (job {job['id']})",
                    code=INTERRUPTED,
                ) from None
            pause = min(pause * 1.3, 2.0)
            bar.update(task, completed=job["done"], total=job["total"] or None)
            if job["state"] == "queued" and (utc_now() - began).total_seconds() > 60:
                bar.update(task, description="Waiting for a worker of the server")
    if job["state"] != "done":
        raise CliError(
            f"The export ended as {job['state']}: {job['message'] or 'no reason was given'}",
            code=TROUBLE,
        )
    return job


def _download(api: Api, job_id: str, target: Optional[Path]) -> int:
    """Piece by piece into a file beside the target, which takes its place when it is whole."""
    with api.open(api.path(f"exports/{job_id}/file")) as answer:
        if target is None:
            return _copy(answer, sys.stdout.buffer)
        unfinished = target.with_name(f"{target.name}.part")
        try:
            with unfinished.open("wb") as file:
                size = _copy(answer, file)
            os.replace(unfinished, target)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            raise CliError(f"{target} was not written: {error.strerror or error}.") from None
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
    return size


def _copy(source: Any, target: Any) -> int:
    size = 0
    while piece := source.read(_PIECE):
        target.write(piece)
        size += len(piece)
    target.flush()
    return size
