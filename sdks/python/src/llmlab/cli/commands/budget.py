"""`llmlab budget list|show`: the budgets calls of the project count towards, and a check for pipelines."""

from decimal import Decimal
from typing import Annotated, Any, Optional

import typer
from rich.text import Text

from llmlab.cli import output
from llmlab.cli.errors import FOUND, CliError
from llmlab.cli.session import api_of

app = typer.Typer(help="The budgets set in LLMLab, as they stand.", no_args_is_help=True)
BAR = 20
STYLES = {"over": "red", "warning": "yellow", "ok": "green"}
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Fail = Annotated[
    Optional[int],
    typer.Option(
        "--fail-at",
        help="Exit with 1 when one listed has spent this percent or more: 100 is the limit.",
        show_default=False,
    ),
]
User = Annotated[str, typer.Option(help="Budgets that count calls of this user.")]
Model = Annotated[str, typer.Option(help="… of this model.")]
Agent = Annotated[str, typer.Option(help="… of this agent.")]
Tags = Annotated[
    Optional[list[str]], typer.Option("--tag", help="… with this tag; may be repeated.")
]


def _read(context: typer.Context, params: Any = None) -> dict[str, Any]:
    api = api_of(context)
    answer = api.get(api.path("budgets"), params)
    if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
        raise CliError(f"{api.address} did not answer as LLMLab does; check the address.")
    return answer


@app.command("list")
def list_budgets(
    context: typer.Context,
    user: User = "",
    model: Model = "",
    agent: Agent = "",
    tags: Tags = None,
    fail_at: Fail = None,
    as_json: Json = False,
) -> None:
    """Running budgets, strictest first: all that calls of the project count towards, or those of one kind of call."""
    _check_fail_at(fail_at)
    named = (("user", user), ("model", model), ("agent", agent))
    params = [(name, value) for name, value in named if value]
    answer = _read(context, [*params, *(("tag", one) for one in tags or [])])
    rows = answer["results"]
    if as_json:
        output.print_json(answer)
    elif not rows:
        output.note("No budget counts such calls. Set one in LLMLab: Budgets.")
    else:
        columns = [("budget", "left"), ("counts", "left"), ("used", "right"), ("", "left"), ("spent", "right"),
                   ("limit", "right"), ("left", "right"), ("resets", "left")]  # fmt: skip
        output.table(columns, [_cells(row) for row in rows])
        _say_unpriced(rows)
    _fail(rows, fail_at)


@app.command("show")
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The budget's name or id.")],
    fail_at: Fail = None,
    as_json: Json = False,
) -> None:
    """One running budget and where it leads."""
    _check_fail_at(fail_at)
    rows = _read(context)["results"]
    wanted = name.strip().lower()
    found = [row for row in rows if wanted in (str(row["name"]).lower(), str(row["id"]))]
    if not found:
        known = ", ".join(output.clean(row["name"]) for row in rows[:20]) or "none"
        raise CliError(
            f"No running budget of this project is called {name[:80]!r}. There are: {known}."
        )
    row = found[0]
    if as_json:
        output.print_json(row)
    else:
        _show(row)
        _say_unpriced([row])
    _fail([row], fail_at)


def _check_fail_at(value: Optional[int]) -> None:
    if value is not None and not 1 <= value <= 1_000:
        raise CliError(f"--fail-at is {value}; it must be a percent from 1 to 1000.")


def _share(row: dict[str, Any]) -> Decimal:
    """Exactly: the server's share is rounded."""
    spent, limit = output.amount(row.get("spent_usd")), output.amount(row.get("amount_usd"))
    return spent / limit if spent is not None and limit else Decimal(0)


def _fail(rows: list[dict[str, Any]], fail_at: Optional[int]) -> None:
    if fail_at is None:
        return
    passed = [row for row in rows if _share(row) * 100 >= fail_at]
    for row in passed:
        percent = f"{_share(row) * 100:.1f}"
        output.warn(f"{output.clean(row['name'])} has spent {percent}%, at or over {fail_at}%.")
    if passed:
        raise typer.Exit(FOUND)


def bar(share: Decimal) -> str:
    """████████░░░░ of 20 places; anything spent shows, and only a full one is full."""
    places = min(int(share * BAR), BAR)
    places = max(places, 1) if share > 0 else 0
    return "█" * places + "░" * (BAR - places)


def _cells(row: dict[str, Any]) -> list[Any]:
    share, style = _share(row), STYLES.get(str(row["state"]), "")
    return [
        f"{row['name']}{' (hard)' if row['is_hard'] else ''}", _counts(row), Text(f"{share * 100:.1f}%", style=style),
        Text(bar(share), style=style), output.money(row["spent_usd"]), output.money(row["amount_usd"]),
        output.money(row["remaining_usd"]), output.clock(row["resets_at"]),
    ]  # fmt: skip


def _counts(row: dict[str, Any]) -> str:
    where = f" in {row['project']}" if row.get("project") and row["scope"] != "project" else ""
    what = f" {row['value']}" if row.get("value") else ""
    what = f" {row['project']}" if row["scope"] == "project" else what
    return f"{row['scope']}{what}{where}"


def _show(row: dict[str, Any]) -> None:
    share, style = _share(row), STYLES.get(str(row["state"]), "")
    days = f" in {row['rolling_days']} days" if row.get("rolling_days") else f", {row['period']}"
    output.say(f"{output.clean(row['name'])}: {output.clean(_counts(row))}{days}", style="bold")
    output.say(f"{bar(share)} {share * 100:.1f}%", style=style)
    output.say(f"{output.money(row['spent_usd'])} of {output.money(row['amount_usd'])} spent, "
               f"{output.money(row['remaining_usd'])} left; resets {output.clock(row['resets_at'])}")  # fmt: skip
    output.say(output.clean(row["outlook"]))
    if row.get("is_blocking"):
        output.warn("The limit is hard and reached: the gateway refuses these calls until then.")


def _say_unpriced(rows: list[dict[str, Any]]) -> None:
    if any(row.get("unpriced_calls") for row in rows):
        output.warn(
            "Calls without a known price are not in these amounts. Give their models a price: Models & prices."
        )
