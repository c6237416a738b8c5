"""A trace as bars in the terminal: layout (pure), then drawing. Orphans and circles have a layout, too."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from rich.text import Text

from llmlab.cli import output

STYLES = {
    "llm": "blue",
    "embedding": "cyan",
    "tool": "magenta",
    "retrieval": "cyan",
    "agent": "green",
}
_MAX_INDENT = 12


class Row(NamedTuple):
    """One step at its place: `start_ms` and `length_ms` on the trace's axis."""

    step: dict[str, Any]
    level: int
    start_ms: float
    length_ms: float


class Layout(NamedTuple):
    """The steps in tree order, and how long the axis is."""

    rows: list[Row]
    total_ms: float


def _at(text: Any) -> dt.datetime | None:
    return output.moment(text)


def _ms(later: dt.datetime, earlier: dt.datetime) -> float:
    return (later - earlier).total_seconds() * 1_000


def lay_out(steps: list[dict[str, Any]], now: dt.datetime) -> Layout:
    """Children below their parents, oldest first; a running step reaches to `now`."""
    starts = [at for at in (_at(step["started_at"]) for step in steps) if at is not None]
    if not starts:
        return Layout([], 0.0)
    first = min(starts)
    rows: list[Row] = []
    end = 0.0
    for step, level in _tree(steps):
        started = _at(step["started_at"]) or first
        ended = _at(step["ended_at"]) or (
            max(now, started) if step["status"] == "running" else started
        )
        start_ms, length_ms = _ms(started, first), max(_ms(ended, started), 0.0)
        rows.append(Row(step, level, start_ms, length_ms))
        end = max(end, start_ms + length_ms)
    return Layout(rows, end)


def _tree(steps: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], int]]:
    """Depth first without recursion; a step whose parent never came is a root, and so is the first of a circle."""
    ids = {step["id"] for step in steps}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for step in sorted(steps, key=lambda one: (str(one["started_at"]), str(one["id"]))):
        parent = (
            step["parent_id"]
            if step["parent_id"] in ids and step["parent_id"] != step["id"]
            else None
        )
        children.setdefault(parent, []).append(step)
    seen: set[str] = set()
    stack = [(step, 0) for step in reversed(children.get(None, []))]
    rest = iter(steps)
    while True:
        while stack:
            step, level = stack.pop()
            if step["id"] in seen:
                continue
            seen.add(step["id"])
            yield step, level
            stack += [(child, level + 1) for child in reversed(children.get(step["id"], []))]
        left = next((step for step in rest if step["id"] not in seen), None)
        if left is None:
            return
        stack.append((left, 0))


def bar(row: Row, total_ms: float, width: int, *, is_ascii: bool = False) -> Text:
    """The step's bar on an axis of `width` cells; never shorter than one cell."""
    scale = width / total_ms if total_ms > 0 else 0.0
    first = min(int(row.start_ms * scale), width - 1)
    last = max(min(round((row.start_ms + row.length_ms) * scale), width), first + 1)
    word = row.step["status"]
    style = {"error": "red", "running": "yellow"}.get(word, STYLES.get(row.step["type"], "white"))
    full, going = ("#", ">") if is_ascii else ("█", "▒")
    text = Text(" " * first)
    text.append((going if word == "running" else full) * (last - first), style=style)
    text.append(" " * (width - last))
    return text


def _name(row: Row) -> Text:
    indent = "  " * min(row.level, _MAX_INDENT) + ("… " if row.level > _MAX_INDENT else "")
    step = row.step
    text = Text(indent + (output.clean(step["name"]) or output.clean(step["type"])))
    if step["status"] == "error":
        text.stylize("red")
    model = step["response_model"] or step["request_model"]
    if model and model != step["name"]:
        text.append(f" {output.clean(model)}", style="dim")
    return text


def _tokens(step: dict[str, Any]) -> str:
    if step["input_tokens"] is None and step["output_tokens"] is None:
        return ""
    return f"{output.count(step['input_tokens'])} → {output.count(step['output_tokens'])}"


def _cost(step: dict[str, Any]) -> Text:
    if step["cost_usd"] is not None:
        return Text(output.money(step["cost_usd"]))
    return Text("unpriced", style="yellow") if step["price_status"] == "unpriced" else Text("")


