"""`llmlab login`, `logout`, `projects`"""

import getpass
import os
import sys
from typing import Annotated, Any

import typer

from llmlab.cli import output, profiles
from llmlab.cli.api import Api, Refused, check_address, is_loopback
from llmlab.cli.errors import FOUND, CliError
from llmlab.cli.profiles import Profile


def login(
    context: typer.Context,
    address: Annotated[
        str,
        typer.Option(
            "--address",
            "-a",
            help="Where LLMLab answers; asked for when left out.",
            show_default=False,
        ),
    ] = "",
    project: Annotated[
        str,
        typer.Option(
            help="Only for keys that may not read: the project's slug.", show_default=False
        ),
    ] = "",
    key_stdin: Annotated[
        bool, typer.Option("--key-stdin", help="Read the API key from standard input.")
    ] = False,
    keyring: Annotated[
        bool,
        typer.Option(
            "--keyring/--no-keyring", help="Keep the key in the system's keyring when there is one."
        ),
    ] = True,
) -> None:
    """Check an address and an API key against the server and remember them as a profile."""
    name = (
        str(context.obj["profile"])
        or os.environ.get("LLMLAB_PROFILE", "").strip()
        or profiles.DEFAULT
    )
    if not address:
        address = _ask_address()
    address = check_address(address)
    if not is_loopback(address) and address.startswith("http://"):
        output.warn(
            f"{address} is not encrypted: everybody on the way can read the key. Prefer https://."
        )
    key = _key(key_stdin)
    slug = _check(address, key, project)
    saved = profiles.save(Profile(name, address, slug, key, ""), use_keyring=keyring)
    place = "the system's keyring" if saved.key_in == "keyring" else str(profiles.config_file())
    output.say(f"Logged in to {address}, project {slug}. Profile {name}; the key is in {place}.")


def _ask_address() -> str:
    default = os.environ.get("LLMLAB_BASE_URL", "").strip() or "http://localhost:8000"
    if not sys.stdin.isatty():
        return default
    return str(typer.prompt("Address of LLMLab", default=default, err=True))


def _key(from_stdin: bool) -> str:
    """Never as an argument: other users see the arguments of programs, and shells keep them."""
    if from_stdin:
        key = sys.stdin.readline().strip()
    elif sys.stdin.isatty():
        key = getpass.getpass("API key (Settings, API keys; it stays hidden): ").strip()
    else:
        raise CliError(
            "There is no terminal to ask for the key; pass it with --key-stdin, or set LLMLAB_API_KEY."
        )
    if not key:
        raise CliError("No key was given.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise CliError("That is no API key; it looks like llmlab_sk_…")
    return key


def _check(address: str, key: str, project: str) -> str:
    """The slug of the key's project, as the server says."""
    api = Api(address, key, tries=2)
    try:
        answer = api.get("/api/v1/projects")
    except Refused as error:
        if error.status == 401:
            raise CliError(
                f"{address} does not know this key. Copy it again, or make one in Settings, API keys."
            ) from None
        if error.error_code != "missing_scope":
            raise
        if not project:
            raise CliError(
                "The key is valid but has no scope read. Name its project with --project, or use a key with read."
            ) from None
        return project
    rows = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or len(rows) != 1:
        raise CliError(f"{address} did not answer as LLMLab does; check the address.")
    row = rows[0]
    if project and project not in (row["slug"], row["id"]):
        raise CliError(f"The key opens project {row['slug']}, not {project}.")
    return str(row["slug"])


def logout(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Forget every profile.")] = False,
) -> None:
    """Forget a profile and its key. The key stays valid: revoke it with `llmlab keys revoke`."""
    wanted = str(context.obj["profile"])
    gone = profiles.names() if everything else [profiles.current_name(wanted)]
    removed = [name for name in gone if profiles.remove(name)]
    if not removed and not everything:
        raise CliError(f"There is no profile {gone[0]!r}; nothing was changed.")
    output.say(f"Logged out: {', '.join(removed)}." if removed else "There was no profile.")


def projects(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Your profiles, and what each server says about its project."""
    found = [_profile_row(name) for name in profiles.names()]
    given = profiles.from_environment()
    if given is not None:
        found.insert(0, _asked(given))
    if as_json:
        output.print_json(found)
    elif not found:
        output.note("No profile yet. Run: llmlab login")
    else:
        current = "(environment)" if given else profiles.current_name()
        columns = [
            ("", "left"),
            ("profile", "left"),
            ("address", "left"),
            ("project", "left"),
            ("name", "left"),
        ]
        rows = [
            ["*" if row["profile"] == current else " "]
            + [
                row[key]
                for key in (
                    "profile",
                    "address",
                    "project",
                    "name",
                    "organization",
                    "key_in",
                    "state",
                )
            ]
            for row in found
        ]
        output.table(
            [*columns, ("organisation", "left"), ("key in", "left"), ("state", "left")], rows
        )
    if any(row["state"] != "ok" for row in found):
        raise typer.Exit(FOUND)


def _profile_row(name: str) -> dict[str, Any]:
    try:
        profile = profiles.find(name)
    except CliError as error:
        entry = profiles.read_all()["profiles"].get(name, {})
        return _row(
            Profile(name, entry.get("address", ""), entry.get("project", ""), "", ""), error.message
        )
    return _asked(profile)


def _asked(profile: Profile) -> dict[str, Any]:
    api = Api(profile.address, profile.key, profile.project, timeout=10, tries=1)
    try:
        rows = api.get("/api/v1/projects")["results"]
    except Refused as error:
        return _row(profile, "ok" if error.error_code == "missing_scope" else error.message)
    except (CliError, TypeError, KeyError) as error:
        return _row(profile, str(error))
    return _row(profile, "ok", rows[0] if rows else {})


def _row(profile: Profile, state: str, project: Any = None) -> dict[str, Any]:
    said = project or {}
    return {
        "profile": profile.name,
        "address": profile.address,
        "project": said.get("slug") or profile.project,
        "name": said.get("name"),
        "organization": said.get("organization"),
        "key_in": profile.key_in,
        "state": state,
    }
