"""`llmlab check`: a limit that a pipeline can fail on."""

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Optional

import typer

from llmlab.cli import output
from llmlab.cli.api import Api
from llmlab.cli.errors import FOUND, CliError
from llmlab.cli.session import api_of
from llmlab.cli.spans_of_time import iso, read_since


def check(
    context: typer.Context,
    max_cost_usd: Annotated[
        Optional[str], typer.Option(help="Fail above this amount in dollars.", show_default=False)
    ] = None,
    max_errors: Annotated[
        Optional[int],
        typer.Option(min=0, help="Fail above this number of failed traces.", show_default=False),
    ] = None,
    since: Annotated[str, typer.Option(help="A length (1h, 30m) or a time.")] = "1h",
    query: Annotated[
        str,
        typer.Option(
            "--query",
            "-q",
            help="Only traces like these: 'env:ci tag:nightly'.",
            show_default=False,
        ),
    ] = "",
    allow_unpriced: Annotated[
        bool,
        typer.Option("--allow-unpriced", help="Calls without a known price do not fail the check."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Exit with 1 when a limit is passed: cost, failed traces, or calls whose price nobody knows.

    Without a query every recorded call counts, to the second; with one the traces that match and began in that time.
    """
    limit = _limit(max_cost_usd)
    if limit is None and max_errors is None:
        raise CliError("Nothing to check: give --max-cost-usd, --max-errors or both.")
    api = api_of(context)
    now = api.server_now()
    start = read_since(since, now=now)
    if start >= now:
        raise CliError(f"--since is {since!r}; it must lie in the past.")
    spent = spent_in_traces(api, start, now, query) if query else spent_in_ledger(api, start, now)
    failed = failed_traces(api, start, now, query) if max_errors is not None else None
    reasons = _reasons(spent, limit, failed, max_errors, allow_unpriced)
    facts = {
        "ok": not reasons,
        "reasons": reasons,
        "since": iso(start),
        "query": query,
        "calls": spent["calls"],
        "unpriced_calls": spent["unpriced_calls"],
        "cost_usd": None if spent["cost_usd"] is None else output.plain(spent["cost_usd"]),
        "max_cost_usd": None if limit is None else output.plain(limit),
        "failed_traces": failed,
        "max_errors": max_errors,
    }
    if as_json:
        output.print_json(facts)
    else:
        _show(facts)
    if reasons:
        raise typer.Exit(FOUND)


def _limit(text: Optional[str]) -> Optional[Decimal]:
    if text is None:
        return None
    try:
        number = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number < 0:
        raise CliError(f"--max-cost-usd is {text[:40]!r}; it must be an amount like 5 or 0.25.")
    return number


def _reasons(
    spent: dict[str, Any],
    limit: Optional[Decimal],
    failed: Optional[int],
    most: Optional[int],
    allow_unpriced: bool,
) -> list[str]:
    found = []
    if limit is not None and spent["cost_usd"] is not None and spent["cost_usd"] > limit:
        found.append(f"cost {output.money(spent['cost_usd'])} is over {output.money(limit)}")
    if failed is not None and most is not None and failed > most:
        found.append(f"{failed} failed traces are more than {most}")
    if limit is not None and spent["unpriced_calls"] and not allow_unpriced:
        found.append(
            f"{spent['unpriced_calls']} calls have no known price (--allow-unpriced lets them pass)"
        )
    return found


def _show(facts: dict[str, Any]) -> None:
    parts = [f"{facts['calls']:,} calls", f"cost {output.money(facts['cost_usd'])}"]
    if facts["unpriced_calls"]:
        parts.append(f"{facts['unpriced_calls']:,} without a price")
    if facts["failed_traces"] is not None:
        parts.append(f"{facts['failed_traces']:,} failed traces")
    output.say(f"Since {output.clock(facts['since'])}: {', '.join(parts)}.")
    if facts["ok"]:
        output.say("ok", style="green")
    for reason in facts["reasons"]:
        output.say(f"over: {reason}", style="red")


class Sums:
    """Amounts added up exactly; nothing known is not zero."""

    def __init__(self) -> None:
        self.calls = self.unpriced = 0
        self.cost: Optional[Decimal] = None

    def add(self, calls: int, unpriced: int, cost: Any) -> None:
        self.calls += calls
        self.unpriced += unpriced
        number = output.amount(cost)
        if number is not None:
            self.cost = number if self.cost is None else self.cost + number

    def facts(self) -> dict[str, Any]:
        if not self.calls:
            self.cost = Decimal(0)  # nothing happened: that costs nothing
        return {"calls": self.calls, "unpriced_calls": self.unpriced, "cost_usd": self.cost}


def spent_in_ledger(api: Api, start: dt.datetime, now: dt.datetime) -> dict[str, Any]:
    """Every call since `start`: the part of an hour it lies in from the ledger, whole hours from the sums."""
    sums = Sums()
    border = start.replace(minute=0, second=0, microsecond=0)
    whole = border if border == start else border + dt.timedelta(hours=1)
    if start < whole:
        until = min(whole, now + dt.timedelta(days=1))
        params = {"start_date": iso(start), "end_date": iso(until), "limit": "1000"}
        for page in api.pages(api.path("costs/records"), params):
            for row in page["results"]:
                sums.add(1, int(row["cost_usd"] is None), row["cost_usd"])
    # Calls dated a little ahead by a wrong clock belong to it, too.
    end = now + dt.timedelta(hours=1)
    if whole < end:
        params = {"start_date": iso(whole), "end_date": iso(end), "granularity": "total"}
        total = api.get(api.path("costs"), params)["total"]
        sums.add(total["calls"], total["unpriced_calls"], total["cost_usd"])
    return sums.facts()


def _span(start: dt.datetime, now: dt.datetime) -> str:
    return f"{iso(start)}..{iso(now + dt.timedelta(hours=1))}"


def spent_in_traces(api: Api, start: dt.datetime, now: dt.datetime, query: str) -> dict[str, Any]:
    """The traces that match, page by page."""
    sums = Sums()
    for page in api.pages(
        api.path("traces"), {"range": _span(start, now), "q": query, "limit": "200"}
    ):
        for row in page["results"]:
            sums.add(row["calls"], row["unpriced_calls"], row["cost_usd"])
    return sums.facts()


def failed_traces(api: Api, start: dt.datetime, now: dt.datetime, query: str) -> int:
    """How many traces failed."""
    params = {"range": _span(start, now), "status": "error", "q": query, "limit": "200"}
    return sum(len(page["results"]) for page in api.pages(api.path("traces"), params))
