"""`llmlab keys list|create|rotate|revoke`: needs a key of the scope admin."""

import sys
from typing import Annotated, Any, Optional
from uuid import UUID

import typer

from llmlab.cli import output
from llmlab.cli.api import Api
from llmlab.cli.errors import CliError
from llmlab.cli.session import api_of
from llmlab.cli.spans_of_time import iso, read_expiry, utc_now

SCOPES = ("ingest", "read", "gateway", "admin")
OVERLAPS = ("now", "1h", "24h", "7d")
app = typer.Typer(
    help="API keys of the project (needs a key of the scope admin).", no_args_is_help=True
)
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Key = Annotated[
    str, typer.Argument(help="The key's id, or the beginning of its value (llmlab_sk_…).")
]
COLUMNS = [
    ("id", "left"), ("name", "left"), ("begins with", "left"), ("scopes", "left"), ("state", "left"),
    ("created", "left"), ("expires", "left"), ("last used", "left"),
]  # fmt: skip


def _all(api: Api) -> list[dict[str, Any]]:
    return [row for page in api.pages(api.path("keys"), {"limit": 200}) for row in page["results"]]


def _state(row: dict[str, Any]) -> str:
    if row.get("revoked_at"):
        return "revoked"
    ends = output.moment(row.get("expires_at"))
    if ends is not None and ends <= utc_now():
        return "expired"
    return "rotated" if row.get("rotated_to") else "active"


@app.command("list")
def list_keys(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Revoked and expired ones, too.")] = False,
    as_json: Json = False,
) -> None:
    """Keys, newest first. Their values are not known to anybody."""
    rows = [row for row in _all(api_of(context)) if every or _state(row) in ("active", "rotated")]
    if as_json:
        output.print_json(rows)
        return
    output.table(
        COLUMNS,
        [
            [
                row["id"], row["name"], row["prefix"], " ".join(row["scopes"]), _state(row),
                output.clock(row["created_at"]), output.clock(row["expires_at"]), output.clock(row["last_used_at"]),
            ]
            for row in rows
        ],
    )  # fmt: skip


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        Optional[list[str]],
        typer.Option(
            "--scope", "-s", help="ingest, read, gateway or admin; may be repeated. Required."
        ),
    ] = None,
    expires: Annotated[
        str,
        typer.Option(help="After a length (30d) or at a time (2027-06-30); never when left out."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Make a key. Its value is shown this once: on standard output alone, everything else on stderr."""
    unknown = [word for word in scope or [] if word not in SCOPES]
    if not scope or unknown:
        raise CliError(
            f"--scope {' '.join(unknown) or 'is missing'}: it must be one of {', '.join(SCOPES)}."
        )
    body: dict[str, Any] = {"name": name, "scopes": list(dict.fromkeys(scope))}
    if expires:
        body["expires_at"] = iso(read_expiry(expires, now=utc_now()))
    api = api_of(context)
    _show(api.post(api.path("keys"), body), as_json, f"Key {name!r} of project {api.project}:")


@app.command()
def rotate(
    context: typer.Context,
    key: Key,
    overlap: Annotated[
        str, typer.Option(help="How long the old one works on: now, 1h, 24h, 7d.")
    ] = "24h",
    as_json: Json = False,
) -> None:
    """Make the successor of a key. Its value is shown this once."""
    if overlap not in OVERLAPS:
        raise CliError(f"--overlap is {overlap!r}; it must be one of {', '.join(OVERLAPS)}.")
    api = api_of(context)
    found = _find(api, key)
    made = api.post(api.path(f"keys/{found['id']}/rotation"), {"overlap": overlap})
    ends = "stops now" if overlap == "now" else f"works for another {overlap}"
    _show(made, as_json, f"Successor of {found['name']!r}; the old key {ends}:")


@app.command()
def revoke(
    context: typer.Context,
    key: Key,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Refuse a key from the next request on."""
    api = api_of(context)
    found = _find(api, key)
    if not yes:
        if not sys.stdin.isatty():
            raise CliError("There is no terminal to ask on; add --yes to revoke the key.")
        typer.confirm(f"Revoke {found['name']!r} ({found['prefix']}…)?", abort=True, err=True)
    api.request("DELETE", api.path(f"keys/{found['id']}"))
    output.say(f"Revoked {found['name']!r} ({found['prefix']}…).")


def _find(api: Api, wanted: str) -> dict[str, Any]:
    """The one key with this id, or whose value begins so."""
    rows = _all(api)
    try:
        number = str(UUID(wanted))
        matching = [row for row in rows if row["id"] == number]
    except ValueError:
        matching = [
            row for row in rows if wanted.startswith(row["prefix"]) or row["prefix"] == wanted
        ]
    if len(matching) == 1:
        return matching[0]
    many = "Several keys begin so; give the id" if matching else "There is no such key"
    raise CliError(f"{many}: {wanted[:24]!r}. See: llmlab keys list")


def _show(made: dict[str, Any], as_json: bool, title: str) -> None:
    if as_json:
        output.print_json(made)
        return
    output.note(title)
    sys.stdout.write(made["key"] + "\n")
    output.note("It is shown only now; store it where secrets belong.")
