"""`llmlab import FILE…`"""

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from llmlab.cli import output
from llmlab.cli.errors import FOUND, INTERRUPTED, CliError
from llmlab.cli.imports.facts import TraceFacts
from llmlab.cli.imports.formats import FORMATS, Source
from llmlab.cli.imports.records import digest
from llmlab.cli.imports.sending import Sender
from llmlab.cli.imports.state import State
from llmlab.cli.session import api_of

SHOWN = 50
_WORDS = {
    "stored": "stored",
    "updated": "updated",
    "duplicate": "already there",
    "accepted": "accepted (new or already there)",
}


def import_files(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(help="Files that belong together: traces and their steps, for one."),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format", help=f"{', '.join(FORMATS)}; found out when left out.", show_default=False
        ),
    ] = "",
    rejected: Annotated[
        Optional[Path],
        typer.Option(
            "--rejected", help="Write every refused row and its reason here (JSON Lines)."
        ),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="From the beginning, not where it was interrupted.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Send what other tools exported. Run again it goes on where it stopped; nothing is stored twice."""
    if form and form not in FORMATS:
        raise CliError(f"--format is {form!r}; it must be one of {', '.join(FORMATS)}.")
    sources = [Source(path, form) for path in files]
    api = api_of(context)
    api.tries, api.timeout = 8, 120
    state = State(
        [digest(path) for path in files],
        ",".join(one.form for one in sources),
        api.address,
        api.project,
    )
    if restart:
        state.forget()
    elif state.load():
        output.note(
            f"Going on after {state.done:,} records of an earlier run (--restart begins anew)."
        )
    names = ", ".join(f"{one.path.name} ({FORMATS[one.form]})" for one in sources)
    output.note(f"Reading {names}")
    facts = TraceFacts()
    total = sum(source.scan(facts) for source in sources)
    with _progress() as bar:
        task = bar.add_task("Sending", total=total, completed=state.done)
        sender = Sender(api, state, lambda done: bar.update(task, completed=done))
        try:
            sender.run(items for source in sources for items in source.items(facts))
        except KeyboardInterrupt:
            raise CliError(
                f"stopped after {state.done:,} of {total:,} records; the same command goes on there",
                code=INTERRUPTED,
            ) from None
        except CliError as error:
            where = f" Stopped after {state.done:,} of {total:,} records; the same command goes on there."
            raise CliError(error.message + where, code=error.code) from None
    state.forget()
    _report(state, total, rejected, as_json=as_json)


def _progress() -> Progress:
    out = output.console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}/{task.total:,}"),
    )
    return Progress(
        *columns,
        TimeRemainingColumn(),
        console=out,
        disable=not sys.stderr.isatty(),
        transient=True,
    )


def _report(state: State, total: int, rejected: Optional[Path], *, as_json: bool) -> None:
    if rejected is not None:
        _write_rejected(state, rejected)
    if as_json:
        lines = [{"line": one.line, "reason": one.reason} for one in state.rejected]
        output.print_json(
            {
                "records": total,
                **state.counts,
                "rejected": state.rejected_count,
                "rejections": lines,
            }
        )
    else:
        counts = [f"{number:,} {_WORDS[name]}" for name, number in state.counts.items() if number]
        counts += [f"{state.rejected_count:,} refused"] if state.rejected_count else []
        output.say(f"{total:,} records read: {', '.join(counts) or 'nothing to store'}.")
        for one in state.rejected[:SHOWN]:
            output.say(f"line {one.line}: {output.clean(one.reason)}", stderr=True, style="red")
        if state.rejected_count > SHOWN:
            output.note(
                f"… and {state.rejected_count - SHOWN:,} more: --rejected FILE writes them all."
            )
    if state.rejected_count:
        raise typer.Exit(FOUND)


def _write_rejected(state: State, path: Path) -> None:
    import json

    try:
        with path.open("w", encoding="utf-8") as file:
            for one in state.rejected:
                file.write(
                    json.dumps({"line": one.line, "reason": one.reason}, ensure_ascii=False) + "\n"
                )
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror or error}.") from None
