"""`llmlab traces tail`: every new trace as a line, or one trace as a waterfall that grows."""

import sys
from typing import Annotated, Any, Optional

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from llmlab.cli import output, waterfall
from llmlab.cli.api import Api, Refused, Unreachable
from llmlab.cli.commands.traces import PAGE, Query, read_trace, read_traces, trace_path, width_of
from llmlab.cli.live import hints
from llmlab.cli.session import api_of
from llmlab.cli.spans_of_time import utc_now

# Enough for a burst between two looks; what is older than this many new traces was not seen "live" by anybody.
MOST_AT_ONCE = 10 * PAGE
# So many are remembered; older ones do not come back into the newest pages.
MOST_KNOWN = 20_000


def tail(
    context: typer.Context,
    trace_id: Annotated[
        str, typer.Argument(help="Follow this one; every new trace when left out.")
    ] = "",
    query: Query = "",
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="Older traces to begin with.")
    ] = 10,
    until_ended: Annotated[
        bool, typer.Option("--until-ended", help="With a trace id: stop when the trace has ended.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Watch live, over the websocket. Ctrl-C ends it with exit code 0."""
    api = api_of(context)
    try:
        if trace_id:
            _follow_trace(api, trace_id, until_ended=until_ended, as_json=as_json)
        else:
            _follow_project(api, query, lines, as_json=as_json)
    except KeyboardInterrupt:
        sys.stderr.write("\n" if sys.stderr.isatty() else "")


def _tell(words: str) -> None:
    output.note(f"llmlab: {words}")


def _follow_project(api: Api, query: str, lines: int, *, as_json: bool) -> None:
    """A line when a trace is first seen, and another when a running one has ended."""
    params = {
        "range": "24h",
        "sort": "-started",
        "limit": str(PAGE),
        **({"q": query} if query else {}),
    }
    known: dict[str, str] = {}
    show = output.print_json_line if as_json else _print_line
    is_new = True
    for hint in hints(api, tell=_tell):
        try:
            rows = _look(api, params, known, is_new)
        except Unreachable as error:
            _tell(error.message)
            continue  # the next hint, or the next connection, looks again
        fresh = [row for row in rows if known.get(row["trace_id"]) != row["status"]]
        if is_new and hint.is_first:
            fresh = fresh[:lines]
        is_new = False
        for row in rows:
            known[row["trace_id"]] = row["status"]
        for old in list(known)[:-MOST_KNOWN]:
            del known[old]
        for row in reversed(fresh):
            show(row)


def _look(api: Api, params: Any, known: dict[str, str], is_new: bool) -> list[dict[str, Any]]:
    """The newest traces: as many pages as hold something that was not known, and running ones further back."""
    if is_new:
        return read_traces(api, params, PAGE)
    rows: list[dict[str, Any]] = []
    for page in api.pages(api.path("traces"), params):
        rows += page["results"]
        if all(row["trace_id"] in known for row in page["results"]) or len(rows) >= MOST_AT_ONCE:
            break
    seen = {row["trace_id"] for row in rows}
    for trace_id in [
        one for one, status in known.items() if status == "running" and one not in seen
    ][:50]:
        try:
            rows.append(api.get(trace_path(api, trace_id)))
        except Refused:
            known[trace_id] = "gone"
    return rows


def _print_line(row: dict[str, Any]) -> None:
    """2026-11-21 09:12:07  ok  1.84 s  $0.0012  refund-agent  gpt-5-mini  trace id"""
    line = Text(output.clock(row["started_at"]))
    line.append("  ")
    line.append_text(Text(f"{row['status']:<7}", style=output.STATUS_STYLES.get(row["status"], "")))
    took = "" if row["status"] == "running" else output.length(row["duration_ms"])
    line.append(f"  {took:>9}  {waterfall.cost_words(row):<14}  ")
    line.append(output.clean(row["name"]) or "(no name)", style="bold")
    line.append(f"  {' '.join(map(output.clean, row['models']))}  ", style="dim")
    line.append(output.clean(row["trace_id"]), style="dim")
    output.console().print(line, soft_wrap=True)
    sys.stdout.flush()


def _follow_trace(api: Api, trace_id: str, *, until_ended: bool, as_json: bool) -> None:
    trace_path(api, trace_id)  # refuses what is no id
    screen = _Lines(as_json) if as_json or not sys.stdout.isatty() else _Redrawn()
    trace: dict[str, Any] = {}
    with screen:
        for hint in hints(api, trace_id, tell=_tell, tick=1.0 if screen.redraws else None):
            if hint.is_tick:
                if trace and not _has_ended(trace):
                    screen.draw(trace)  # bars of running steps grow
                continue
            found = _trace_now(api, trace_id)
            if found is None:
                screen.wait(trace_id)
            elif found and found["seq"] != trace.get("seq"):
                trace = found
                screen.draw(trace)
            if trace and until_ended and _has_ended(trace):
                return


def _trace_now(api: Api, trace_id: str) -> Optional[dict[str, Any]]:
    """None when it is not there yet; empty when the server did not answer, which the next hint asks again."""
    try:
        return read_trace(api, trace_id)
    except Refused as error:
        if error.status != 404:
            raise
        return None
    except Unreachable as error:
        _tell(error.message)
        return {}


def _has_ended(trace: dict[str, Any]) -> bool:
    return trace["status"] != "running" and not trace["running_count"]


class _Lines:
    """Where nothing can be redrawn: each step once it has ended, the waterfall when the trace has."""

    redraws = False

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.ended: set[str] = set()

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self, trace_id: str) -> None:
        _tell(f"waiting for trace {trace_id}")

    def draw(self, trace: dict[str, Any]) -> None:
        if self.as_json:
            output.print_json_line(trace)
            return
        for step in trace["steps"]:
            if step["status"] != "running" and step["id"] not in self.ended:
                self.ended.add(step["id"])
                took = output.length(step["duration_ms"])
                cost = output.money(step["cost_usd"])
                output.say(f"{output.clock(step['ended_at'])}  {step['status']:<7}  {took:>9}  {cost:<12}  "
                           f"{output.clean(step['name'])}")  # fmt: skip
        if _has_ended(trace):
            out = output.console()
            out.print(waterfall.header(trace))
            out.print(waterfall.drawing(trace, width=width_of(out), now=utc_now()), soft_wrap=True)
        sys.stdout.flush()


class _Redrawn:
    """A terminal: the whole waterfall again with each change, its newest steps when it is taller than the screen."""

    redraws = True

    def __init__(self) -> None:
        self.console = output.console()
        self.live = Live(console=self.console, auto_refresh=False, transient=False)

    def __enter__(self) -> "_Redrawn":
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def wait(self, trace_id: str) -> None:
        self.live.update(
            Text(f"Waiting for trace {output.clean(trace_id)} …", style="dim"), refresh=True
        )

    def draw(self, trace: dict[str, Any]) -> None:
        head = waterfall.header(trace)
        room = max(3, self.console.height - len(head.plain.splitlines()) - 3)
        drawn = waterfall.drawing(trace, width=self.console.width, now=utc_now(), max_lines=room)
        self.live.update(Group(head, Text(), drawn), refresh=True)
