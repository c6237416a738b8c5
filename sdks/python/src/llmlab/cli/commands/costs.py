"""`llmlab costs`: what was spent, by whatever dimension, with every digit."""

import csv
import sys
from typing import Annotated, Any, Optional

import typer

from llmlab.cli import output
from llmlab.cli.errors import CliError
from llmlab.cli.session import api_of
from llmlab.cli.spans_of_time import iso, read_since

GROUPS = (
    "provider", "model", "environment", "agent", "user", "tag", "api_key", "feature", "prompt_version",
    "error_type", "service_tier", "operation",
)  # fmt: skip
COUNTS = (
    "calls", "errors", "unpriced_calls", "input_tokens", "output_tokens", "cache_read_input_tokens",
    "cache_write_input_tokens", "reasoning_output_tokens",
)  # fmt: skip
FORMATS = ("table", "csv", "json")
GRANULARITIES = ("total", "daily", "hourly")


def costs(
    context: typer.Context,
    by: Annotated[
        str,
        typer.Option("--by", "-b", help=f"One line per {', '.join(GROUPS)}.", show_default=False),
    ] = "",
    since: Annotated[str, typer.Option(help="A length (24h, 30d) or a time (2026-11-01).")] = "30d",
    until: Annotated[str, typer.Option(help="A time; now when left out.", show_default=False)] = "",
    granularity: Annotated[str, typer.Option("--per", help="total, daily or hourly.")] = "total",
    filters: Annotated[
        Optional[list[str]],
        typer.Option(
            "--filter", "-f", help="model=gpt-5-mini; may be repeated. Same names as --by."
        ),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table, csv or json.")] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Spend, calls and tokens. Amounts have every digit; calls without a known price are counted, never as zero."""
    form = "json" if as_json else form
    for name, value, allowed in (
        ("--format", form, FORMATS),
        ("--per", granularity, GRANULARITIES),
    ):
        if value not in allowed:
            raise CliError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}.")
    if by and by not in GROUPS:
        raise CliError(f"--by is {by!r}; it must be one of {', '.join(GROUPS)}.")
    wanted = read_filters(filters or [])
    api = api_of(context)
    now = api.server_now()
    params: list[tuple[str, str]] = [
        ("start_date", iso(read_since(since, now=now))),
        ("granularity", granularity),
    ]
    params += [("end_date", iso(read_since(until, now=now, name="--until")))] if until else []
    params += [("group_by", by)] if by else []
    answer: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []
    for page in api.pages(api.path("costs"), [*params, *wanted, ("limit", "2000")]):
        answer = answer or page
        lines += page["results"]
    answer = {**answer, "results": lines, "next": None}
    if form == "json":
        output.print_json(answer)
    elif form == "csv":
        write_csv(answer, by, granularity)
    else:
        show_table(answer, by, granularity)
    if form != "json":
        say_unpriced(answer["total"])


def read_filters(texts: list[str]) -> list[tuple[str, str]]:
    """`name=value` as parameters. Raises CliError."""
    found = []
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in GROUPS:
            raise CliError(
                f"--filter is {text[:60]!r}; it must be name=value with one of {', '.join(GROUPS)}."
            )
        found.append((name, value))
    return found


def say_unpriced(total: dict[str, Any]) -> None:
    """A sum that leaves calls out says so."""
    if total["unpriced_calls"]:
        output.warn(
            f"{total['unpriced_calls']:,} of {total['calls']:,} calls have no known price and are not in the amounts. "
            "Give their models a price: Models & prices."
        )


def _labels(by: str, granularity: str) -> list[str]:
    return (["start"] if granularity != "total" else []) + ([by] if by else [])


def _places(line: dict[str, Any], by: str, granularity: str) -> list[str]:
    first = [str(line["start"])] if granularity != "total" else []
    return first + ([str(line["group"])] if by else [])


def write_csv(answer: dict[str, Any], by: str, granularity: str) -> None:
    """One line per group, then the total; an unknown amount is an empty cell."""
    labels = _labels(by, granularity)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*(labels or ["total"]), *COUNTS, "cost_usd"])
    if labels:
        for line in answer["results"]:
            places = [_safe(place) for place in _places(line, by, granularity)]
            writer.writerow([*places, *_numbers(line)])
    total = ["total", *[""] * (len(labels) - 1)]
    writer.writerow([*total, *_numbers(answer["total"])])


def _safe(text: str) -> str:
    """A group's name that a spreadsheet would run as a formula gets an apostrophe in front."""
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@", "|", "%", "\t", "\r") else text


def _numbers(line: dict[str, Any]) -> list[Any]:
    cost = output.amount(line["cost_usd"])
    return [*(line.get(name, "") for name in COUNTS), "" if cost is None else output.plain(cost)]


def show_table(answer: dict[str, Any], by: str, granularity: str) -> None:
    """The same for people."""
    labels = _labels(by, granularity)
    right = [
        (name.replace("_", " "), "right")
        for name in ("calls", "errors", "unpriced", "input", "output", "cost")
    ]
    columns = [*((label, "left") for label in labels or [""]), *right]
    rows = (
        [[*_places(line, by, granularity), *_cells(line)] for line in answer["results"]]
        if labels
        else []
    )
    footer = ["total", *[" "] * (len(labels) - 1), *_cells(answer["total"])]
    output.table(columns, rows, footer=footer)
    span = answer["range"]
    output.note(
        f"{output.clock(span['start'])} to {output.clock(span['end'])}, project {answer['project']}. "
        "Sums are kept by the hour: the range holds whole UTC hours."
    )


def _cells(line: dict[str, Any]) -> list[str]:
    counts = ("calls", "errors", "unpriced_calls", "input_tokens", "output_tokens")
    return [*(output.count(line[name]) for name in counts), output.money(line["cost_usd"])]
