"""`llmlab traces list|show`"""

import sys
from typing import Annotated, Any, Optional

import typer
from rich.console import Console

from llmlab.cli import output, waterfall
from llmlab.cli.api import Api
from llmlab.cli.errors import CliError
from llmlab.cli.session import api_of
from llmlab.cli.spans_of_time import iso, read_since, utc_now

SORTS = ("started", "cost", "duration", "tokens", "steps")
PRESETS = ("15m", "1h", "24h", "7d", "30d", "90d", "mtd")
PAGE = 200
app = typer.Typer(help="Traces: list, show as a waterfall, follow live.", no_args_is_help=True)
Query = Annotated[
    str,
    typer.Option(
        "--query",
        "-q",
        help="The trace list's language: 'status:error cost:>0.05'.",
        show_default=False,
    ),
]
COLUMNS = [
    ("started", "left"), ("name", "left"), ("status", "left"), ("took", "right"), ("calls", "right"),
    ("tokens", "right"), ("cost", "right"), ("errors", "right"), ("trace id", "left"),
]  # fmt: skip


@app.command("list")
def list_traces(
    context: typer.Context,
    query: Query = "",
    since: Annotated[str, typer.Option(help="A length (24h, 30d), mtd, or a time.")] = "24h",
    sort: Annotated[
        str, typer.Option(help=f"{', '.join(SORTS)}; with - in front descending.")
    ] = "-started",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 20,
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON lines, one trace a line.")
    ] = False,
) -> None:
    """Traces of a time range, filtered and sorted by the server."""
    if sort.removeprefix("-") not in SORTS:
        raise CliError(
            f"--sort is {sort!r}; it must be one of {', '.join(SORTS)}, or with - in front."
        )
    api = api_of(context)
    params = {"range": read_range(api, since), "sort": sort, "limit": str(min(limit, PAGE))}
    rows = read_traces(api, {**params, **({"q": query} if query else {})}, limit)
    if as_json:
        for row in rows:
            output.print_json_line(row)
        return
    if not rows:
        output.note(
            f"No traces since {since}{' like that' if query else ''}. A longer time: --since 30d"
        )
        return
    output.table(COLUMNS, [cells(row) for row in rows])


def read_range(api: Api, since: str) -> str:
    """The server's own word where there is one, else two instants."""
    if since in PRESETS:
        return since
    now = api.server_now()
    return f"{iso(read_since(since, now=now))}..{iso(now)}"


def read_traces(api: Api, params: Any, limit: int) -> list[dict[str, Any]]:
    """The first `limit` of a list."""
    rows: list[dict[str, Any]] = []
    for page in api.pages(api.path("traces"), params):
        rows += page["results"]
        if len(rows) >= limit:
            break
    return rows[:limit]


def cells(row: dict[str, Any]) -> list[Any]:
    """A trace as a line of the table."""
    cost = output.money(row["cost_usd"]) + (
        f" +{row['unpriced_calls']} unpriced" if row["unpriced_calls"] else ""
    )
    tokens = row["input_tokens"] + row["output_tokens"]
    return [
        output.clock(row["started_at"]), row["name"], output.status(row["status"]), output.length(row["duration_ms"]),
        output.count(row["calls"]), output.count(tokens), cost, row["error_count"] or " ", row["trace_id"],
    ]  # fmt: skip


@app.command()
def show(
    context: typer.Context,
    trace_id: Annotated[str, typer.Argument(help="The trace's id.")],
    payloads: Annotated[
        bool, typer.Option("--payloads", help="With --json: inputs and outputs, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """One trace as a waterfall: offsets, bars, tokens, cost, errors."""
    if payloads and not as_json:
        raise CliError("--payloads needs --json; what was said does not fit into a waterfall.")
    api = api_of(context)
    trace = read_trace(api, trace_id, payloads=payloads)
    if as_json:
        output.print_json(trace)
        return
    out = output.console()
    out.print(waterfall.header(trace))
    out.print()
    out.print(waterfall.drawing(trace, width=width_of(out), now=utc_now()), soft_wrap=True)
    if trace["steps_truncated"]:
        output.warn(
            f"Only the first {len(trace['steps']):,} of {trace['step_count']:,} steps are drawn."
        )


def width_of(out: Console) -> int:
    """The terminal's, and one that fits on paper where there is none."""
    return out.width if sys.stdout.isatty() else 160


def read_trace(api: Api, trace_id: str, *, payloads: bool = False) -> dict[str, Any]:
    """The trace with its steps."""
    params: Optional[dict[str, str]] = {"include": "payloads"} if payloads else None
    found: dict[str, Any] = api.get(trace_path(api, trace_id), params)
    return found


def trace_path(api: Api, trace_id: str) -> str:
    """An id that a path cannot carry is refused before it asks for another address."""
    from urllib.parse import quote

    if not trace_id.strip() or "/" in trace_id or trace_id in (".", ".."):
        raise CliError(f"{trace_id[:60]!r} is no trace id. See: llmlab traces list")
    return api.path(f"traces/{quote(trace_id, safe='')}")
