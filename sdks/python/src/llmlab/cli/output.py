"""How things look: tables, JSON, money, times. Text of programs never reaches the terminal unfiltered."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

UNKNOWN = "–"
# Wide enough that nothing is cut when the output goes to a file or a pipe.
_PIPE_WIDTH = 10_000


def console(*, stderr: bool = False) -> Console:
    """Colours and the terminal's width where there is a terminal; plain whole lines elsewhere. NO_COLOR is rich's."""
    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        return Console(stderr=stderr, highlight=False, soft_wrap=False)
    return Console(stderr=stderr, highlight=False, width=_PIPE_WIDTH, no_color=True)


def clean(value: Any) -> str:
    """Text without control characters: a trace's name must not move the cursor or set the window's title."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def say(line: str, *, stderr: bool = False, style: str = "") -> None:
    """One line, as it is."""
    out = console(stderr=stderr)
    out.print(Text(line, style=style), soft_wrap=True)


def note(line: str) -> None:
    """News beside the result: to stderr, so that a pipe gets the result only."""
    say(line, stderr=True, style="dim")


def warn(line: str) -> None:
    """Something the reader should know."""
    say(line, stderr=True, style="yellow")


def _json(value: Any, indent: int | None = None) -> str:
    is_unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    return json.dumps(value, ensure_ascii=not is_unicode, indent=indent) + "\n"


def print_json(value: Any) -> None:
    """The whole answer; amounts are strings with every digit, as the server sent them."""
    sys.stdout.write(_json(value, 2))
    sys.stdout.flush()


def print_json_line(value: Any) -> None:
    """One object on one line."""
    sys.stdout.write(_json(value))
    sys.stdout.flush()


def table(
    columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]], *, footer: Any = None
) -> None:
    """`columns` are (title, "left" or "right"); `footer` is the line below them all."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_footer=False)
    for title, side in columns:
        made.add_column(
            title, justify="right" if side == "right" else "left", no_wrap=True, overflow="ellipsis"
        )
    for row in rows:
        made.add_row(*map(_cell, row))
    if footer is not None:
        made.add_section()
        made.add_row(*map(_cell, footer), style="bold")
    console().print(made)


def _cell(value: Any) -> Text:
    if isinstance(value, Text):
        return value
    return Text(UNKNOWN if value is None or value == "" else clean(value))


def amount(value: Any) -> Decimal | None:
    """An amount of the server, exactly. It writes decimals as text; what is no number is unknown."""
    if value is None or isinstance(value, (bool, float)):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def plain(number: Decimal) -> str:
    """All digits, no exponent, no zeros at the end."""
    text = f"{number:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def money(value: Any) -> str:
    """`$0.00063`, every digit; unknown is not zero."""
    number = amount(value)
    if number is None:
        return UNKNOWN
    return f"-${plain(-number)}" if number < 0 else f"${plain(number)}"


def count(value: Any) -> str:
    """12,345"""
    return UNKNOWN if value is None else f"{int(value):,}"


def length(ms: Any) -> str:
    """840 ms, 1.84 s, 3 m 05 s, 2 h 10 m"""
    if ms is None:
        return UNKNOWN
    value = float(ms)
    if value < 1_000:
        return f"{value:.0f} ms"
    if value < 60_000:
        return f"{value / 1_000:.2f} s"
    minutes, seconds = divmod(round(value / 1_000), 60)
    if minutes < 60:
        return f"{minutes} m {seconds:02} s"
    return f"{minutes // 60} h {minutes % 60:02} m"


def moment(text: Any) -> dt.datetime | None:
    """A time of the server."""
    if not isinstance(text, str):
        return None
    try:
        found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=dt.timezone.utc)


def clock(text: Any) -> str:
    """A time of the server on this machine's clock."""
    found = moment(text)
    return UNKNOWN if found is None else found.astimezone().strftime("%Y-%m-%d %H:%M:%S")


STATUS_STYLES = {"error": "red", "running": "yellow", "ok": "green"}


def status(word: Any) -> Text:
    """A status in its colour, always with its word."""
    return Text(clean(word), style=STATUS_STYLES.get(str(word), ""))