def is_ascii() -> bool:
    """Whether standard output cannot show blocks."""
    # While rich draws live, sys.stdout is a stand-in of its own that names no encoding.
    encoding = getattr(sys.stdout, "encoding", None) or getattr(sys.__stdout__, "encoding", None)
    try:
        "█▒→…".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def header(trace: dict[str, Any]) -> Text:
    """What the trace is, in two lines."""
    text = Text()
    text.append(output.clean(trace["name"]) or "(no name)", style="bold")
    text.append("  ")
    text.append_text(output.status(trace["status"]))
    text.append(f"  {output.clock(trace['started_at'])}  {output.length(trace['duration_ms'])}")
    text.append(f"\n{output.clean(trace['trace_id'])}", style="dim")
    text.append(
        f"\n{trace['step_count']:,} steps, {trace['calls']:,} calls, {cost_words(trace)}, "
        f"{output.count(trace['input_tokens'])} tokens in, {output.count(trace['output_tokens'])} out"
    )
    if trace["error_count"]:
        text.append(f", {trace['error_count']:,} errors", style="red")
    facts = [
        f"{key} {output.clean(trace[key])}"
        for key in ("user", "session", "environment", "release")
        if trace[key]
    ]
    facts += [f"tags {', '.join(map(output.clean, trace['tags']))}"] if trace["tags"] else []
    if facts:
        text.append("\n" + "  ".join(facts), style="dim")
    return text


def cost_words(trace: dict[str, Any]) -> str:
    """The trace's cost, and what it leaves out."""
    left_out = f" and {trace['unpriced_calls']} unpriced" if trace["unpriced_calls"] else ""
    known: Decimal | None = output.amount(trace["cost_usd"])
    if known is None:
        return f"cost unknown{left_out}" if left_out else "no cost"
    return f"{output.money(known)}{left_out}"


_TITLES = ("at", "took", "tokens", "cost")
_LONGEST_BAR = 60
_SHORTEST = 12


def drawing(trace: dict[str, Any], *, width: int, now: dt.datetime, max_lines: int = 0) -> Text:
    """The waterfall, a line per step and one per error; `max_lines` keeps a redrawn one inside the screen.

    Lines are put together here: a table would let long error messages push the numbers out.
    """
    layout = lay_out(trace["steps"], now)
    ascii_only = is_ascii()
    numbers = [_numbers(row, ascii_only) for row in layout.rows]
    widths = [
        max([len(title), *(cells[i].cell_len for cells in numbers)])
        for i, title in enumerate(_TITLES)
    ]
    names = [_name(row) for row in layout.rows]
    left, bars = _shares(
        width - sum(widths) - 2 * len(widths) - 2, max([4, *(name.cell_len for name in names)])
    )
    lines = []
    for row, name, cells in zip(layout.rows, names, numbers):
        line = (
            _fitted(name, left) + Text("  ") + bar(row, layout.total_ms, bars, is_ascii=ascii_only)
        )
        for cell, space in zip(cells, widths):
            line += Text("  " + " " * (space - cell.cell_len)) + cell
        lines.append(line)
        if row.step["error_type"] or row.step["error_message"]:
            lines.append(_fitted(_error(row), width, pad=False))
    axis = _fitted(Text(f"0 to {output.length(layout.total_ms)}"), bars)
    titles = "".join(f"  {title:>{space}}" for title, space in zip(_TITLES, widths))
    head = _fitted(Text("step"), left) + Text("  ") + axis + Text(titles)
    head.stylize("bold")
    if max_lines and len(lines) > max_lines:
        lines = lines[-max_lines:]
    whole = Text("\n").join([head, *lines])
    whole.no_wrap, whole.overflow = True, "crop"
    return whole


def _shares(room: int, longest_name: int) -> tuple[int, int]:
    """How wide names and bars are: names what they need up to half of the room, bars the rest."""
    left = max(_SHORTEST, min(longest_name, max(room // 2, room - _LONGEST_BAR)))
    return left, max(_SHORTEST, min(_LONGEST_BAR, room - left))


def _fitted(text: Text, width: int, *, pad: bool = True) -> Text:
    """Exactly so many cells."""
    found = text.copy()
    found.truncate(width, overflow="crop" if is_ascii() else "ellipsis", pad=pad)
    return found


def _numbers(row: Row, ascii_only: bool) -> list[Text]:
    """Offset, length, tokens, cost."""
    step = row.step
    took = (
        Text("running", style="yellow")
        if step["status"] == "running"
        else Text(output.length(row.length_ms))
    )
    tokens = _tokens(step).replace("→", ">") if ascii_only else _tokens(step)
    return [Text(f"+{output.length(row.start_ms)}"), took, Text(tokens), _cost(step)]


def _error(row: Row) -> Text:
    words = ": ".join(
        filter(
            None, (output.clean(row.step["error_type"]), output.clean(row.step["error_message"]))
        )
    )
    return Text("  " * (min(row.level, _MAX_INDENT) + 1) + words, style="red")
